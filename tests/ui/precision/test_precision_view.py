"""The report on precisions as markup: its figures, its partings, its flips, and texts that stay texts."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from workbench.evals.metrics.metric import Metric
from workbench.evals.precision import Divergence
from workbench.evals.precision_report import Material, Measured, Report, RowAsked
from workbench.evals.precision_summary import Summary, record, summaries
from workbench.evals.prediction import Prediction
from workbench.evaluating import all_tasks
from workbench.json_values import json_value
from workbench.text.requests import Generated, TokenText
from workbench.ui.precision.precision_texts import along_markup, parted_markup
from workbench.ui.precision.precision_view import answer_words, kl_text, parted_text, report_markup

PAYLOAD = "<img src=x onerror=alert(1)>"
PIQA = all_tasks()["piqa"]


def written(*words: str) -> Generated:
    """A continuation of these tokens, its speed known."""
    tokens = [TokenText(number, word, -0.5) for number, word in enumerate(words)]
    return Generated("".join(words), tokens, "length", tokens_per_second=20.0)


def text(length: int = 400, level: float = 1e-3) -> Divergence:
    """A text's divergence."""
    kl = np.random.default_rng(0).exponential(level, length)
    return Divergence(kl, kl < 3 * level)


def answers(*said: int) -> tuple[Prediction, ...]:
    """A prediction for each row; choice 0 is right."""
    return tuple(
        Prediction(f"asked {PAYLOAD} {row}", 0, choice, {"acc": float(choice == 0)}, id=str(row), row=row)
        for row, choice in enumerate(said)
    )


def report(prompt: str = "Once") -> Report:
    """Three precisions: the reference, one that is near, one that failed."""
    first = Measured("float32", 4000, written=(written(" a", " red", " fox"),), read_tokens=400, read_seconds=2.0)
    near = Measured("int8", 1000, (text(),), (written(" a", " big", " ox"),), (1,), (), 400, 1.0)
    failed = Measured("nf4", error=f"No room. {PAYLOAD}")
    material = Material((prompt,), (prompt,), follows=True)
    return Report(material, (first, near, failed), 3, 1.0, "", 2**20)


def with_rows(found: Report) -> Report:
    """The same with rows answered; row 1 flips to right and row 2 to wrong."""
    rows = tuple(RowAsked(str(row), row, "d", None) for row in range(3))
    first, near, failed = found.results
    results = (
        replace(first, predictions=answers(0, 1, 0)), replace(near, predictions=answers(0, 0, 1)), failed,
    )  # fmt: skip
    return replace(found, material=replace(found.material, rows=rows), results=results)


def shown(found: Report) -> tuple[str, Sequence[Summary]]:
    """Markup and summaries."""
    summed = summaries(found, PIQA if found.material.rows else None)
    return report_markup(found, summed), summed


def test_each_precision_has_a_column_with_its_figures() -> None:
    markup, _ = shown(report())
    assert markup.count('<th scope="col">') == 3 and "<small>reference</small>" in markup
    for words in ("3.9 KiB", "1000 B", "at token 2", "200", "400", "KL a token", "Same likeliest token"):
        assert words in markup


def test_a_figure_that_nothing_is_known_of_has_no_row() -> None:
    assert "Answers flipped" not in shown(report())[0] and "Answers flipped" in shown(with_rows(report()))[0]


def test_the_first_token_that_is_another_is_framed_in_both_texts() -> None:
    markup = parted_markup(report())
    assert '<span class="same"> a</span><mark title="60.7 % likely here"> red</mark> fox' in markup
    assert '<span class="same"> a</span><mark title="60.7 % likely here"> big</mark> ox' in markup


def test_a_text_that_ends_first_says_that_it_ends() -> None:
    found = report()
    first, near, failed = found.results
    ended = replace(near, written=(written(" a"),))
    assert "∎</mark>" in parted_markup(replace(found, results=(first, ended, failed)))


