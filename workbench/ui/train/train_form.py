"""The Train tab's form: one control for each field of a training request, and the request that they ask for."""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any, cast

import gradio as gr

from workbench.errors import BadRequest
from workbench.loading.precision import precisions
from workbench.settings import Settings
from workbench.training.head_request import PROBLEMS, TrainAnswer, TrainClassify
from workbench.ui.bench import Bench
from workbench.ui.components import html
from workbench.ui.train.train_data import HINTS

KINDS: dict[str, type[TrainClassify] | type[TrainAnswer]] = {"classify": TrainClassify, "answer": TrainAnswer}

METHODS = {
    "probe": ("Probe", "the frozen model reads each text once, then a linear head is fitted to what it saw: seconds."),
    "head": ("Head", "the same linear head, trained in steps over the frozen model: as little memory, more patience."),
    "lora": ("LoRA", "small matrices beside the frozen model's own learn too: better answers, a file of a few MiB."),
    "full": ("Full", "every weight learns: the best fit to much data, for four copies of the model in memory."),
}
"""Name and one sentence for each method, from cheap to dear."""

GROUPS: dict[str, tuple[str, ...]] = {
    "Steps": (
        "epochs", "batch_size", "accumulate", "learning_rate", "schedule", "weight_decay", "optimizer",
        "gradient_checkpointing", "seed", "save_every",
    ),
    "Texts and validation": (
        "max_tokens", "window_tokens", "doc_stride", "max_answer_tokens", "separator", "validation_share",
        "validate_every", "patience",
    ),
    "LoRA": ("rank", "alpha", "dropout", "targets"),
}  # fmt: skip
"""Accordion and its fields; what a kind of head does not have is not shown for it."""

MEMORY_FIELDS = (
    "batch_size", "gradient_checkpointing", "optimizer", "max_tokens", "window_tokens", "rank", "targets", "problem",
)  # fmt: skip
"""The settings that a memory plan depends on."""

_KINDS = [("A classifier of texts", "classify"), ("Answers to questions, in a passage", "answer")]
_PROBLEMS = (("One label", PROBLEMS[0]), ("Several labels", PROBLEMS[1]), ("A number", PROBLEMS[2]))
_DATA_ENDINGS = [".csv", ".tsv", ".jsonl", ".json"]
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")


@dataclass(frozen=True)
class Form:
    """The controls of a request; the files and the name stand for paths that only the server makes."""

    kind: gr.Radio
    data: gr.File
    validation: gr.File
    text_column: gr.Dropdown
    label_column: gr.Dropdown
    model: gr.Dropdown
    precision: gr.Dropdown
    method: gr.Radio
    name: gr.Textbox
    fields: dict[str, Any]
    """Every other field's control, by its name."""
    columns: gr.Row
    """Of the classifier: the two column pickers and the problem."""
    lora: gr.Accordion
    facts: gr.HTML
    """What was read of the data."""

    def inputs(self) -> set[Any]:
        """Everything a request is made of."""
        files = (self.data, self.validation, self.text_column, self.label_column)
        return {self.kind, *files, self.model, self.precision, self.method, self.name, *self.fields.values()}

    def planned_by(self) -> list[Any]:
        """The controls that change the memory plan."""
        return [self.model, self.precision, self.method, *(self.fields[name] for name in MEMORY_FIELDS)]

    def settings(self, values: dict[Any, Any]) -> dict[str, Any]:
        """The plain settings of the picked kind of head by their names, in their types."""
        asked = KINDS[values[self.kind]]
        found: dict[str, Any] = {"model": values[self.model], "method": values[self.method]}
        found["precision"] = values[self.precision] or None
        for field in dataclasses.fields(asked):
            if field.name in self.fields:
                found[field.name] = _typed(field, values[self.fields[field.name]])
        if asked is TrainClassify:
            found |= {"text_column": values[self.text_column] or "", "label_column": values[self.label_column] or ""}
        return found

    def request(self, values: dict[Any, Any], settings: Settings) -> TrainClassify | TrainAnswer:
        """The request for what the form says.

        Raises:
            BadRequest: no data, no fitting name, or a value out of its range.
        """
        if not values[self.data]:
            raise BadRequest("There is no data to train on. Upload a file first.")
        out = settings.heads_folder / head_name(values[self.name])
        validation = values[self.validation] or None
        return KINDS[values[self.kind]](
            data=values[self.data], validation=validation, out=str(out), **self.settings(values)
        )

    def planned(self, values: dict[Any, Any]) -> TrainClassify | TrainAnswer:
        """The request that is planned before the head has a name.

        Raises:
            BadRequest: a value out of its range.
        """
        return KINDS[values[self.kind]](
            data=values[self.data], validation=values[self.validation] or None, out="", **self.settings(values)
        )


