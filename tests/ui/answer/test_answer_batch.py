"""A file of questions without a browser: judged when uploaded, asked of every side, more than once, and stopped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake_answers import AnsweringManager, AnsweringModel
from workbench.errors import BadRequest
from workbench.evals.data.squad_files import Question
from workbench.settings import Settings
from workbench.ui.answer.answer_batch import batch_view, best_of, file_words, looked_at, with_file
from workbench.ui.answer.answer_running import _settled as settled
from workbench.ui.answer.answer_running import answered_by_all, swapped
from workbench.ui.answer.answer_settings import settings_column
from workbench.ui.bench import Bench, Page
from workbench.ui.sides.sides_bar import sides_bar

ROW = '{"question": "Who?", "context": "A fox.", "answers": ["fox"]}\n'


class Tab:
    """The part on a scripted manager, and the page's updates as they were made."""

    def __init__(self, cache: Path):
        self.bench = Bench(Settings(), AnsweringManager(AnsweringModel(0.01)))  # type: ignore[arg-type]
        with gr.Blocks() as blocks:
            sides = sides_bar(self.bench)
            self.page = Page(self.bench, blocks, gr.HTML(), gr.Tabs(), gr.Textbox(), sides)
            self.view, self.settings = batch_view(sides), settings_column(sides, self.bench.first_spec())
        self.view.file.GRADIO_CACHE = str(cache)
        self.values: dict[Any, Any] = {part: getattr(part, "value", None) for part in blocks.blocks.values()}
        self.values |= {ask.shots: [["", "", ""]] for ask in self.settings.each}

    def add_side(self) -> None:
        """One more side in use, of the same model."""
        self.values[self.page.sides.count] += 1

    def upload(self, path: Path, text: str) -> None:
        """A file as if it had been uploaded."""
        path.write_text(text, encoding="utf-8")
        for update in with_file(self.bench, self.view, str(path)):
            self.values |= update

    def steps(self) -> Iterator[dict[Any, Any]]:
        """The updates of a run, which the tab remembers."""
        for update in answered_by_all(self.page, self.view, self.settings, self.values):
            self.values |= update
            yield update
        if self.values[self.view.asked] is not None:
            self.values |= settled(self.view, self.values[self.view.asked], self.settings, self.values)


@pytest.fixture
def tab(tmp_path: Path) -> Tab:
    """The part with a slow model behind it."""
    return Tab(tmp_path / "cache")


def test_a_file_is_judged_when_it_is_uploaded(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", ROW)
    assert "1 questions: 1 with an answer." in tab.values[tab.view.file_notice]
    with pytest.raises(BadRequest):
        tab.upload(tmp_path / "bad.jsonl", '{"question": "Who?"}\n')


def test_what_a_file_tells_of_its_answers_is_counted() -> None:
    known = [None, True, True, False]
    questions = [Question(str(i), "Q?", "P.", is_impossible=said) for i, said in enumerate(known)]
    words = file_words(questions)
    assert words.startswith("4 questions: 1 with an answer, 2 that can't be answered, 1 without a right answer")


def test_without_a_file_there_is_nothing_to_answer(tab: Tab) -> None:
    with pytest.raises(BadRequest, match="Upload a file"):
        list(tab.steps())


def test_a_file_can_be_asked_again(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", ROW)
    for _ in range(2):
        list(tab.steps())
        assert len(tab.values[tab.view.asked].sides[0].answered.predictions) == 1


def test_a_stopped_run_says_what_is_kept(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", ROW * 500)
    for _ in tab.steps():
        run = tab.values[tab.view.asked]
        if run.reached:
            run.stop()
    told = tab.values[tab.view.sides[0].notice]
    assert 0 < run.reached < 500 and f"Stopped: {run.reached} of 500 questions are kept below." in told


TWO = '{"question": "Who?", "context": "A pathfinder came.", "answers": ["pathfinder"]}\n' + (
    '{"question": "Why?", "context": "A goat waited.", "answers": []}\n'
)


def test_every_side_answers_the_file_and_is_compared(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", TWO)
    tab.add_side()
    tab.values |= {tab.settings.as_a[0]: False, tab.settings.each[1].threshold: -2.0}
    list(tab.steps())
    table = tab.values[tab.view.table].value
    assert table["headers"][2:5] == ["A", "B", "Same"]
    assert [row[2:5] for row in table["data"]] == [
        ["pathfinder", "no answer", "differ"],
        ["waited", "no answer", "differ"],
    ]
    assert "Same answer" in tab.values[tab.view.compared] and "Is one better?" in tab.values[tab.view.compared]
    assert all("Exact match" in tab.values[side.figures] for side in tab.view.sides[:2])


def test_answers_move_with_the_sides_that_are_swapped(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", TWO)
    tab.add_side()
    tab.values |= {tab.settings.as_a[0]: False, tab.settings.each[1].threshold: -2.0}
    list(tab.steps())
    run = tab.values[tab.view.asked]
    update = swapped(tab.view, run, tab.settings, tab.values)
    assert run.ended and [one.side.letter for one in update[tab.view.asked].sides] == ["A", "B"]
    assert [row[2:4] for row in update[tab.view.table].value["data"]] == [
        ["no answer", "pathfinder"], ["no answer", "waited"]
    ]  # fmt: skip
    assert update[tab.view.asked].sides[0].answered is run.sides[1].answered


def test_one_side_alone_is_compared_with_nothing(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", TWO)
    list(tab.steps())
    assert tab.values[tab.view.compared] == "" and "No answer ahead by" in tab.values[tab.view.table].value["headers"]


def test_a_side_that_can_not_be_asked_leaves_the_file_to_the_others(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", TWO)
    tab.add_side()
    tab.values |= {tab.settings.as_a[0]: False, tab.settings.each[1].method: "sold"}
    list(tab.steps())
    assert "no head" in tab.values[tab.view.sides[1].notice] and tab.values[tab.view.asked].reached == 2


def test_a_threshold_decides_anew_over_the_sides_that_share_it(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", TWO)
    tab.add_side()
    list(tab.steps())
    tab.values[tab.settings.each[0].threshold] = -2.0
    update = settled(tab.view, tab.values[tab.view.asked], tab.settings, tab.values)
    assert [row[2:4] for row in update[tab.view.table].value["data"]] == [["no answer", "no answer"]] * 2


def test_the_best_threshold_is_offered_to_a_side_with_one_of_its_own(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", TWO)
    tab.add_side()
    list(tab.steps())
    assert [tab.values[side.best].visible for side in tab.view.sides[:2]] == [True, False]
    run = tab.values[tab.view.asked]
    assert best_of(run, 0, 5.0) == best_of(run, 1, 5.0) != 5.0 and best_of(run, 2, 5.0) == best_of(None, 0, 5.0) == 5.0


def test_a_row_shows_every_sides_answer_in_the_passage(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", TWO)
    tab.add_side()
    list(tab.steps())
    run = tab.values[tab.view.asked]
    shown = looked_at(tab.view, run, "2", [0.0, 0.0])
    assert ["A goat waited." in shown[taken.one] for taken in tab.view.taken] == [True, True, False]
    assert not any(looked_at(tab.view, run, "9", [0.0, 0.0]).values())
