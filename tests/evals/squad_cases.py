"""Predictions to measure, drawn from a seed: perturbed right answers, and texts of random words.

    python -m tests.evals.squad_cases --v1 compute_score.py

writes what the published code says of them to squad_golden.json. It needs transformers 4 (its squad_metrics is the
official SQuAD 2.0 script), and the official SQuAD 1.1 script from the `evaluate` package's repository.
"""

import argparse
import importlib
import importlib.util
import json
import random
import string
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar

GOLDEN = Path(__file__).parent / "squad_golden.json"
XQUAD = Path(__file__).parents[2].parent / "shared/data/squad-xquad/xquad.en.json"
THRESHOLDS = (-0.5, 0.0, 0.4, 1.0)
WORDS = [
    "the", "a", "An", "king", "King's", "queen,", "U.S.A.", "10%", "naïve", "—", "''", "...", "Ａ", "\u2019s", "THE",
    "an-",
]  # fmt: skip
One = TypeVar("One")


@dataclass(frozen=True)
class Case:
    """Predictions with null scores and right answers, by question id."""

    predictions: dict[str, str]
    null_scores: dict[str, float]
    references: dict[str, list[str]]


def pick(rng: random.Random, choices: Sequence[One]) -> One:
    """One of them; from `random()` alone, which is the same in every Python."""
    return choices[int(rng.random() * len(choices))]


def texts_of_words(count: int = 2000, seed: int = 1) -> Case:
    """Short texts that share words, with empty ones, and questions without an answer."""
    rng = random.Random(seed)

    def text() -> str:
        return " ".join(pick(rng, WORDS) for _ in range(int(rng.random() * 5)))

    ids = [f"q{number}" for number in range(count)]
    return Case(
        predictions={one: text() for one in ids},
        null_scores={one: round(rng.random() * 2 - 0.5, 2) for one in ids},
        references={one: [text() for _ in range(int(rng.random() * 4))] for one in ids},
    )


def perturbed(answer: str, context: str, rng: random.Random) -> str:
    """Something that a reader of the passage might have answered."""
    words = answer.split()
    other = context.split()
    start = int(rng.random() * len(other))
    return pick(
        rng,
        [
            answer,
            answer.upper() + ".",
            f"the {answer}",
            " ".join(words[1:]),
            " ".join(words[::-1]),
            f"{answer} {pick(rng, other)}",
            " ".join(other[start : start + 4]),
            answer.strip(string.punctuation),
            "",
        ],
    )


def real_questions(seed: int = 2) -> Case:
    """All of XQuAD's English questions; every third one is taken for unanswerable."""
    rng = random.Random(seed)
    case = Case({}, {}, {})
    for article in json.loads(XQUAD.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            for asked in paragraph["qas"]:
                answers = [answer["text"] for answer in asked["answers"]]
                case.predictions[asked["id"]] = perturbed(pick(rng, answers), paragraph["context"], rng)
                impossible = rng.random() < 1 / 3
                case.null_scores[asked["id"]] = rng.random() + (0.3 if impossible else 0.0)
                case.references[asked["id"]] = [] if impossible else answers
    return case


def answerable(case: Case) -> Case:
    """The questions that have an answer."""
    kept = {one: answers for one, answers in case.references.items() if answers}
    return Case({one: case.predictions[one] for one in kept}, {one: case.null_scores[one] for one in kept}, kept)


def official_figures(case: Case, v1: Any) -> dict[str, Any]:
    """What the published code says."""
    v2 = importlib.import_module("transformers.data.metrics.squad_metrics")
    examples = [
        SimpleNamespace(qas_id=one, answers=[{"text": text} for text in answers])
        for one, answers in case.references.items()
    ]
    exact, f1 = v2.get_raw_scores(examples, case.predictions)
    asked = [
        {"id": one, "answers": [{"text": text} for text in answers]}
        for one, answers in answerable(case).references.items()
    ]
    return {
        "exact": "".join(str(score) for score in exact.values()),
        "f1": [round(score, 12) for score in f1.values()],
        "v1": v1.compute_score([{"paragraphs": [{"qas": asked}]}], case.predictions),
        "v2": {
            str(threshold): v2.squad_evaluate(examples, case.predictions, case.null_scores, threshold)
            for threshold in THRESHOLDS
        },
        "v2 without null scores": v2.squad_evaluate(examples, case.predictions),
    }


def main() -> None:
    """Writes the golden file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--v1", type=Path, required=True)
    spec = importlib.util.spec_from_file_location("squad_v1", parser.parse_args().v1)
    assert spec is not None and spec.loader is not None
    v1 = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(v1)
    golden = {"words": official_figures(texts_of_words(), v1), "real": official_figures(real_questions(), v1)}
    GOLDEN.write_text(json.dumps(golden) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
