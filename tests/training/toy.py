"""Small made-up tasks that a head on a random tiny trunk can learn, and ways to run a training."""

import csv
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.text.tiny import write_checkpoint
from workbench.training.heads import FineTuneProgress, TrainAnswer, TrainClassify, Trained, train_head

WORDS = ("unicorn", "walked", "to", "the", "green", "and", "children", "said", "nobody", "was", "open")
ENDS = ("hill", "king", "tree")
"""The last word is the label."""


def toy_texts(count: int = 120, seed: int = 0, labels: Sequence[str] = ENDS[:2]) -> list[tuple[str, str]]:
    """(text, label): the last word tells the label."""
    generator = random.Random(seed)
    rows = []
    for _ in range(count):
        label = generator.choice(list(labels))
        words = [generator.choice(WORDS) for _ in range(generator.randint(2, 7))]
        rows.append((" ".join([*words, label]), label))
    return rows


def shuffled(rows: Sequence[tuple[str, str]], seed: int = 0) -> list[tuple[str, str]]:
    """The same texts with each other's labels: nothing can be learned from them."""
    labels = [label for _, label in rows]
    random.Random(seed).shuffle(labels)
    return [(text, label) for (text, _), label in zip(rows, labels, strict=True)]


def write_rows(path: Path, rows: Sequence[tuple[str, str]]) -> Path:
    """A CSV of texts and labels."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(rows)
    return path


def toy_questions(count: int = 60, seed: int = 0, impossible: float = 0.0) -> list[dict[str, Any]]:
    """Passages in which the answer is the one word "king", or in a share of them does not stand."""
    generator = random.Random(seed)
    rows = []
    for number in range(count):
        words = [generator.choice(WORDS) for _ in range(generator.randint(4, 9))]
        answers = []
        if generator.random() >= impossible:
            words[generator.randrange(1, len(words))] = "king"
            answers = ["king"]
        context = " ".join(words)
        rows.append({"id": str(number), "question": "Who?", "context": context, "answers": answers,
                     "is_impossible": not answers})  # fmt: skip
    return rows


def write_questions(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Questions as JSON lines."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def classify(folder: Path, rows: Sequence[tuple[str, str]] | None = None, **changes: Any) -> TrainClassify:
    """A request on toy texts and a tiny checkpoint, written into the folder if they are not there."""
    model, data = folder / "model", folder / "rows.csv"
    if not model.exists():
        write_checkpoint(model)
    if rows is not None or not data.exists():
        write_rows(data, toy_texts() if rows is None else rows)
    return TrainClassify(**{**_small(folder), "data": str(data), **changes})


def answer(folder: Path, rows: Sequence[dict[str, Any]] | None = None, **changes: Any) -> TrainAnswer:
    """A request on toy questions and a tiny checkpoint, written into the folder if they are not there."""
    model, data = folder / "model", folder / "questions.jsonl"
    if not model.exists():
        write_checkpoint(model)
    if rows is not None or not data.exists():
        write_questions(data, toy_questions() if rows is None else rows)
    return TrainAnswer(**{**_small(folder), "data": str(data), **changes})


def _small(folder: Path) -> dict[str, Any]:
    return {"model": str(folder / "model"), "out": str(folder / "head"), "batch_size": 8, "validation_share": 0.25,
            "precision": "float32"}  # fmt: skip


def trained(request: TrainClassify | TrainAnswer) -> tuple[Trained, list[FineTuneProgress]]:
    """Runs a training to its end."""
    steps, seen = train_head(request), list[FineTuneProgress]()
    while True:
        try:
            seen.append(next(steps))
        except StopIteration as end:
            return end.value, seen


def losses(seen: Sequence[FineTuneProgress]) -> list[float]:
    """The loss of each training step."""
    return [moment.loss for moment in seen if moment.phase == "training" and moment.loss is not None]


def files(folder: Path) -> dict[str, bytes]:
    """What a head's folder holds, without what tells the run's seconds: the log, the README and that entry."""
    names = [path for path in folder.iterdir() if not path.name.startswith("training-") and path.name != "README.md"]
    contents = {path.name: path.read_bytes() for path in names}
    card = json.loads(contents["head.json"])
    card["settings"].pop("seconds")
    return {**contents, "head.json": json.dumps(card).encode()}