def test_texts_that_are_the_same_say_so() -> None:
    found = report()
    first, near, failed = found.results
    same = replace(near, written=first.written, partings=(None,))
    markup = parted_markup(replace(found, results=(first, same, failed)))
    assert "the same to the end" in markup and "<mark" not in markup


def test_flips_are_listed_with_what_became_of_them() -> None:
    markup, _ = shown(with_rows(report()))
    assert "2 of 3 answers flipped: 1 became right, 1 wrong" in markup
    assert "choice 2" in markup and "became right" in markup and "became wrong" in markup


def test_the_divergence_along_a_text_is_drawn_for_a_single_one_alone() -> None:
    assert '<polyline class="a"' in along_markup(report()) and "token 400" in along_markup(report())
    several = replace(report(), material=Material(("a", "b")))
    assert along_markup(several) == ""


def test_lines_differ_by_more_than_their_colour() -> None:
    found = report()
    first, near, _ = found.results
    markup = along_markup(replace(found, results=(first, near, replace(near, name="nf4"))))
    assert 'stroke-dasharray=""' in markup and 'stroke-dasharray="7 4"' in markup


def test_how_it_was_measured_is_said() -> None:
    markup, _ = shown(report())
    assert "One precision was in memory at a time" in markup and "1.0 MiB" in markup
    assert "resample stretches of 32 tokens" in markup


def test_a_precision_that_failed_says_why() -> None:
    assert "nf4 could not be measured" in shown(report())[0]


@pytest.mark.parametrize("make", [report, lambda prompt: with_rows(report(prompt))])
def test_texts_from_outside_are_escaped(make: object) -> None:
    found: Report = make(PAYLOAD)  # type: ignore[operator]
    first, near, failed = found.results
    bad = replace(near, name=PAYLOAD, written=(written(PAYLOAD, PAYLOAD),), partings=(0,))
    markup, _ = shown(replace(found, results=(replace(first, written=(written(PAYLOAD),)), bad, failed)))
    assert PAYLOAD not in markup and "&lt;img" in markup


def test_nothing_measured_is_nothing_shown() -> None:
    assert report_markup(report(), []) == ""


def test_a_stopped_report_shows_what_there_is() -> None:
    found = with_rows(report())
    first, near, _ = found.results
    half = replace(near, partings=(), written=(), divergences=(), predictions=near.predictions[:1])
    assert "no answer of 1 flipped" in shown(replace(found, results=(first, half)))[0]


def test_the_record_is_plain_data() -> None:
    found = with_rows(report())
    plain = json_value(record(found, shown(found)[1]))
    assert plain["precisions"][1]["metric"]["name"] == PIQA.method.metrics[0].name
    assert plain["written"] == [{"prompt": "Once", "texts": {"float32": " a red fox", "int8": " a big ox"}}]


def test_a_metric_that_is_no_share_is_not_in_percent() -> None:
    found = with_rows(report())
    summary = replace(summaries(found, PIQA)[1], is_share=False)
    assert isinstance(PIQA.method.metrics[0], Metric)
    assert "acc 0.667" in report_markup(found, [summaries(found, PIQA)[0], summary])


@pytest.mark.parametrize("value, words", [(0.004871, "0.00487"), (5.54e-5, "5.54e−05"), (0.0, "0")])
def test_divergences_have_three_digits(value: float, words: str) -> None:
    assert kl_text(value) == words


@pytest.mark.parametrize("partings, words", [
    ((), "–"), ((None,), "nowhere"), ((4,), "at token 5"), ((None, 4, 9), "2 of 3"), ((None, None), "0 of 2"),
])  # fmt: skip
def test_partings_read_like_words(partings: tuple[int | None, ...], words: str) -> None:
    assert parted_text(partings).startswith(words)


@pytest.mark.parametrize("answer, words", [
    (None, "no answer"), ("", "no answer"), (0, "choice 1"), ("yes", "yes"), (["a", "b"], "a / b"),
])  # fmt: skip
def test_answers_read_like_words(answer: object, words: str) -> None:
    assert answer_words(answer) == words
