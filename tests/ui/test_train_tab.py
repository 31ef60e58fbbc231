"""The Train tab: what its form asks for, where a head may be written, and one training at a time."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake_answers import AnsweringManager, head_card
from tests.ui.fake_training import STEPS, ScriptedTraining, scripted_plan
from workbench.errors import BadRequest, Busy
from workbench.settings import Settings
from workbench.training.head_request import TrainAnswer, TrainClassify
from workbench.training.progress import FineTuneProgress
from workbench.ui.bench import Bench, Page
from workbench.ui.sides.sides_bar import sides_bar
from workbench.ui.tabs import train
from workbench.ui.tabs.train import View
from workbench.ui.train.train_data import fewest_values, question_facts, read_rows, table_facts
from workbench.ui.train.train_form import Form, form_view, head_name, shown_for
from workbench.ui.train.train_view import MOST_POINTS, Curves, plan_bars, progress_line, trained_markup
from workbench.ui.train.training_desk import TrainingDesk


@pytest.fixture
def page(tmp_path: Path) -> Page:
    """A page on this machine that writes heads to a temporary folder."""
    bench = Bench(Settings(heads_folder=tmp_path / "heads"), AnsweringManager())  # type: ignore[arg-type]
    with gr.Blocks() as blocks:
        return Page(bench, blocks, gr.HTML(), gr.Tabs(), gr.Textbox(), sides_bar(bench))


@pytest.fixture
def form(page: Page) -> Form:
    """The tab's form."""
    with gr.Blocks():
        return form_view(page.bench)


@pytest.fixture
def view() -> View:
    """The components beside the form."""
    with gr.Blocks():
        return View(gr.Button(), gr.Button(), *(gr.HTML() for _ in range(4)))


@pytest.fixture
def data(tmp_path: Path) -> str:
    """A small file of labelled texts."""
    path = tmp_path / "sms.csv"
    path.write_text("text,label\nwin a prize,spam\nsee you,ham\nhello,ham\n", encoding="utf-8")
    return str(path)


def values_of(form: Form, **changes: Any) -> dict[Any, Any]:
    """The values of a page just opened, some of them changed; a change may name a component or a field."""
    shown = {part: part.value for part in form.inputs()}
    return shown | {form.fields[name] if name in form.fields else getattr(form, name): new
                    for name, new in changes.items()}  # fmt: skip


def test_the_untouched_form_asks_for_the_requests_own_defaults(form: Form, page: Page, data: str) -> None:
    values = values_of(form, data=data, name="spam", text_column="text", label_column="label")
    out = str(page.bench.settings.heads_folder / "spam")
    assert form.request(values, page.bench.settings) == TrainClassify(data=data, out=out)
    assert form.request(values | {form.kind: "answer"}, page.bench.settings) == TrainAnswer(data=data, out=out)


def test_a_setting_reaches_the_request_in_its_type(form: Form, page: Page, data: str) -> None:
    values = values_of(form, data=data, name="x", batch_size=8.0, learning_rate="1e-3", targets="q_proj, fc_in",
                       precision="int8", method="lora", gradient_checkpointing=True)  # fmt: skip
    request = form.request(values, page.bench.settings)
    assert (request.batch_size, request.learning_rate, request.targets) == (8, 1e-3, ("q_proj", "fc_in"))
    assert (request.precision, request.method, request.gradient_checkpointing) == ("int8", "lora", True)


