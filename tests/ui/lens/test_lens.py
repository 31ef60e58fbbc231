"""The token lens's value: plain JSON lines that only grow, harmless whatever the texts hold."""

import json
import math
from dataclasses import replace
from itertools import pairwise
from typing import Any

from workbench.text.requests import Alternative, Generate, Generated, TokenText
from workbench.ui.lens.lens import LensLines, ScoredText, lens, score_lines, token_record, with_difference

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
        value = LensLines(payload, Generate(prompt=payload)).text(_snapshot(payload, finish_reason="length"))
        assert "<" not in value
        assert value.isascii()


def test_every_text_comes_back_as_it_was() -> None:
    for payload in PAYLOADS:
        head, token, _ = (
            LensLines("demo", Generate(prompt=payload)).text(_snapshot(payload, finish_reason="stop")).splitlines()
        )
        assert json.loads(head)["request"]["prompt"] == payload
        assert json.loads(token)[1] == payload
        assert json.loads(token)[4][0][1] == payload


def test_a_growing_text_only_appends() -> None:
    lines = LensLines("demo", Generate(prompt="a"))
    values = [lines.text(), *(lines.text(_snapshot(*"bcdef"[:n])) for n in range(1, 6))]
    assert all(later.startswith(earlier) for earlier, later in pairwise(values))


def test_a_last_token_that_is_completed_at_the_end_is_told_again() -> None:
    lines = LensLines("demo", Generate(prompt="a"))
    lines.text(_snapshot("b", ""))
    end = lines.text(_snapshot("b", "\ufffd", finish_reason="length")).splitlines()[1:-1]
    assert [json.loads(line)[1] for line in end] == ["b", "\ufffd"]


def test_a_token_line_holds_probability_rank_and_alternatives() -> None:
    line = LensLines("demo", Generate(prompt="a")).text(_snapshot(" wolf")).splitlines()[1]
    assert json.loads(line) == [0, " wolf", round(math.exp(-0.5), 5), 1, [[9, " wolf", round(math.exp(-1), 5)]]]


def test_the_end_holds_the_results_under_the_command_lines_names() -> None:
    end = LensLines("demo", Generate(prompt="a")).text(_snapshot("b", finish_reason="length")).splitlines()[-1]
    assert json.loads(end)["result"]["finish_reason"] == "length"
    assert json.loads(end)["result"]["tokens_per_second"] == 2.0


def test_an_impossible_token_has_probability_zero_and_no_logprob_in_json() -> None:
    token = TokenText(id=1, text="x", logprob=-math.inf, rank=9, alternatives=())
    assert token_record(token)["logprob"] is None
    value = LensLines("demo", Generate(prompt="a")).text(replace(_snapshot("b"), tokens=[token]))
    assert json.loads(value.splitlines()[1])[2] == 0.0


def test_the_templates_hold_no_value() -> None:
    assert "${" not in lens("x").html_template and "{{" not in lens("x").html_template


def test_the_frame_tells_its_script_what_it_is_for_and_its_words_are_text() -> None:
    frame = lens("x", title="<b>", group="g", branches=True, empty="<i>").html_template
    assert 'data-group="g"' in frame and 'data-branches="yes"' in frame
    assert "<b>" not in frame and "<i>" not in frame


def _scored(*tokens: tuple[str, float], name: str = "label") -> ScoredText:
    return ScoredText(name, tuple(TokenText(place, text, logprob) for place, (text, logprob) in enumerate(tokens)))


def _read(value: str) -> list[Any]:
    return [json.loads(line) for line in value.splitlines()]


def test_scored_texts_stand_one_after_the_other_with_their_tokens() -> None:
    value = score_lines("demo", [_scored(("a", -1.0), ("b", -2.0)), _scored(("c", -0.5), name="other")], "A", "B", 1)
    head, first, *tokens, second, last = _read(value)
    assert head == {"scores": {"model": "demo", "side": "A", "other": "B", "chosen": 1}}
    assert first["text"]["loglikelihood"] == -3.0 and second["text"]["name"] == "other"
    assert [token[1] for token in (*tokens, last)] == ["a", "b", "c"] and last[5:] == [-0.5, None]


def test_no_scored_text_can_be_markup() -> None:
    for payload in PAYLOADS:
        text = replace(_scored((payload, -1.0), name=payload), prompt=payload, note=payload)
        value = score_lines(payload, [text], payload, payload)
        assert "<" not in value and value.isascii() and _read(value)[1]["text"]["prompt"] == payload


def test_a_token_that_can_not_be_is_told_without_infinity() -> None:
    _, text, token = _read(score_lines("m", with_difference([_scored(("a", -math.inf))], [_scored(("a", -1.0))])))
    assert text["text"]["loglikelihood"] is None and token[5:] == [None, None]


def test_the_difference_is_this_models_log_probability_less_the_others() -> None:
    (text,) = with_difference([_scored((" a", -1.0), ("b", -2.0))], [_scored((" a", -1.5), ("b", -1.0))])
    assert text.differences == (0.5, -1.0) and text.difference == -0.5


def test_differences_of_two_models_cancel() -> None:
    one, other = [_scored(("a", -1.25), ("b", -2.5))], [_scored(("a", -0.5), ("b", -4.0))]
    (there,), (back,) = with_difference(one, other), with_difference(other, one)
    assert [a + b for a, b in zip(there.differences, back.differences, strict=True)] == [0.0, 0.0]


def test_two_tokenizers_are_compared_where_they_cut_alike() -> None:
    (text,) = with_difference([_scored((" a", -1.0), ("bc", -2.0))], [_scored((" a", -0.5), ("b", -1.0), ("c", -1.0))])
    assert text.differences == (-0.5, None) and text.difference == -0.5


def test_the_halves_of_a_character_are_told_apart() -> None:
    halves = [_scored(("", -1.0), ("", -2.0), ("🦄", -3.0), ("", -4.0))]
    (text,) = with_difference(halves, [_scored(("", -1.5), ("", -2.5), ("🦄", -3.5), ("", -4.5))])
    assert text.differences == (0.5, 0.5, 0.5, 0.5)


def test_a_text_that_the_other_has_not_stays_as_it_is() -> None:
    mine = [_scored(("a", -1.0), name="mine")]
    assert with_difference(mine, [_scored(("a", -1.0), name="theirs")]) == mine
