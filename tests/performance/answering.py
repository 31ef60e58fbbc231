"""Measures extractive question answering on real data: trained span heads and likelihood, beside word overlap.

python -m tests.performance.answering --data DATA --scratch DIR [--methods probe lora] [--sets FairytaleQA]
    [--epochs N] [--rank R]

DATA holds the folders fairytaleqa, babi, squad-train-4330 and squad-xquad as `real_data` reads them. Each result is
appended to DIR/results.jsonl; a method that is there already is not trained again.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.performance.baselines import word_overlap_answer
from tests.performance.real_data import ANSWERING, write_squad
from workbench.evals.asking import ask
from workbench.evals.data.squad_files import Question, read_questions
from workbench.evals.data.tables import LOCAL
from workbench.evals.methods.spans import SpanMethod
from workbench.evals.metrics.squad import squad_v1, squad_v2
from workbench.manager import ModelManager, ModelSpec
from workbench.training.heads import TrainAnswer, train_head

PROBE_EPOCHS = 10.0
EPOCHS = {"FairytaleQA": 2.0, "bAbI": 3.0, "bAbI or none": 3.0, "XQuAD": 2.0}
"""Of every other method, by data set."""
TESTED = 1190
"""Questions of a test split that are asked: all of XQuAD's, and as many of a larger split, drawn by a fixed seed."""


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One result a data set and method, on the test questions; those already in the results file are left out."""
    done = {(row["data"], row["method"]) for row in results(options.scratch)}
    for name in options.sets:
        rows = ANSWERING[name](options.data)
        if len(rows["test"]) > TESTED:
            rows["test"] = random.Random(0).sample(rows["test"], TESTED)
        folder = options.scratch / name.replace(" ", "-").lower()
        folder.mkdir(parents=True, exist_ok=True)
        files = {split: write_squad(found, folder / f"{split}.json") for split, found in rows.items()}
        questions = read_questions(files["test"], LOCAL)
        for method in ("overlap", *options.methods):
            if (name, method) in done:
                continue
            began = time.monotonic()
            predicted = _predictions(name, method, questions, files, folder, options)
            answers = {question.id: question.answers for question in questions}
            figures = squad_v1(predicted, answers) if all(answers.values()) else squad_v2(predicted, None, answers)
            yield {"data": name, "method": method, "questions": len(questions), **figures,
                   "seconds": time.monotonic() - began}  # fmt: skip


def results(scratch: Path) -> list[dict[str, Any]]:
    """What was measured before."""
    path = scratch / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _predictions(
    name: str, method: str, questions: list[Question], files: dict[str, Path], folder: Path, options: argparse.Namespace
) -> dict[str, str]:
    if method == "overlap":
        return {question.id: word_overlap_answer(question.question, question.context) for question in questions}
    if method != "likelihood":
        epochs = PROBE_EPOCHS if method == "probe" else EPOCHS[name]
        _train(method, options.epochs or epochs, files, folder / method, options)
    spec = ModelSpec(str(folder / "full") if method == "full" else options.model)
    with closing(ModelManager()) as manager, manager.lease(spec) as lm:
        key = None
        if method != "likelihood":
            key = manager.use_head(spec, "own" if method == "full" else str(folder / method)).key
        threshold = float("inf") if all(question.answers for question in questions) else 0.0
        predictions = list(ask(lm, SpanMethod(head=key, threshold=threshold), questions))
    return {one.id: one.text for one in predictions}


def _train(method: str, epochs: float, files: dict[str, Path], out: Path, options: argparse.Namespace) -> None:
    request = TrainAnswer(
        data=str(files["train"]), validation=str(files["validation"]), out=str(out), model=options.model, method=method,
        epochs=epochs, rank=options.rank, targets=("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"),
    )  # fmt: skip
    for progress in train_head(request):
        if progress.validation is not None:
            print(method, progress.step, progress.steps, progress.validation, progress.seconds_left, flush=True)


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--methods", nargs="+", default=["likelihood", "probe", "lora", "full"])
    parser.add_argument("--sets", nargs="+", default=list(ANSWERING), choices=list(ANSWERING))
    parser.add_argument("--epochs", type=float, help="of every method, in place of each one's own")
    parser.add_argument("--rank", type=int, default=16, help="of the matrices beside the trunk's")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    for result in measure(options):
        print(json.dumps(result), flush=True)
        with (options.scratch / "results.jsonl").open("a") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