@pytest.mark.parametrize("changes, message", [
    ({"data": None}, "no data"),
    ({"batch_size": 2.5}, "batch_size"),
    ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
    ({"epochs": 0}, "epochs"),
    ({"targets": " , "}, "targets"),
])  # fmt: skip
def test_a_value_that_can_not_be_is_told(form: Form, page: Page, data: str, changes: dict, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        form.request(values_of(form, **{"data": data, "name": "x"} | changes), page.bench.settings)


@pytest.mark.parametrize("name", ["", " ", "..", "a/b", "a\\b", "/tmp/x", "a b", "ä", "-x", "x" * 65, "a\n", "con.txt"])
def test_a_head_can_not_be_written_anywhere_but_in_the_heads_folder(name: str) -> None:
    if name.strip() != name and name.strip():
        assert head_name(name) == name.strip()
        return
    with pytest.raises(BadRequest, match="letters, digits and dashes"):
        head_name(name)


@pytest.mark.parametrize("profile", ["local", "public"])
def test_a_public_page_has_no_form_to_train_with_and_says_why(profile: str) -> None:
    bench = Bench(Settings(profile_name=profile), AnsweringManager())  # type: ignore[arg-type]
    with gr.Blocks() as blocks:
        shown = Page(bench, blocks, gr.HTML(), gr.Tabs(), gr.Textbox(), sides_bar(bench))
        with gr.Tab("Train") as tab:
            train.build(shown, tab)
    parts = list(blocks.blocks.values())
    startable = any(getattr(part, "elem_id", None) == "train-run" for part in parts)
    told = any("Nobody trains on a shared page" in str(getattr(part, "value", "")) for part in parts)
    assert (startable, told) == ((True, False) if profile == "local" else (False, True))


def test_a_field_is_shown_for_the_kind_that_has_it(form: Form) -> None:
    classify, answer = shown_for(form, "classify", "probe"), shown_for(form, "answer", "lora")
    assert classify[form.fields["max_tokens"]].visible and not classify[form.fields["window_tokens"]].visible
    assert answer[form.fields["window_tokens"]].visible and not answer[form.columns].visible
    assert answer[form.lora].visible and not classify[form.lora].visible


def test_without_a_telling_name_the_column_with_the_fewest_values_holds_the_labels(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,words,kind\n1,a,x\n2,b,x\n", encoding="utf-8")
    table = read_rows(str(path))
    assert fewest_values(table, ["id", "words", "kind"]) == "kind" and fewest_values(table, []) is None


@pytest.mark.parametrize("text", ["words,id\na b,x\nc d,x\n", "words,other\na,1\nb,2\n"])
def test_a_column_that_tells_the_rows_apart_holds_no_labels(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(text, encoding="utf-8")
    table = read_rows(str(path))
    assert fewest_values(table, table.columns[1:]) is None


def test_without_a_label_column_the_visitor_is_asked_to_pick_one(form: Form, view: View, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,words\n1,a\n2,b\n", encoding="utf-8")
    values = values_of(form, data=str(path))
    update = next(train._data_read(form, values))
    assert "pick the label column" in update[form.facts] and update[form.label_column].value is None
    assert update[form.text_column].value == "words"
    assert "Planned before it starts" in next(train._planned(form, view, values))[view.plan]


def test_the_data_is_told_before_it_is_trained_on(data: str, tmp_path: Path) -> None:
    assert table_facts(read_rows(data), "label")["Labels"] == "ham 2, spam 1"
    questions = tmp_path / "q.jsonl"
    questions.write_text('{"question": "Who?", "context": "A fox.", "answers": []}\n', encoding="utf-8")
    assert question_facts(str(questions)) == {"Questions": "1", "Passages": "1", "Without an answer": "1"}


def run(page: Page, form: Form, view: View, desk: TrainingDesk, data: str) -> Iterator[dict[Any, Any]]:
    """The updates of a training."""
    values = values_of(form, data=data, name="spam", text_column="text", label_column="label")
    return train._trained(page, desk, form, view, values)


def test_a_training_is_shown_to_its_end(
    page: Page, form: Form, view: View, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = ScriptedTraining()
    monkeypatch.setattr(train, "train_head", training.steps)
    last = list(run(page, form, view, TrainingDesk(), data))[-1]
    assert "spam is ready" in last[view.message] and "Classify tab" in last[view.message]
    assert last[view.curves].count("<polyline") == 3 and training.closed == 1


def test_one_training_at_a_time(page: Page, form: Form, view: View, data: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train, "train_head", ScriptedTraining(0.02).steps)
    desk = TrainingDesk()
    first = run(page, form, view, desk, data)
    next(first), next(first)
    with pytest.raises(Busy, match="'spam' is being trained"):
        next(run(page, form, view, desk, data))
    list(first)
    assert "is ready" in list(run(page, form, view, desk, data))[-1][view.message]


def test_stop_waits_for_what_is_kept_and_shows_it(
    page: Page, form: Form, view: View, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept: list[Path] = []
    training = ScriptedTraining(0.05, kept=lambda request: kept.append(request.folder))
    monkeypatch.setattr(train, "train_head", training.steps)
    monkeypatch.setattr(train, "read_card", lambda folder: head_card(folder.name, "classify"))
    desk = TrainingDesk()
    updates = run(page, form, view, desk, data)
    next(updates), next(updates)
    assert desk.stop()
    last = list(updates)[-1]
    assert "best head so far is kept" in last[view.message] and kept and not desk.stop()


def test_a_closed_page_closes_the_training_and_frees_the_desk(
    page: Page, form: Form, view: View, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = ScriptedTraining(0.02)
    monkeypatch.setattr(train, "train_head", training.steps)
    desk = TrainingDesk()
    updates = run(page, form, view, desk, data)
    next(updates), next(updates)
    updates.close()  # type: ignore[attr-defined]
    for _ in range(200):
        if not desk.stop():
            break
        train.time.sleep(0.02)
    assert not desk.stop() and training.closed == 1


def test_a_failed_training_frees_the_desk(
    page: Page, form: Form, view: View, data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(request: Any) -> Iterator[FineTuneProgress]:
        yield FineTuneProgress("loading", 0, 1)
        raise BadRequest("one label")

    monkeypatch.setattr(train, "train_head", failing)
    desk = TrainingDesk()
    with pytest.raises(BadRequest, match="one label"):
        list(run(page, form, view, desk, data))
    assert not desk.stop()


def test_every_method_has_its_bar_and_the_picked_one_its_numbers() -> None:
    markup = plan_bars(scripted_plan(TrainClassify(data="", out="", method="full")))
    assert markup.count("<li ") == 4 and markup.count("too big") == 1 and "It does not fit" in markup
    assert "2.5 GiB" in markup and "20.0 GiB" in markup and "&lt;b&gt;LoRA" in markup


def test_a_long_curve_is_thinned_and_keeps_every_validation() -> None:
    curves = Curves()
    for step in range(5 * MOST_POINTS):
        validation = {"f1": 50.0} if step % 100 == 0 else None
        curves.add(FineTuneProgress("training", step, 5 * MOST_POINTS, loss=1.0, validation=validation))
    losses, metrics = curves.markup().split("<figure")[1:]
    assert losses.count(",", losses.index("points=")) < 2 * MOST_POINTS and metrics.count("<circle") == 15


def test_the_progress_tells_the_time_left_and_the_best() -> None:
    line = progress_line(FineTuneProgress("training", 10, STEPS, best={"accuracy": 0.75, "step": 10}, seconds_left=90))
    assert "10 of 40" in line and "about 90.0 s left" in line and "Best accuracy" in line and "0.75" in line


@pytest.mark.parametrize("card, words", [
    (head_card(settings={"best_step": 4}), "Kept: step 4, the highest F1 in validation."),
    (head_card("x", "classify", settings={"best_step": 4}), "Kept: step 4, the highest macro-F1 in validation."),
    (head_card("x", "classify", labels=(), problem="regression", settings={"best_step": 4}), "lowest squared error"),
    (head_card("x", "classify", settings={"strength": 0.01}), "Kept: penalty 0.01, the lowest validation loss."),
])  # fmt: skip
def test_the_result_says_which_head_was_kept_and_why(card: Any, words: str) -> None:
    assert words in trained_markup(card, 3.0, stopped=False)


def test_without_validation_nothing_was_chosen() -> None:
    assert "Kept" not in trained_markup(head_card(metrics={}, settings={"strength": 1.0}), 3.0, stopped=False)


@pytest.mark.parametrize("rows, words", [(1, "Only 1 row validated"), (29, "Only 29 rows validated"), (30, "")])
def test_figures_of_few_rows_are_doubted(rows: int, words: str) -> None:
    shown = trained_markup(head_card(data={"validation_rows": rows}), 3.0, stopped=False)
    assert words in shown if words else "validated it" not in shown


def test_a_fully_trained_model_is_pointed_at_its_folder() -> None:
    card = head_card("whole", "classify", method="full")
    assert "heads/whole" in trained_markup(card, 3.0, stopped=False)
