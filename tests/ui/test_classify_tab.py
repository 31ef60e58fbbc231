"""The Classify tab's events without a browser: what the controls ask for, and that Stop and errors lose nothing."""

import csv
import json
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ui.class_tab import DEMO, SEVERAL, SMS, Tab
from tests.ui.fake_classes import ClassifyingManager, class_card
from workbench.errors import BadRequest
from workbench.evals.methods.labels import ClassPrediction, TextExample
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.classify.class_batch import Batch, typed_examples
from workbench.ui.classify.class_examples import EXAMPLES
from workbench.ui.classify.class_form import _lists as lists
from workbench.ui.classify.class_many import end_notice, ended
from workbench.ui.classify.class_methods import Asked
from workbench.ui.classify.class_one import shown_row
from workbench.ui.sides.sides import Chosen


@pytest.fixture
def tab(tmp_path: Path) -> Tab:
    """The tab on a manager that has a head for messages, and one that gives several labels."""
    tab = Tab(ClassifyingManager(cards=[class_card(), SEVERAL]))
    for part in tab.many.sides:
        part.csv.GRADIO_CACHE = str(tmp_path / "cache")
    return tab


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_every_example_can_be_asked_for(tab: Tab, example: Any) -> None:
    asked = tab.form.asked(tab.values | tab.form.filled(example))
    assert len(asked.labels) >= 2 and asked.shots == example.shots and asked.calibration == example.calibration


def test_one_text_gets_its_bars_and_what_calibration_changed(tab: Tab) -> None:
    values = tab.ask()
    assert "positive" in values[tab.part.result] and "after calibration" in values[tab.part.result]
    assert values[tab.part.shown].prediction.label == "positive" and values[tab.part.notice] == ""


def test_a_trained_head_is_asked_without_labels(tab: Tab) -> None:
    tab.values |= {tab.form.method: "sms-probe", tab.form.labels: "", tab.one.text: "claim your free prize"}
    assert tab.ask()[tab.part.shown].prediction.label == "spam"


def test_an_empty_text_is_told_before_a_model_is_loaded(tab: Tab) -> None:
    tab.values[tab.one.text] = "  "
    with pytest.raises(BadRequest, match="The text is empty"):
        tab.ask()
    assert tab.bench.manager.loaded() == []


def test_a_head_that_is_gone_is_told(tab: Tab) -> None:
    tab.values[tab.form.method] = "sold"
    assert "There is no head &#x27;sold&#x27; for this model" in tab.ask()[tab.part.notice]


def test_why_asks_about_the_text_without_each_piece(tab: Tab) -> None:
    tab.ask()
    lines = tab.why()[tab.one.reasons[0]].splitlines()
    deltas = {start: delta for start, _, delta in map(json.loads, lines[1:])}
    text = EXAMPLES[0].texts[0]
    assert len(lines) == 1 + len(text.split()) and max(deltas, key=deltas.__getitem__) == text.index("laughed") - 1


def test_why_needs_a_prediction(tab: Tab) -> None:
    with pytest.raises(BadRequest, match="Classify the text first"):
        tab.why()


def test_why_of_a_single_piece_says_that_nothing_would_be_left(tab: Tab) -> None:
    tab.values[tab.one.text] = "wonderful"
    tab.ask()
    assert "nothing would be left" in tab.why()[tab.part.notice]


def test_a_table_with_labels_gets_its_metrics_and_files(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path, SMS)
    tab.values[tab.form.method] = "sms-probe"
    batch = tab.classify()
    assert [one.label for one in batch.predictions] == ["ham", "spam", "spam", None]
    assert "BOOM" in (batch.predictions[3].error or "") and batch.rows[3][5] == batch.predictions[3].error
    assert "66.7 %" in tab.values[tab.measured.metrics]
    assert "1 could not be classified" in tab.values[tab.many.notices[0]]
    with open(tab.values[tab.measured.csv].value["path"], encoding="utf-8") as stream:
        assert [row["id"] for row in csv.DictReader(stream)] == ["2", "3", "4", "5"]
    assert tab.values[tab.measured.sweep_class].choices[0][0] == "spam"


