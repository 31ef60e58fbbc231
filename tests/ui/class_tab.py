"""The Classify tab without a browser: its parts on a scripted manager, and the page's updates as they were made."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr

from tests.ui.fake_classes import ClassifyingManager, class_card
from workbench.evals.data.tables import LOCAL, Table, read_table
from workbench.evals.methods.head import MULTI_LABEL
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.ui.bench import Bench, Page
from workbench.ui.classify.class_asking import all_shown, asked_of_all, explained_by_all, looks_of
from workbench.ui.classify.class_batch import Batch, Batches
from workbench.ui.classify.class_examples import EXAMPLES
from workbench.ui.classify.class_form import settings_column
from workbench.ui.classify.class_many import ended, many_texts
from workbench.ui.classify.class_one import one_text
from workbench.ui.classify.class_running import classified_by_all
from workbench.ui.lens.asking_tokens import looked_at
from workbench.ui.sides.sides_bar import sides_bar

DEMO = ModelSpec("demo")
SMS = "label,sms\nham,can you bring milk home\nspam,claim your free prize\nham,win the prize\nspam,BOOM\n"
SEVERAL = class_card("moods", problem=MULTI_LABEL, labels=("positive", "negative"), settings={"separator": "/"})


class Tab:
    """The parts of the tab on a scripted manager, and the page's updates as they were made."""

    def __init__(self, manager: ClassifyingManager, host: str = "127.0.0.1"):
        self.bench = Bench(Settings(host=host), manager)  # type: ignore[arg-type]
        with gr.Blocks() as blocks:
            sides = sides_bar(self.bench)
            self.page = Page(self.bench, blocks, gr.HTML(), gr.Tabs(), gr.Textbox(), sides)
            self.one, self.many = one_text(EXAMPLES[0], sides), many_texts(EXAMPLES[0], sides)
            self.settings = settings_column(sides)
        self.form, self.part, self.measured = self.settings.each[0], self.one.sides[0], self.many.sides[0]
        self.values = {part: getattr(part, "value", None) for part in blocks.blocks.values()}
        for form in self.settings.each:
            self.values[form.shots] = [list(shot) for shot in EXAMPLES[0].shots]

    def add_side(self) -> None:
        """One more side in use, of the same model."""
        self.values[self.page.sides.count] += 1

    def own(self, index: int, **changes: Any) -> None:
        """Gives a side settings of its own."""
        self.values[self.settings.as_a[index - 1]] = False
        self.values |= {getattr(self.settings.each[index], name): value for name, value in changes.items()}

    def ask(self) -> dict[Any, Any]:
        """Classifies the one text."""
        return self.after(asked_of_all(self.page, self.one, self.settings, self.values))

    def why(self) -> dict[Any, Any]:
        """Asks about the text without its pieces."""
        return self.after(explained_by_all(self.page, self.one, self.values))

    def look(self) -> dict[Any, Any]:
        """Asks for the tokens of the labels."""
        return self.after(looked_at(self.page, self.one.tokens, looks_of(all_shown(self.page, self.one, self.values))))

    def after(self, steps: Iterator[dict[Any, Any]]) -> dict[Any, Any]:
        """All updates taken together, which the tab remembers."""
        for update in steps:
            self.values |= update
        return self.values

    def upload(self, folder: Path, text: str, text_column: str = "sms", label_column: str = "label") -> Table:
        """A table as if it had been uploaded."""
        path = folder / "a.csv"
        path.write_text(text, encoding="utf-8")
        self.values[self.many.uploaded] = read_table(path, LOCAL)
        self.values |= {self.many.text_column: text_column, self.many.label_column: label_column}
        return self.values[self.many.uploaded]

    def many_steps(self) -> Iterator[dict[Any, Any]]:
        """Classifying many texts, an update at a time."""
        return classified_by_all(self.page, self.many, self.settings, self.values)

    def classify(self) -> Batch:
        """Classifies many texts to their end; gives the first side's."""
        return self.classify_all().sides[0]

    def classify_all(self) -> Batches:
        """The same, and gives every side's."""
        batches = self.after(self.many_steps())[self.many.batches]
        assert isinstance(batches, Batches)
        self.values |= ended(self.many, batches)
        return batches
