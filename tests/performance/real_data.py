"""Real labelled data in the workbench's own file forms, for the measurements in this folder.

Reads the folders named in each function, splits them as published (or by a fixed seed where there is no published
split) and writes CSV and JSONL files into a scratch folder.
"""

import csv
import gzip
import json
import random
import re
import string
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

SPLITS = ("train", "validation", "test")
SEED = 0
ARTICLES = {"a", "an", "the"}


def spam(data: Path) -> dict[str, list[tuple[str, str]]]:
    """SMS Spam Collection: (text, ham | spam), each message once, 80 / 10 / 10 by a fixed shuffle."""
    rows: dict[str, str] = {}
    for line in (data / "sms_spam" / "SMSSpamCollection").read_text(encoding="utf-8").split("\n"):
        label, tab, text = line.partition("\t")
        if tab and text.strip():
            rows.setdefault(text.strip(), label)
    order = list(rows.items())
    random.Random(SEED).shuffle(order)
    tenth = len(order) // 10
    return {"train": order[2 * tenth :], "validation": order[:tenth], "test": order[tenth : 2 * tenth]}


def sentiment(data: Path) -> dict[str, list[tuple[str, str]]]:
    """SST-2, whole sentences: (text, negative | positive), split as published."""
    names = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
    return {split: list(_tab_separated(data / "sst2" / name)) for split, name in names.items()}


def _tab_separated(path: Path) -> Iterator[tuple[str, str]]:
    for line in path.read_text(encoding="utf-8").splitlines():
        text, _, label = line.rpartition("\t")
        if text.strip():
            yield text.strip(), ("negative", "positive")[int(label)]


def question_types(data: Path) -> dict[str, list[tuple[str, str]]]:
    """TREC: (question, one of six kinds), split as published; the validation rows are a tenth of its training rows."""
    kinds = {"ABBR": "abbreviation", "DESC": "description", "ENTY": "entity", "HUM": "human", "LOC": "location",
             "NUM": "number"}  # fmt: skip
    rows: dict[str, list[tuple[str, str]]] = {}
    for split, name in (("train", "train.txt"), ("test", "test.txt")):
        lines = (data / "trec" / name).read_text(encoding="latin-1").splitlines()
        pairs = [line.split(" ", 1) for line in lines if " " in line]
        rows[split] = [(text.strip(), kinds[label.split(":")[0]]) for label, text in pairs]
    random.Random(SEED).shuffle(rows["train"])
    tenth = len(rows["train"]) // 10
    return {"train": rows["train"][tenth:], "validation": rows["train"][:tenth], "test": rows["test"]}


CLASSIFICATION = {"SMS spam": spam, "SST-2": sentiment, "TREC": question_types}


def fairy_tales(data: Path) -> dict[str, list[dict[str, Any]]]:
    """FairytaleQA, its extractive questions: those whose answer stands in the sections they name, as published."""
    stories: dict[tuple[str, int], str] = {}
    for line in (data / "fairytaleqa" / "stories.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        stories[row["story"], row["section"]] = row["text"]
    found: dict[str, list[dict[str, Any]]] = {}
    for split, name in zip(SPLITS, ("train", "val", "test"), strict=True):
        found[split] = []
        lines = (data / "fairytaleqa" / f"qa_{name}.jsonl").read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines):
            row = json.loads(line)
            context = "\n".join(stories[row["story"], section] for section in row["sections"])
            spans = [span for answer in row["answers"] if (span := place(context, answer)) is not None]
            if row["extractive"] and spans:
                found[split].append(_question(f"{name}-{number}", row["question"], context, spans))
    return found


