"""A head's README.md: a model card for people, with the front matter that the Hugging Face Hub reads."""

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from workbench.loading.head_card import HEAD_FILE, HeadCard
from workbench.loading.source import HUB_ID

README = "README.md"
TASKS = {"classify": "text-classification", "answer": "question-answering"}
CLASSES = {"classify": "GPTJForSequenceClassification", "answer": "GPTJForQuestionAnswering"}
WAYS = {
    "probe": "a linear probe: the trunk ran once over the data, and the head was trained on its hidden states",
    "head": "the head alone; the trunk stayed as it is",
    "lora": "the head and LoRA matrices beside the trunk's layers; the trunk's own weights stayed as they are",
    "full": "the head and all weights of the trunk",
}
SHOWN_LABELS = 50
MARKUP = re.compile(r"[\\`*_\[\]<>|#]")
UNSAFE = re.compile(r"[\x00-\x1f\x7f\u2028\u2029\ud800-\udfff]")


def readme(card: HeadCard) -> str:
    """The whole file."""
    parts = [_front_matter(card), f"# {_literal(card.name)}", _summary(card), _labels(card)]
    parts += [_table("Results", "metric", _rounded(card.metrics))]
    parts += [_table("Data", "what", card.data), _table("Settings", "setting", card.settings), _use(card)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(card: HeadCard) -> str:
    """In YAML, of which JSON is a part; without a licence, which only the owner of the data can choose."""
    lines = ["---", f"pipeline_tag: {TASKS[card.kind]}"]
    if HUB_ID.fullmatch(card.trunk_name):
        lines.append(f"base_model: {json.dumps(card.trunk_name)}")
    if card.method == "lora":
        lines += ["library_name: peft", "base_model_relation: adapter"]
    tags = ["gptj", TASKS[card.kind], card.method]
    return "\n".join([*lines, f"tags: {json.dumps(tags)}", "---"])


def _summary(card: HeadCard) -> str:
    task = "extractive question answering" if card.kind == "answer" else (card.problem or "").replace("_", " ")
    held = f" held in {card.precision}" if card.precision else ""
    fits = (
        f"It fits the trunk with the fingerprint `{card.trunk}` and no other; {_code(HEAD_FILE)} records it, and the "
        "workbench refuses another trunk."
    )
    if card.method == "full":
        fits = f"It is a whole checkpoint, trunk and head, and needs no other. It writes no text: {CLASSES[card.kind]}."
    return (
        f"A head for {task} on the GPT-J checkpoint {_code(card.trunk_name)}{held}.\n\n"
        f"- Trained as {WAYS[card.method]}.\n"
        f"- {fits}\n"
        "- It knows what its training data shows, and nothing else: measure it on your own texts before you rely on it."
    )


def _labels(card: HeadCard) -> str:
    if not card.labels:
        return ""
    shown = "\n".join(f"{number}. {_code(label)}" for number, label in enumerate(card.labels[:SHOWN_LABELS]))
    more = len(card.labels) - SHOWN_LABELS
    return f"## Labels, in the order of the outputs\n\n{shown}" + (f"\n\nand {more:,} more." if more > 0 else "")


def _table(title: str, column: str, values: dict[str, Any]) -> str:
    rows = [f"| {_cell(_code(name))} | {_shown(value)} |" for name, value in _flat(values)]
    return "\n".join([f"## {title}", "", f"| {column} | value |", "|---|---|", *rows]) if rows else ""


def _use(card: HeadCard) -> str:
    command, request, answer = "classify --text TEXT", "Classify(text, head.key)", "model.classify([request])[0].logits"
    if card.kind == "answer":
        command = "answer --question QUESTION --context PASSAGE"
        request, answer = "ExtractSpan(question, passage, head.key)", "model.extract(request).best()"
    model, head = ("FOLDER", "own") if card.method == "full" else ("MODEL", "FOLDER")
    where = "FOLDER is this folder" + (f", MODEL the checkpoint {_code(card.trunk_name)}" if model == "MODEL" else "")
    lines = [
        "## Use",
        "",
        "```sh",
        f"python -m workbench {command} --model {model} --head {head}",
        "```",
        "",
        f"{where}. The same from Python:",
        "",
        "```python",
        "from workbench.manager import ModelManager, ModelSpec",
        f"from workbench.text.requests import {request.partition('(')[0]}",
        "",
        f'manager, spec = ModelManager(), ModelSpec("{model}")',
        "with manager.lease(spec) as model:",
        f'    head = manager.use_head(spec, "{head}")',
        f"    request = {request}",
        f"    print({answer})",
        "```",
    ]
    return "\n".join(lines + (_peft_use(card) if card.method == "lora" else []))


def _peft_use(card: HeadCard) -> list[str]:
    cls = CLASSES[card.kind]
    return [
        "",
        "The adapter and the head are in PEFT's format, so peft and transformers read them too:",
        "",
        "```python",
        "from peft import PeftModel",
        f"from transformers import {cls}",
        "",
        f'trunk = {cls}.from_pretrained("MODEL", num_labels={card.outputs})',
        'model = PeftModel.from_pretrained(trunk, "FOLDER")',
        "```",
    ]


def _flat(values: dict[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values; those of an inner dictionary as `outer.inner`, and what is empty left out."""
    for name, value in values.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{before}{name}.")
        elif value not in (None, "", [], ()):
            yield f"{before}{name}", value


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value))
    return _cell(_literal(str(value)))


def _rounded(metrics: dict[str, float]) -> dict[str, Any]:
    return {name: f"{value:.4g}" if math.isfinite(value) else "not defined" for name, value in metrics.items()}


def _code(text: str) -> str:
    """A text from outside as inline code, on one line, whatever it holds."""
    clean = UNSAFE.sub(" ", text)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", clean)), default=0))
    space = " " if clean.startswith("`") or clean.endswith("`") else ""
    return f"{fence}{space}{clean}{space}{fence}"


def _literal(text: str) -> str:
    """As it is; as code where something in it would mean something in Markdown or HTML."""
    return _code(text) if MARKUP.search(text) else UNSAFE.sub(" ", text)


def _cell(text: str) -> str:
    """Inline code in a table, where a bar would end the cell even inside the code."""
    return text.replace("|", "\\|")
