"""The columns of the Generate tab: texts that grow beside each other, each on its own."""

import time
from dataclasses import replace
from typing import Any

import gradio as gr
import pytest

from tests.ui.fake import FakeLanguageModel, FakeManager
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.text.requests import Generate
from workbench.ui.bench import Bench, Page
from workbench.ui.generate.generate_columns import Asked, Column, Shown, column_view, write
from workbench.ui.sides.sides import LETTERS, Chosen
from workbench.ui.sides.sides_bar import sides_bar
from workbench.ui.spec_names import spec_name


class Written:
    """A page with three columns, and what was written into them."""

    def __init__(self) -> None:
        self.model = FakeLanguageModel()
        bench = Bench(Settings(), FakeManager(self.model))  # type: ignore[arg-type]
        with gr.Blocks() as blocks:
            self.page = Page(bench, blocks, gr.HTML(), gr.Tabs(), gr.Textbox(), sides_bar(bench))
            self.columns: list[Column] = [column_view(side) for side in self.page.sides.all]
        self.last: dict[Any, Any] = {}
        self.shown = Shown(())

    def write(self, shown: Shown, *places: int) -> None:
        """Writes to the end."""
        self.shown = yield_from(write(self.page, self.columns, shown, places), self.last)


def yield_from(steps: Any, last: dict[Any, Any]) -> Any:
    """What the steps return; every update goes into `last`."""
    while True:
        try:
            last |= next(steps)
        except StopIteration as end:
            return end.value


def shown_of(*prompts: str, blind: bool = False) -> Shown:
    """A column for each prompt, the sides in float32, int8 and nf4."""
    columns = []
    for index, (prompt, precision) in enumerate(zip(prompts, ("float32", "int8", "nf4"), strict=False)):
        spec = ModelSpec("demo", precision=precision)
        side = Chosen(index, LETTERS[index], spec_name(spec), spec)
        columns.append(Asked(side, Generate(prompt, max_new_tokens=5, seed=3)))
    return Shown(tuple(columns), prompts[0], blind)


@pytest.fixture
def written() -> Written:
    """A page."""
    return Written()


def test_all_columns_are_written_at_once(written: Written) -> None:
    written.write(shown_of("Once", "Once"), 0, 1)
    assert written.shown.ended
    texts = [asked.text for asked in written.shown.columns]
    assert texts[0] == texts[1] == " the old fox looked at"
    for column in written.columns[:2]:
        assert '"finish_reason":"length"' in written.last[column.tokens]
        assert "length reached" in written.last[column.figures]


def test_each_column_tells_what_its_own_model_weighs(written: Written) -> None:
    written.write(shown_of("Once", "Once"), 0, 1)
    assert "27.5 MiB" in written.last[written.columns[0].figures]
    assert "6.9 MiB" in written.last[written.columns[1].figures]


def test_one_sides_error_leaves_the_others_going(written: Written) -> None:
    written.write(shown_of("Once", "BOOM", "Once"), 0, 1, 2)
    assert "The prompt holds &lt;b&gt;BOOM" in written.last[written.columns[1].notice]
    assert [asked.text is None for asked in written.shown.columns] == [False, True, False]
    assert not written.shown.ended


def test_a_branch_leaves_the_other_columns_alone(written: Written) -> None:
    written.write(shown_of("Once", "Once"), 1)
    assert written.columns[0].tokens not in written.last
    assert written.shown.columns[0].text is None and written.shown.columns[1].text is not None


def test_a_blind_column_tells_neither_name_nor_figures(written: Written) -> None:
    written.write(shown_of("Once", "Once", blind=True), 0, 1)
    for column in written.columns[:2]:
        assert "int8" not in written.last[column.tokens] and "float32" not in written.last[column.tokens]
        assert "idle" in written.last[column.figures]
    assert written.shown.columns[1].figures is not None  # kept for the vote


def test_closing_stops_every_text(written: Written) -> None:
    written.model.seconds_per_token = 0.01
    long = replace(shown_of("Once", "Once").columns[0].request, max_new_tokens=1000)
    shown = Shown(tuple(replace(asked, request=long) for asked in shown_of("Once", "Once").columns))
    steps = write(written.page, written.columns, shown, (0, 1))
    for _ in range(4):
        next(steps)
    steps.close()
    for _ in range(200):
        if written.model.closed == 2:
            break
        time.sleep(0.05)
    assert written.model.closed == len(written.model.requests) == 2 and written.model.steps < 2000


def test_the_head_of_the_page_is_told_that_a_model_was_loaded(written: Written) -> None:
    written.write(shown_of("Once", "Once"), 0, 1)
    assert "demo · int8" in written.last[written.page.status]
