"""The Benchmark tab's form: which tasks on the sides over which rows, and the evaluations that it asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gradio as gr

from workbench.errors import BadRequest
from workbench.evals.runs.runner import Options
from workbench.evals.task import Task
from workbench.evaluating import SAMPLES, Evaluation, all_tasks
from workbench.loading.precision import precisions
from workbench.manager import ModelSpec
from workbench.profiles import Profile
from workbench.ui.bench import Bench
from workbench.ui.head_choice import Kind, fitting_heads, method_choices
from workbench.ui.sides.sides import Chosen, Sides

METHODS = {
    "multiple_choice": "Multiple choice",
    "cloze": "Last word",
    "perplexity": "Perplexity",
    "classification": "Classification",
    "extraction": "Answers in a passage",
    "generation": "Free text",
}
"""What the page calls each way of asking, in its order."""
HEAD_KINDS: dict[str, Kind] = {"classification": "classify", "extraction": "answer"}
"""The tasks that a trained head can answer too."""
HUB, FILE = "hub", "file"
HEAD_NAMES = ("a.head", "b.head", "c.head")
"""Of the sides' heads in a link."""
_DEFAULT_EXAMPLES = 100
_DATA = [("The task's data set", HUB), ("Made-up samples", SAMPLES), ("My own file", FILE)]
_DATA_INFO = "Samples come with the page and cost seconds; data sets are fetched from the Hub once."
_ENDINGS = [".csv", ".tsv", ".jsonl", ".json", ".parquet"]


@dataclass(frozen=True)
class Form:
    """The controls."""

    tasks: dict[str, gr.CheckboxGroup]
    """By method."""
    data: gr.Radio
    file: gr.File
    sides: Sides
    """The models that are asked."""
    precisions: gr.CheckboxGroup
    """In which each side is asked too."""
    heads: tuple[gr.Dropdown, ...]
    """One for each side."""
    limit: gr.Number
    shots: gr.Number
    seed: gr.Number

    def inputs(self) -> set[Any]:
        """Everything an evaluation is made of."""
        return {*self.named().values(), self.file, *self.sides.inputs()}

    def named(self) -> dict[str, Any]:
        """The controls by their names in a link; no link holds a file."""
        settings = {"rows": self.data, "precisions": self.precisions, "most": self.limit, "shots": self.shots}
        heads = dict(zip(HEAD_NAMES, self.heads, strict=True))
        return {**self.tasks, **settings, "seed": self.seed, **heads}

    def chosen(self, values: dict[Any, Any]) -> list[Task[Any]]:
        """The tasks that are ticked, in the page's order."""
        known = all_tasks()
        ticked = {name for group in self.tasks.values() for name in values[group]}
        return [task for task in known.values() if task.name in ticked]

    def specs(self, values: dict[Any, Any], bench: Bench) -> list[tuple[Chosen, ModelSpec]]:
        """Each side as it stands, then in each precision that is ticked; a side's index goes with its models.

        Raises:
            BadRequest: a model is not there any more.
        """
        return [
            (side, spec)
            for side in self.sides.chosen(bench, values)
            for spec in (side.spec, *(replace(side.spec, precision=name) for name in values[self.precisions] or ()))
        ]

    def options(self, values: dict[Any, Any]) -> Options:
        """Limit, shots and seed."""
        limit = whole("Examples", values[self.limit] or 0, 0, 10_000_000)
        shots, seed = whole("Worked examples", values[self.shots], 0, 100), whole("Seed", values[self.seed], 0, 2**31)
        return Options(limit=limit or None, shots=shots, seed=seed)

    def evaluations(
        self, values: dict[Any, Any], bench: Bench, files: Mapping[str, Path] | None = None
    ) -> list[Evaluation]:
        """A run for every task on every model, each once, the models one after another so that each is loaded once.

        Args:
            files: by task, where the uploaded files are kept as long as runs may need them.

        Raises:
            BadRequest: nothing is chosen, or what is chosen can't be run.
        """
        tasks, specs = self.chosen(values), self.specs(values, bench)
        if not tasks:
            raise BadRequest("No task is ticked. Tick one or more in the list.")
        options, samples = self.options(values), values[self.data] == SAMPLES
        asked: dict[str, Evaluation] = {}
        for side, spec in specs:
            for task in tasks:
                data = SAMPLES if samples else (files or {}).get(task.name)
                head = self.head_for(values, task, side.index)
                asked.setdefault(repr((task.name, spec, head)), Evaluation(task, spec, options, data, head))
        check_evaluations(list(asked.values()), bench.settings.profile)
        return list(asked.values())

    def head_for(self, values: dict[Any, Any], task: Task[Any], side: int) -> str | None:
        """The head that is picked for a side, for a task that it can answer; None: the language model answers."""
        kind, _, name = (values[self.heads[side]] or "").partition(":")
        return name if name and HEAD_KINDS.get(task.method.name) == kind else None


def check_evaluations(asked: list[Evaluation], profile: Profile) -> None:
    """Raises BadRequest where too much is asked for, or a task has no rows to read."""
    most, most_examples = profile.benchmarks.runs, profile.benchmarks.examples
    if len(asked) > most:
        raise BadRequest(f"{len(asked):,} runs are too many at once; at most {most:,} are taken. Tick fewer tasks.")
    for one in asked:
        comes_along = one.data == SAMPLES or (one.data is None and one.task.complete)
        if one.data is None and one.task.source is None and not comes_along:
            raise BadRequest(
                f"The task {one.task.name} has no data set of its own. Choose “My own file” and upload one, or try it "
                "on its made-up samples."
            )
        if not comes_along and (one.options.limit or most_examples + 1) > most_examples and profile.others:
            raise BadRequest(f"Others use this page too: set Examples to a number from 1 to {most_examples:,}.")
        if isinstance(one.data, Path) and profile.others:
            raise BadRequest(
                "Runs on this page can be read by everybody, and so could your file. Evaluate it on your own machine."
            )


