"""The data sets of ../shared/data in the columns that they have on the Hub.

`python -m tests.tasks.shared_rows --out DIR [--rows N]` writes them as files for `evaluate --data TASK=FILE`. None of
the rows is kept in the project.
"""

import argparse
import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
TREC_CLASSES = ("ABBR", "ENTY", "DESC", "HUM", "LOC", "NUM")
"""In the order of the Hub's class numbers."""
Rows = Iterator[dict[str, Any]]


def lambada() -> Rows:
    """5,153 passages."""
    return _json_lines("lambada/lambada_test.jsonl")


def hellaswag() -> Rows:
    """10,042 items, whose brackets are gone already.

    The context is one piece here: it is cut before a last sentence that begins with a small letter, as that of the
    Hub's ctx_b does.
    """
    with gzip.open(DATA / "hellaswag" / "hellaswag_val.jsonl.gz", "rt", encoding="utf-8") as lines:
        for number, line in enumerate(lines):
            row = json.loads(line)
            begun, _, rest = row["ctx"].rpartition(". ")
            cut = bool(begun) and rest[:1].islower()
            parts = {"ctx_a": f"{begun}." if cut else row["ctx"], "ctx_b": rest if cut else ""}
            yield {"ind": number, **row, **parts, "label": str(row["label"])}


def piqa() -> Rows:
    """1,838 goals with two solutions each."""
    labels = (DATA / "piqa" / "valid-labels.lst").read_text(encoding="utf-8").split()
    for row, label in zip(_json_lines("piqa/valid.jsonl"), labels, strict=True):
        yield {**row, "label": int(label)}


def winogrande() -> Rows:
    """1,267 sentences with a blank."""
    return _json_lines("winogrande/dev.jsonl")


def sst2() -> Rows:
    """872 sentences, those of GLUE's validation split, in another order."""
    for number, line in enumerate(_lines("sst2/dev.tsv")):
        sentence, _, label = line.rpartition("\t")
        yield {"sentence": sentence, "label": int(label), "idx": number}


def wikitext() -> Rows:
    """The test articles of WikiText-2, a page beginning at each heading of the first level."""
    text = (DATA / "wikitext-2" / "test.txt").read_text(encoding="utf-8")
    for page in re.split(r"(?m)^(?= = [^=\n]+ = $)", text):
        if page.strip():
            yield {"page": page}


def trec() -> Rows:
    """500 test questions."""
    for line in _lines("trec/test.txt", encoding="latin-1"):
        classes, _, text = line.partition(" ")
        yield {"text": text, "coarse_label": TREC_CLASSES.index(classes.partition(":")[0])}


def sms_spam() -> Rows:
    """5,574 messages; a line without a label goes on the message before."""
    messages: list[dict[str, Any]] = []
    for line in _lines("sms_spam/SMSSpamCollection"):
        label, tab, text = line.partition("\t")
        if tab and label in ("ham", "spam"):
            messages.append({"sms": f"{text}\n", "label": ("ham", "spam").index(label)})
        else:
            messages[-1]["sms"] += f"{line}\n"
    return iter(messages)


def squad() -> Rows:
    """1,190 questions of SQuAD 1.1, those that XQuAD took."""
    content = json.loads((DATA / "squad-xquad" / "xquad.en.json").read_text(encoding="utf-8"))
    for article in content["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answers = {name: [one[name] for one in asked["answers"]] for name in ("text", "answer_start")}
                row = {"id": asked["id"], "title": article.get("title", ""), "context": paragraph["context"]}
                yield {**row, "question": asked["question"], "answers": answers}


CONVERTERS: dict[str, Callable[[], Rows]] = {
    "lambada_openai": lambada,
    "hellaswag": hellaswag,
    "piqa": piqa,
    "winogrande": winogrande,
    "sst2": sst2,
    "wikitext": wikitext,
    "trec": trec,
    "sms_spam": sms_spam,
    "squad": squad,
}
"""By the task that asks about the rows."""


def shared_rows(task: str, count: int | None = None) -> list[dict[str, Any]]:
    """The rows for a task, or the first so many."""
    return list(islice(CONVERTERS[task](), count))


def write(folder: Path, count: int | None = None) -> dict[str, Path]:
    """A file for each task; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = {}
    for task in CONVERTERS:
        paths[task] = folder / f"{task.removesuffix('_openai')}.jsonl"
        lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in shared_rows(task, count))
        paths[task].write_text("".join(lines), encoding="utf-8")
    return paths


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description="Writes the shared data sets in the Hub's columns.")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--rows", type=int, help="at most so many of each")
    chosen = parser.parse_args(arguments)
    for task, path in write(chosen.out, chosen.rows).items():
        print(f"--data {task}={path}")


def _lines(name: str, encoding: str = "utf-8") -> list[str]:
    """The lines of a file; only a line feed ends one."""
    return (DATA / name).read_text(encoding=encoding).removesuffix("\n").split("\n")


def _json_lines(name: str) -> Rows:
    return (json.loads(line) for line in _lines(name) if line.strip())


if __name__ == "__main__":
    main()