def toy_stories(data: Path, tasks: Iterable[int] = (1, 2, 3, 4, 5, 11, 12, 13, 14)) -> dict[str, list[dict[str, Any]]]:
    """bAbI: the tasks whose one-word answers stand in the story; a tenth of the training questions validates."""
    rows: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    with tarfile.open(data / "babi" / "babi-en.tar.gz") as archive:
        for task in tasks:
            for split, found in rows.items():
                name = next(n for n in archive.getnames() if re.search(rf"/qa{task}_.*_{split}\.txt$", n))
                file = archive.extractfile(name)
                lines = [] if file is None else file.read().decode("utf-8").splitlines()
                found += _babi_questions(f"{task}-{split}", lines)
    stories = sorted({row["context"].split("\n")[0] for row in rows["train"]})
    random.Random(SEED).shuffle(stories)
    validating = set(stories[: len(stories) // 10])
    return {
        "train": [row for row in rows["train"] if row["context"].split("\n")[0] not in validating],
        "validation": [row for row in rows["train"] if row["context"].split("\n")[0] in validating],
        "test": rows["test"],
    }


def toy_stories_or_none(data: Path) -> dict[str, list[dict[str, Any]]]:
    """bAbI as above, and a quarter more: another story's question, which names what this story does not."""
    return {split: rows + list(_unanswerable(rows)) for split, rows in toy_stories(data).items()}


def _unanswerable(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    named = {word for row in rows for word in _words(row["context"])} - {"is", "of", "the", "to", "before"}
    drawn = random.Random(SEED)
    for row in drawn.sample(rows, len(rows) // 4):
        here = _words(row["context"])
        for other in drawn.sample(rows, 50):
            if (_words(other["question"]) & named) - here:
                yield _question(f"{row['id']}-none", other["question"], row["context"], [])
                break


def _words(text: str) -> set[str]:
    return set(map(bare, text.split()))


def _babi_questions(name: str, lines: list[str]) -> Iterator[dict[str, Any]]:
    story: list[str] = []
    for number, line in enumerate(lines):
        position, _, rest = line.partition(" ")
        if position == "1":
            story = []
        if "\t" not in rest:
            story.append(rest.strip())
            continue
        question, answer, _ = rest.split("\t")
        context = "\n".join(story)
        places = [match.span() for match in re.finditer(rf"\b{re.escape(answer)}\b", context)]
        if places:
            yield _question(f"{name}-{number}", question.strip(), context, [places[-1]])


def wikipedia(data: Path) -> dict[str, list[dict[str, Any]]]:
    """SQuAD 1.1: trains on a twentieth of its training rows, a tenth of those validating; tests on XQuAD's English."""
    with gzip.open(data / "squad-train-4330" / "squad_train_5pct.json.gz", "rt", encoding="utf-8") as file:
        text = file.read()
    rows = json.loads(text) if text.lstrip().startswith("[") else [json.loads(line) for line in text.splitlines()]
    training = []
    for number, row in enumerate(rows):
        answer = row["answer"] if isinstance(row["answer"], str) else row["answer"][0]
        start = row["context"].find(answer)
        if start >= 0:
            training.append(
                _question(f"train-{number}", row["question"], row["context"], [(start, start + len(answer))])
            )
    contexts = sorted({row["context"] for row in training})
    random.Random(SEED).shuffle(contexts)
    validating = set(contexts[: len(contexts) // 10])
    test = [
        {"id": qa["id"], "question": qa["question"], "context": paragraph["context"],
         "answers": [answer["text"] for answer in qa["answers"]],
         "answer_starts": [answer["answer_start"] for answer in qa["answers"]]}
        for article in json.loads((data / "squad-xquad" / "xquad.en.json").read_text(encoding="utf-8"))["data"]
        for paragraph in article["paragraphs"]
        for qa in paragraph["qas"]
    ]  # fmt: skip
    return {
        "train": [row for row in training if row["context"] not in validating],
        "validation": [row for row in training if row["context"] in validating],
        "test": test,
    }


ANSWERING = {"FairytaleQA": fairy_tales, "bAbI": toy_stories, "bAbI or none": toy_stories_or_none, "XQuAD": wikipedia}


def _question(name: str, question: str, context: str, spans: list[tuple[int, int]]) -> dict[str, Any]:
    return {
        "id": name,
        "question": question,
        "context": context,
        "answers": [context[start:end] for start, end in spans],
        "answer_starts": [start for start, _ in spans],
    }


def place(context: str, answer: str) -> tuple[int, int] | None:
    """Where an answer stands in a passage, or its words without case, punctuation and articles; None: nowhere."""
    start = context.lower().find(answer.lower())
    if start >= 0 and len(context.lower()) == len(context):
        return start, start + len(answer)
    words = [(bare(match.group()), match.start(), match.end()) for match in re.finditer(r"\S+", context)]
    words = [word for word in words if word[0] and word[0] not in ARTICLES]
    wanted = [word for word in map(bare, answer.split()) if word and word not in ARTICLES]
    for first in range(len(words) - len(wanted) + 1 if wanted else 0):
        if [word for word, _, _ in words[first : first + len(wanted)]] == wanted:
            start, end = words[first][1], words[first + len(wanted) - 1][2]
            return start, len(context[:end].rstrip(string.punctuation))
    return None


def bare(word: str) -> str:
    """A word in lower case without punctuation."""
    return word.lower().translate(str.maketrans("", "", string.punctuation))


def write_csv(rows: Iterable[tuple[str, str]], path: Path) -> Path:
    """A table with the columns text and label."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(("text", "label"))
        table.writerows(rows)
    return path


def write_squad(rows: Iterable[dict[str, Any]], path: Path) -> Path:
    """Questions as SQuAD's JSON, one paragraph a passage."""
    passages: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        answers = [
            {"text": text, "answer_start": start}
            for text, start in zip(row["answers"], row["answer_starts"], strict=True)
        ]
        asked = {"id": row["id"], "question": row["question"], "answers": answers}
        passages.setdefault(row["context"], []).append(asked)
    paragraphs = [{"context": context, "qas": asked} for context, asked in passages.items()]
    path.write_text(json.dumps({"version": "1.1", "data": [{"title": path.stem, "paragraphs": paragraphs}]}))
    return path
