"""The token view's value: plain JSON lines that only grow, harmless whatever the texts hold."""

import json
import math
from dataclasses import replace
from itertools import pairwise

from workbench.text.requests import Alternative, Generate, Generated, TokenText
from workbench.ui.token_view import TokenLines, token_record, token_view

PAYLOADS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "</section><style>*{display:none}</style>",
    "${alert(1)} {{constructor}} `",
    "\u2028 \x00 \ud800 \\n \"quoted\" 'and'",
)


def _snapshot(*texts: str, finish_reason: str | None = None) -> Generated:
    others = [(Alternative(9, text, -1.0),) for text in texts]
    tokens = [TokenText(i, text, -0.5, others[i], 1) for i, text in enumerate(texts)]
    return Generated(
        text="".join(texts), tokens=tokens, finish_reason=finish_reason, prompt_tokens=3, completion_tokens=len(texts),
        seconds=1.0, time_to_first_token_seconds=0.1, tokens_per_second=2.0, seed=5, context_tokens=64,
    )  # fmt: skip


def test_no_text_can_be_markup() -> None:
    for payload in PAYLOADS:
        value = TokenLines(payload, Generate(prompt=payload)).text(_snapshot(payload, finish_reason="length"))
        assert "<" not in value
        assert value.isascii()


def test_every_text_comes_back_as_it_was() -> None:
    for payload in PAYLOADS:
        head, token, _ = (
            TokenLines("demo", Generate(prompt=payload)).text(_snapshot(payload, finish_reason="stop")).splitlines()
        )
        assert json.loads(head)["request"]["prompt"] == payload
        assert json.loads(token)[1] == payload
        assert json.loads(token)[4][0][1] == payload


def test_a_growing_text_only_appends() -> None:
    lines = TokenLines("demo", Generate(prompt="a"))
    values = [lines.text(), *(lines.text(_snapshot(*"bcdef"[:n])) for n in range(1, 6))]
    assert all(later.startswith(earlier) for earlier, later in pairwise(values))


def test_a_last_token_that_is_completed_at_the_end_is_told_again() -> None:
    lines = TokenLines("demo", Generate(prompt="a"))
    lines.text(_snapshot("b", ""))
    end = lines.text(_snapshot("b", "\ufffd", finish_reason="length")).splitlines()[1:-1]
    assert [json.loads(line)[1] for line in end] == ["b", "\ufffd"]


def test_a_token_line_holds_probability_rank_and_alternatives() -> None:
    line = TokenLines("demo", Generate(prompt="a")).text(_snapshot(" wolf")).splitlines()[1]
    assert json.loads(line) == [0, " wolf", round(math.exp(-0.5), 5), 1, [[9, " wolf", round(math.exp(-1), 5)]]]


def test_the_end_holds_the_results_under_the_command_lines_names() -> None:
    end = TokenLines("demo", Generate(prompt="a")).text(_snapshot("b", finish_reason="length")).splitlines()[-1]
    assert json.loads(end)["result"]["finish_reason"] == "length"
    assert json.loads(end)["result"]["tokens_per_second"] == 2.0


def test_an_impossible_token_has_probability_zero_and_no_logprob_in_json() -> None:
    token = TokenText(id=1, text="x", logprob=-math.inf, rank=9, alternatives=())
    assert token_record(token)["logprob"] is None
    value = TokenLines("demo", Generate(prompt="a")).text(replace(_snapshot("b"), tokens=[token]))
    assert json.loads(value.splitlines()[1])[2] == 0.0


def test_the_templates_hold_no_value() -> None:
    assert "${" not in token_view().html_template and "{{" not in token_view().html_template
