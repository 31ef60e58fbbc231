"""The Precision tab's form: which checkpoint in which precisions, and what they are compared on."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import gradio as gr

from workbench.errors import BadRequest
from workbench.evals.precision_report import Material
from workbench.evals.task import Task
from workbench.evaluating import SAMPLES, all_tasks
from workbench.loading.precision import precisions
from workbench.manager import ModelSpec
from workbench.precision_sides import MOST_PRECISIONS, prompt_material, task_material, text_material
from workbench.profiles import Profile
from workbench.ui.answer.passages import PASSAGES
from workbench.ui.bench import Bench, spec_name
from workbench.ui.benchmark.benchmark_form import HUB, whole

PROMPT, TEXT, TASK = "prompt", "text", "task"
_KINDS = [("A prompt", PROMPT), ("A text", TEXT), ("A task's rows", TASK)]
_FIRST = ("float32", "bfloat16", "int8")
_TEXT = "\n\n".join(dict.fromkeys(passage.text for passage in PASSAGES))
_TASK = "our_sentiment"
"""Its rows come with the project."""
_PROMPT = "Once upon a time there was a little fox who lived in a wood."


@dataclass(frozen=True)
class AskedReport:
    """What the precisions of a checkpoint are compared on: one of prompt, text and task."""

    precisions: tuple[str, ...]
    new_tokens: int
    prompt: str | None = None
    text: str | None = None
    task: str | None = None
    samples: bool = False
    """Whether made-up rows stand in for the task's own."""
    limit: int | None = None
    """Rows of the task; None: all."""


@dataclass(frozen=True)
class Form:
    """The controls."""

    model: gr.Dropdown
    precisions: gr.CheckboxGroup
    kind: gr.Radio
    prompt: gr.Textbox
    text: gr.Textbox
    rows: gr.Column
    task: gr.Dropdown
    data: gr.Radio
    limit: gr.Number
    length: gr.Slider

    def inputs(self) -> set[Any]:
        """Everything that a report is made of."""
        return set(self.named().values())

    def named(self) -> dict[str, Any]:
        """The controls by their names in a link."""
        return {
            "checkpoint": self.model, "precisions": self.precisions, "on": self.kind, "prompt": self.prompt,
            "text": self.text, "task": self.task, "rows": self.data, "most": self.limit, "length": self.length,
        }  # fmt: skip

    def spec(self, bench: Bench, values: Mapping[Any, Any]) -> ModelSpec:
        """The checkpoint, in no precision yet.

        Raises:
            BadRequest: it is not on the list any more.
        """
        try:
            return checkpoints(bench)[values[self.model]]
        except KeyError:
            raise BadRequest(
                f"The checkpoint {values[self.model]!r} is not on the list any more. Pick another."
            ) from None

    def asked(self, bench: Bench, values: Mapping[Any, Any]) -> AskedReport:
        """What the precisions are to be compared on; no row is read yet.

        Raises:
            BadRequest: it is too much for a page that others use too, or there is no such task.
        """
        profile, kind = bench.settings.profile, values[self.kind]
        names = tuple(values[self.precisions] or ())
        length = whole("New tokens", values[self.length], 0, 512)
        if kind == TASK:
            return self._asked_rows(profile, values, AskedReport(names, length))
        text = values[self.prompt if kind == PROMPT else self.text] or ""
        most = profile.benchmarks.precision_characters
        if len(text) > most:
            raise BadRequest(f"The text has {len(text):,} characters; at most {most:,} are taken.")
        return AskedReport(names, length, prompt=text) if kind == PROMPT else AskedReport(names, length, text=text)

    def _asked_rows(self, profile: Profile, values: Mapping[Any, Any], asked: AskedReport) -> AskedReport:
        tasks, name, samples = all_tasks(), values[self.task], values[self.data] == SAMPLES
        if name not in tasks:
            raise BadRequest("No task is picked. Pick one from the list.")
        most = profile.benchmarks.precision_rows
        limit = whole("Rows", values[self.limit], 0, most)
        task = tasks[name]
        if not samples and task.source is None and not task.complete:
            raise BadRequest(f"The task {task.name} has no data set of its own. Try it on its made-up samples.")
        if not samples and not task.complete and not limit and profile.others:
            raise BadRequest(f"Others use this page too: set Rows to a number from 1 to {most}.")
        return replace(asked, task=name, samples=samples, limit=limit or None)

    def material(self, bench: Bench, values: Mapping[Any, Any]) -> tuple[Task[Any] | None, Material]:
        """What the precisions are compared on, and the task whose rows they answer.

        Raises:
            BadRequest: there is nothing, or too much for a page that others use too.
        """
        asked = self.asked(bench, values)
        if asked.task is not None:
            rows: Literal["samples"] | None = SAMPLES if asked.samples else None
            limits = bench.settings.profile.files
            return task_material(all_tasks()[asked.task], rows, asked.limit, asked.new_tokens, limits)
        if asked.prompt is not None:
            return None, prompt_material(asked.prompt, max(1, asked.new_tokens))
        return None, text_material(asked.text or "", asked.new_tokens)


def checkpoints(bench: Bench) -> dict[str, ModelSpec]:
    """Every checkpoint that may be picked, whatever precisions of it are loaded."""
    specs = (replace(spec, precision=None) for spec in bench.specs().values())
    return {spec_name(spec): spec for spec in specs}


def form_view(bench: Bench) -> Form:
    """Draws the form, to be called where it should stand."""
    names = list(checkpoints(bench))
    model = gr.Dropdown(
        names, value=names[0], label="Checkpoint", elem_id="precision-model", info="In place of the sides above."
    )
    held = gr.CheckboxGroup(
        list(precisions()), value=[name for name in _FIRST if name in precisions()], label="Precisions",
        info=f"From 2 to {MOST_PRECISIONS}; the others are measured against the widest.", elem_id="precision-names",
    )  # fmt: skip
    kind = gr.Radio(_KINDS, value=PROMPT, label="Compared on", elem_id="precision-kind")
    prompt = gr.Textbox(
        _PROMPT, label="Prompt", lines=4, max_lines=12, elem_id="precision-prompt",
        info="Each continues it; what the reference writes, all read.",
    )  # fmt: skip
    text = gr.Textbox(
        _TEXT, label="Text", lines=8, max_lines=20, elem_id="precision-text", visible=False,
        info="Each reads it; the beginnings of its paragraphs are continued.",
    )  # fmt: skip
    with gr.Column(visible=False, elem_id="precision-rows") as rows:
        tasks = [(f"{task.name}: {task.about}", task.name) for task in all_tasks().values()]
        task = gr.Dropdown(tasks, value=_TASK, label="Task", elem_id="precision-task")
        with gr.Row():
            data = gr.Radio(
                [("The task's data set", HUB), ("Made-up samples", SAMPLES)], value=HUB, label="Rows",
                elem_id="precision-data", min_width=220,
            )  # fmt: skip
            limit = gr.Number(
                100, label="At most", precision=0, min_width=110, elem_id="precision-limit", info="0: all"
            )
    length = gr.Slider(
        0, 256, 64, step=1, label="New tokens", elem_id="precision-length", info="Of each text that is continued."
    )
    return Form(model, held, kind, prompt, text, rows, task, data, limit, length)