def test_the_right_answers_of_a_text_with_several_labels_stand_in_one_cell(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path, "sms,label\ngreat and stale,positive/negative\n")
    tab.values[tab.form.method] = "moods"
    assert tab.classify().predictions[0].gold_labels == ("positive", "negative")
    assert "All labels right" in tab.values[tab.measured.metrics]


def test_a_stopped_batch_keeps_what_it_has(tab: Tab) -> None:
    tab.bench.manager.model.seconds = 0.01  # type: ignore[attr-defined]
    tab.values[tab.many.texts] = "\n".join(f"great film {i}" for i in range(500))
    steps = tab.many_steps()
    for update in steps:
        tab.values |= update
        batches = tab.values.get(tab.many.batches)
        if batches is not None and batches.reached:
            break
    steps.close()  # type: ignore[attr-defined]
    for thread in threading.enumerate():
        if thread.name.startswith("side "):
            thread.join()
    batch = batches.sides[0]
    kept = len(batch.predictions)
    update = ended(tab.many, batches)
    assert 0 < kept < 500 and len(batch.rows) == kept and "Stopped" in end_notice(batch)
    assert len(Path(update[tab.measured.jsonl].value["path"]).read_text(encoding="utf-8").splitlines()) == kept


def test_stop_ends_a_batch_after_the_text_that_it_is_at(tab: Tab) -> None:
    tab.bench.manager.model.seconds = 0.01  # type: ignore[attr-defined]
    tab.values[tab.many.texts] = "\n".join(f"great film {i}" for i in range(500))
    for update in tab.many_steps():
        tab.values |= update
        if tab.values[tab.many.batches].reached:
            tab.values[tab.many.batches].stop()
    kept = tab.values[tab.many.batches].reached
    assert 0 < kept < 500 and f"Stopped: {kept} of 500 texts are kept below" in tab.values[tab.many.notices[0]]


def test_typed_texts_are_a_line_each_and_bounded() -> None:
    bench = Bench(Settings(host="0.0.0.0"), ClassifyingManager())  # type: ignore[arg-type]
    assert [example.text for example in typed_examples(" a \n\nb\n", bench)] == ["a", "b"]
    with pytest.raises(BadRequest, match="There are no texts"):
        typed_examples(" \n", bench)
    with pytest.raises(BadRequest, match="2,001 texts; at most 2,000"):
        typed_examples("a\n" * 2_001, bench)


def test_a_row_is_shown_as_if_it_had_been_asked_alone(tab: Tab) -> None:
    batches = tab.classify_all()
    update = shown_row(tab.one, batches, "2")
    assert update is not None and update[tab.one.text] == EXAMPLES[0].texts[1]
    tab.values |= update
    assert len(tab.why()[tab.one.reasons[0]].splitlines()) > 1
    assert [shown_row(tab.one, batches, number) for number in ("", "0", "99", "x")] == [None] * 4


def test_the_heads_of_a_model_are_listed_and_a_lost_one_is_left(tab: Tab) -> None:
    update = lists(tab.bench, tab.form, DEMO, "sold")
    assert [value for _, value in update[tab.form.method].choices] == ["", "sms-probe", "moods"]
    assert update[tab.form.method].value == "" and update[tab.form.prompting].visible is True
    update = lists(tab.bench, tab.form, DEMO, "moods")
    assert update[tab.form.prompting].visible is False and update[tab.form.threshold].visible is True


def test_a_checkpoint_that_is_a_classifier_offers_no_language_model() -> None:
    tab = Tab(ClassifyingManager(cards=[class_card("itself", key="own", folder=None)]))
    update = lists(tab.bench, tab.form, DEMO, "")
    assert [value for _, value in update[tab.form.method].choices] == ["itself"]
    assert update[tab.form.method].value == "itself"


def test_the_table_says_what_was_not_read() -> None:
    batch = Batch(Chosen(0, "A", "demo", DEMO), Asked(head="x"), [TextExample("1", "t")] * 2)
    read = ClassPrediction("1", "t", "a", {"a": 0.6, "b": 0.4}, unseen_tokens=1200)
    batch.add([read, replace(read, logits={"a": 1.0, "b": 0.6})])
    assert [row[-1] for row in batch.rows] == [
        "the first 1,200 tokens did not fit", "the last 1,200 tokens were not read",
    ]  # fmt: skip
