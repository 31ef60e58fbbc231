"""Measures classification on real data: every way of training a head on a model, beside TF-IDF, on held-out rows.

python -m tests.performance.classification --data DATA --scratch DIR [--model demo] [--methods probe lora full]
    [--epochs N] [--rank R]

DATA holds the folders sms_spam, sst2 and trec as `real_data` reads them. Each result is appended to DIR/results.jsonl;
a method that is there already is not trained again.
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from sklearn.metrics import accuracy_score, f1_score

from tests.performance.baselines import tf_idf_classifier
from tests.performance.real_data import CLASSIFICATION, write_csv
from workbench.evals.asking import ask
from workbench.evals.methods.head import HeadMethod
from workbench.evals.methods.labels import LabelLikelihood, TextExample
from workbench.manager import ModelManager, ModelSpec
from workbench.training.heads import TrainClassify, train_head

EPOCHS = {"probe": 1.0, "head": 5.0, "lora": 5.0, "full": 4.0}
TEMPLATES = {
    "SMS spam": "Message: {text}\nThis message is",
    "SST-2": "Review: {text}\nThis review is",
    "TREC": "Question: {text}\nThe question asks for a",
}
SHOWN_TO_CALIBRATION = 200


def measure(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """One result a data set and method, on the test rows; those already in the results file are left out."""
    done = {(row["data"], row["method"]) for row in results(options.scratch)}
    for name, read in CLASSIFICATION.items():
        rows = read(options.data)
        folder = options.scratch / name.replace(" ", "-").lower()
        folder.mkdir(parents=True, exist_ok=True)
        files = {split: write_csv(found, folder / f"{split}.csv") for split, found in rows.items()}
        for method in ("majority", "tf-idf", "likelihood", *options.methods):
            if (name, method) not in done:
                began = time.monotonic()
                predicted = list(_predictions(method, name, rows, files, folder, options))
                gold = [label for _, label in rows["test"]]
                yield {
                    "data": name, "method": method, "rows": len(gold), "accuracy": accuracy_score(gold, predicted),
                    "macro_f1": f1_score(gold, predicted, average="macro"), "seconds": time.monotonic() - began,
                }  # fmt: skip


def results(scratch: Path) -> list[dict[str, Any]]:
    """What was measured before."""
    path = scratch / "results.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _predictions(
    method: str,
    name: str,
    rows: dict[str, list[tuple[str, str]]],
    files: dict[str, Path],
    folder: Path,
    options: argparse.Namespace,
) -> Iterator[str | None]:
    texts = [text for text, _ in rows["test"]]
    labels = sorted({label for _, label in rows["train"]})
    if method == "majority":
        often = max(labels, key=[label for _, label in rows["train"]].count)
        return iter([often] * len(texts))
    if method == "tf-idf":
        return iter(tf_idf_classifier(rows["train"], rows["validation"]).predict(texts).tolist())
    if method in ("probe", "head", "lora", "full"):
        _train(method, files, folder / method, options)
    shown = [text for text, _ in rows["train"][:SHOWN_TO_CALIBRATION]]
    return _asked(method, name, texts, labels, shown, folder, options.model)


def _train(method: str, files: dict[str, Path], out: Path, options: argparse.Namespace) -> None:
    request = TrainClassify(
        data=str(files["train"]), validation=str(files["validation"]), out=str(out), model=options.model,
        method=method, epochs=options.epochs or EPOCHS[method], batch_size=32, rank=options.rank,
        targets=("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"),
    )  # fmt: skip
    for progress in train_head(request):
        if progress.validation is not None:
            print(method, progress.step, progress.steps, progress.validation, flush=True)


def _asked(
    method: str, name: str, texts: list[str], labels: list[str], samples: list[str], folder: Path, model: str
) -> Iterator[str | None]:
    examples = [TextExample(str(number), text) for number, text in enumerate(texts)]
    spec = ModelSpec(str(folder / "full") if method == "full" else model)
    with closing(ModelManager()) as manager, manager.lease(spec) as lm:
        if method == "likelihood":
            asking: Any = LabelLikelihood(tuple(labels), TEMPLATES[name], calibration="domain").prepared(lm, samples)
        else:
            card = manager.use_head(spec, "own" if method == "full" else str(folder / method))
            asking = HeadMethod(card.key, card.labels, card.problem)
        yield from (prediction.label for prediction in ask(lm, asking, examples))


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--methods", nargs="+", default=["probe", "lora", "full"])
    parser.add_argument("--epochs", type=float, help="of every method, in place of each one's own")
    parser.add_argument("--rank", type=int, default=8, help="of the matrices beside the trunk's")
    options = parser.parse_args()
    options.scratch.mkdir(parents=True, exist_ok=True)
    for result in measure(options):
        print(json.dumps(result), flush=True)
        with (options.scratch / "results.jsonl").open("a") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
