"""A file of questions without a browser: judged when it is uploaded, asked more than once, and stopped."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake_answers import AnsweringManager, AnsweringModel
from workbench.errors import BadRequest
from workbench.evals.data.squad_files import Question
from workbench.settings import Settings
from workbench.ui.answer_batch import _read as read
from workbench.ui.answer_batch import _run as run
from workbench.ui.answer_batch import batch_view, file_words
from workbench.ui.answer_settings import settings_column
from workbench.ui.bench import Bench, Page

ROW = '{"question": "Who?", "context": "A fox.", "answers": ["fox"]}\n'


class Tab:
    """The part on a scripted manager, and the page's updates as they were made."""

    def __init__(self, cache: Path):
        self.bench = Bench(Settings(), AnsweringManager(AnsweringModel(0.01)))  # type: ignore[arg-type]
        with gr.Blocks() as blocks:
            self.page = Page(self.bench, blocks, gr.HTML(), gr.Tabs(), gr.Textbox())
            self.view, self.ask = batch_view(), settings_column(self.bench)
        self.view.file.GRADIO_CACHE = str(cache)
        self.values: dict[Any, Any] = {part: part.value for part in (*self.view.outputs(), *self.ask.inputs())}
        self.values |= {self.view.uploaded: None, self.ask.shots: [["", "", ""]]}

    def upload(self, path: Path, text: str) -> None:
        """A file as if it had been uploaded."""
        path.write_text(text, encoding="utf-8")
        for update in read(self.bench, self.view, str(path)):
            self.values |= update

    def steps(self) -> Iterator[dict[Any, Any]]:
        """The updates of a run, which the tab remembers."""
        for update in run(self.page, self.view, self.ask, self.values):
            self.values |= update
            yield update


@pytest.fixture
def tab(tmp_path: Path) -> Tab:
    """The part with a slow model behind it."""
    return Tab(tmp_path / "cache")


def test_a_file_is_judged_when_it_is_uploaded(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", ROW)
    assert "1 questions: 1 with an answer." in tab.values[tab.view.notice]
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
        assert len(tab.values[tab.view.answered].predictions) == 1


def test_a_stopped_run_says_what_is_kept(tab: Tab, tmp_path: Path) -> None:
    tab.upload(tmp_path / "q.jsonl", ROW * 500)
    for _ in tab.steps():
        answered = tab.values[tab.view.answered]
        if answered.predictions:
            answered.stop.set()
    kept = len(answered.predictions)
    assert 0 < kept < 500 and f"Stopped: {kept} of 500 questions are kept below." in tab.values[tab.view.notice]