def form_view(bench: Bench) -> Form:
    """Draws the form, to be called where it should stand."""
    kind = gr.Radio(_KINDS, value="classify", label="What to train", elem_id="train-kind")
    with gr.Row():
        upload: dict[str, Any] = {"file_types": _DATA_ENDINGS, "height": 116, "elem_classes": "upload-box"}
        data = gr.File(label="Data", elem_id="train-data", **upload)
        validation = gr.File(label="Validation data (optional)", elem_id="train-validation", **upload)
    facts = html(hint_markup("classify"), elem_id="train-facts")
    with gr.Row() as columns:
        text_column = gr.Dropdown([], label="Text column", allow_custom_value=True, min_width=140)
        label_column = gr.Dropdown([], label="Label column", allow_custom_value=True, min_width=140)
        problem = gr.Dropdown(list(_PROBLEMS), value=PROBLEMS[0], label="A text has", min_width=140)
    with gr.Row():
        names = list(bench.manager.known())
        model = gr.Dropdown(
            names, value=bench.settings.model, label="Model to train on", info="In place of the sides above.",
            allow_custom_value=True, min_width=140,
        )  # fmt: skip
        choices = [("As stored", ""), *((name, name) for name in precisions())]
        precision = gr.Dropdown(
            choices, value="", label="Precision", info="Of the model that is trained on.", min_width=140
        )
    sentences = [(f"{name}: {sentence}", method) for method, (name, sentence) in METHODS.items()]
    method = gr.Radio(sentences, value="probe", label="Method", elem_id="train-method", elem_classes="stacked")
    fields: dict[str, Any] = {"problem": problem}
    for title, members in GROUPS.items():
        with gr.Accordion(title, open=False, visible=title != "LoRA") as lora, gr.Row():
            fields |= {member: control(member) for member in members}
    name = gr.Textbox(
        label="Name of the head", placeholder="spam-probe", max_lines=1, elem_id="train-name",
        info="A head is the part that is trained on top of the model. Letters, digits and dashes; it is written to the "
        "folder of heads, beside its card.",
    )  # fmt: skip
    return Form(
        kind, data, validation, text_column, label_column, model, precision, method, name, fields, columns, lora, facts
    )


def shown_for(form: Form, kind: str, method: str) -> dict[Any, Any]:
    """What is shown of the form for a kind of head and a method."""
    own = {field.name for field in dataclasses.fields(KINDS[kind])}
    fields = {part: type(part)(visible=name in own) for name, part in form.fields.items()}
    return fields | {
        form.columns: gr.Row(visible=kind == "classify"),
        form.lora: gr.Accordion(visible=method == "lora"),
    }


def hint_markup(kind: str) -> str:
    """What the data of a kind of head must be."""
    return f"<p class='keys'>{HINTS[kind]}</p>"


def head_name(text: str | None) -> str:
    """A head's name, fit to be a folder's.

    Raises:
        BadRequest: it is empty or holds anything but letters, digits and dashes.
    """
    name = (text or "").strip()
    if not _NAME.fullmatch(name):
        raise BadRequest(
            f"The head needs a name of letters, digits and dashes, at most 64, such as spam-probe; got {name!r}."
        )
    return name


def control(name: str) -> Any:
    """The control of a field, to be called where it should stand."""
    field = next(field for kind in KINDS.values() for field in dataclasses.fields(kind) if field.name == name)
    words, default = field.metadata["help"], cast(Any, field.default)
    common: dict[str, Any] = {
        "label": name.replace("_", " ").capitalize(),
        "info": f"{words[0].upper()}{words[1:]}.",
        "elem_id": f"train-{name.replace('_', '-')}",
        "min_width": 150,
    }
    if choices := field.metadata.get("choices"):
        return gr.Dropdown([(choice.replace("_", " "), choice) for choice in choices], value=default, **common)
    if field.metadata.get("many"):
        return gr.Textbox(", ".join(default), **common)
    if field.metadata["kind"] is bool:
        return gr.Checkbox(default, **common)
    if field.metadata["kind"] is str or default is None:  # an empty number box would send 0
        return gr.Textbox(default, max_lines=1, **common)
    return gr.Number(default, precision=0 if field.metadata["kind"] is int else None, **common)


def _typed(field: dataclasses.Field, value: Any) -> Any:
    """A control's value in the type of its field; an emptied control stands for the default."""
    if field.metadata.get("many"):
        return tuple(part.strip() for part in (value or "").split(",") if part.strip())
    if value is None or value == "":
        return field.default
    if isinstance(value, str) and field.metadata["kind"] is float:
        try:
            return float(value)
        except ValueError:
            raise BadRequest(f"{field.name} is {value!r}; it must be a number, or empty for the default.") from None
    if field.metadata["kind"] is int and isinstance(value, float):
        return int(value) if value.is_integer() else value
    return value