def files_of(paths: Sequence[str], tasks: Sequence[Task[Any]]) -> dict[str, str]:
    """Which uploaded file each task reads: a single one serves all; of several, the one that is named as the task.

    Raises:
        BadRequest: there is none for a task.
    """
    if not paths:
        raise BadRequest("There is no file. Upload one, or choose other rows.")
    if len(paths) == 1:
        return {task.name: paths[0] for task in tasks}
    named = {Path(path).stem: path for path in paths}
    for task in tasks:
        if task.name not in named:
            raise BadRequest(
                f"None of the {len(paths)} files is for {task.name}. Of several, each is named as its task: "
                f"{task.name}.jsonl, {task.name}.csv, …"
            )
    return {task.name: named[task.name] for task in tasks}


def whole(name: str, value: Any, low: int, high: int) -> int:
    """A whole number of the form.

    Raises:
        BadRequest: anything else.
    """
    given = "empty" if value is None else repr(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or value != int(value):
        raise BadRequest(f"{name} must be a whole number from {low:,} to {high:,}; it is {given}.")
    return int(value)


def form_view(groups: dict[str, gr.CheckboxGroup], sides: Sides, shared: bool = False) -> Form:
    """Draws the form below the lists of tasks, to be called where it should stand; a shared page takes no files."""
    rows = [(name, value) for name, value in _DATA if value != FILE or not shared]
    data = gr.Radio(rows, value=HUB, label="Rows", info=_DATA_INFO, elem_id="bench-data")
    file = gr.File(
        label="CSV, JSONL or Parquet; of several, each named as its task",
        file_count="multiple", file_types=_ENDINGS, height=120,
        visible=False, elem_id="bench-file",
    )  # fmt: skip
    held = gr.CheckboxGroup(
        list(precisions()), value=[], label="Also in these precisions", elem_id="bench-precisions",
        info="Each side above is run as it stands there, and in each of these too.",
    )  # fmt: skip
    with gr.Row():
        limit = gr.Number(
            _DEFAULT_EXAMPLES, label="Examples", precision=0, min_width=110, elem_id="bench-limit",
            info="Of each task; 0: all.",
        )  # fmt: skip
        shots = gr.Number(0, label="Worked examples", precision=0, min_width=110, elem_id="bench-shots",
                          info="Shown before each.")  # fmt: skip
        seed = gr.Number(0, label="Seed", precision=0, min_width=110, info="Draws them.")
    return Form(groups, data, file, sides, held, _heads(sides), limit, shots, seed)


def _heads(sides: Sides) -> tuple[gr.Dropdown, ...]:
    """What answers on each side; B's and C's are there while the side is."""
    found = []
    for side in sides.all:
        letter = side.letter.lower()
        head = gr.Dropdown(
            method_choices({}), value="", label=f"On side {side.letter}, classification and passages are answered by",
            elem_id=f"bench-head-{letter}", visible=not side.index,
        )  # fmt: skip
        if side.index:
            sides.follow(side.index, head)
        found.append(head)
    return tuple(found)


def task_lists() -> dict[str, gr.CheckboxGroup]:
    """Draws a list to tick for each method, in one box that scrolls and can be searched."""
    by_method: dict[str, list[Task[Any]]] = {}
    for task in all_tasks().values():
        by_method.setdefault(task.method.name, []).append(task)
    gr.HTML(_SEARCH, js_on_load=_SEARCH_JS, apply_default_css=False, elem_id="bench-search")
    groups = {}
    with gr.Column(elem_id="bench-tasks"):
        for method in sorted(by_method, key=_place):
            choices = [(f"{task.name}: {task.about}", task.name) for task in by_method[method]]
            label = METHODS.get(method, method)
            groups[method] = gr.CheckboxGroup(choices, label=label, elem_classes="stacked task-group")
    return groups


def _place(method: str) -> int:
    order = list(METHODS)
    return order.index(method) if method in order else len(order)


_SEARCH = """
<label class="search"><span>Tasks</span>
  <input type="search" placeholder="Search: physics, sentiment, story, …" aria-label="Search the tasks"></label>
"""
_SEARCH_JS = """
element.querySelector("input").addEventListener("input", (event) => {
  const words = event.target.value.toLowerCase().split(/\\s+/).filter(Boolean);
  for (const group of document.querySelectorAll("#bench-tasks .task-group")) {
    let shown = 0;
    for (const label of group.querySelectorAll("label:has(input)")) {
      const fits = words.every((word) => label.textContent.toLowerCase().includes(word));
      label.style.display = fits ? "" : "none";
      shown += fits;
    }
    group.style.display = shown ? "" : "none";
  }
});
"""


def head_choices(bench: Bench, spec: ModelSpec) -> list[tuple[str, str]]:
    """Label and value of every way to answer: the language model, or one of its trained heads."""
    choices = [("The language model itself", "")]
    for kind in HEAD_KINDS.values():
        cards = fitting_heads(bench, spec, kind)
        choices += [(label, f"{kind}:{value}") for label, value in method_choices(cards) if value]
    return choices
