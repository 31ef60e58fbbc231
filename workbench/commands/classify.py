"""`classify`: one text or a table of texts, by the language model or by a trained head."""

import argparse
import csv
import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

from workbench.console import Command, add_model_options, asked_model, note, show_load, watched
from workbench.errors import BadRequest
from workbench.evals.asking import ask, ask_one
from workbench.evals.data.tables import LOCAL, read_table
from workbench.evals.data.text_rows import text_examples
from workbench.evals.exports.predictions import prepare_folder, write_predictions
from workbench.evals.methods.head import MULTI_LABEL, HeadMethod
from workbench.evals.methods.labels import (
    CALIBRATIONS,
    NORMALIZATIONS,
    TEMPLATE,
    ClassPrediction,
    LabelLikelihood,
    TextExample,
)
from workbench.evals.metrics.classification import confusion_matrix, occurring, per_class
from workbench.evals.metrics.summary import summary
from workbench.loading.heads import HeadCard
from workbench.manager import ModelManager
from workbench.settings import read_settings
from workbench.text.language_model import LanguageModel


def add_options(parser: argparse.ArgumentParser) -> None:
    """The model, what is classified, and how."""
    add_model_options(parser)
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--text", metavar="TEXT")
    given.add_argument("--file", metavar="FILE", help="a .csv, .tsv or .jsonl file with a text a row")
    parser.add_argument("--text-column", default="text", metavar="C", help="of the file (default: text)")
    parser.add_argument("--label-column", metavar="C", help="of the file; with it the answers are judged")
    parser.add_argument("--labels", metavar="a,b,c", help="what a text can be; a label with a comma stands in quotes")
    parser.add_argument("--template", default=TEMPLATE, metavar="T", help=f"holds {{text}} (default: {TEMPLATE!r})")
    parser.add_argument("--shots", metavar="FILE", help="worked examples: a table with the columns text and label")
    parser.add_argument("--normalization", default="none", choices=NORMALIZATIONS, help="of a label's likelihood")
    parser.add_argument("--calibration", default="none", choices=CALIBRATIONS, help="of the labels' probabilities")
    parser.add_argument("--seed", type=int, default=0, metavar="S", help="of the words that domain calibration draws")
    parser.add_argument("--head", metavar="NAME", help="a trained head, by name or folder, in place of --labels")
    parser.add_argument(
        "--threshold", type=float, default=0.5, metavar="P", help="of a head with several labels a text"
    )
    parser.add_argument("--out", metavar="DIR", help="where the predictions of a file are written, as CSV and JSONL")


def classify(options: argparse.Namespace) -> dict[str, Any]:
    """The label and every label's probability; of a file, for each row, with metrics where the labels are known."""
    if options.head is not None:
        _refuse_likelihood_options(options)
    asked = _likelihood(options) if options.head is None else None
    table = None if options.file is None else read_table(options.file, LOCAL)
    if table is not None and options.out is not None:
        prepare_folder(Path(options.out))
    heads_folder = read_settings().heads_folder
    with closing(ModelManager(offload_folder=options.offload_folder, heads_folder=heads_folder)) as manager:
        manager.load(asked_model(options), show_load)
        with manager.lease(asked_model(options)) as model:
            card = None
            if options.head is not None:
                card = manager.use_head(asked_model(options), options.head, "classify")
            separator = None
            if card is not None and card.problem == MULTI_LABEL:
                separator = str(card.settings.get("separator", "|"))
            if table is None:
                examples = [TextExample("text", options.text)]
            else:
                examples = text_examples(table, options.text_column, options.label_column, separator)
            method = _prepared(options, asked, card, model, examples)
            if table is None:
                return _shown(options, ask_one(model, method, examples[0]))
            return _many(options, watched(ask(model, method, examples), len(examples), "texts"))


def _likelihood(options: argparse.Namespace) -> LabelLikelihood:
    """The way to ask the language model, checked before any model is loaded."""
    if options.labels is None:
        raise BadRequest("Give --labels a,b,c to ask the language model, or --head NAME to ask a trained head.")
    labels = _label_list(options.labels)
    shots: tuple[tuple[str, str], ...] = ()
    if options.shots is not None:
        table = read_table(options.shots, LOCAL)
        shots = tuple(zip(table.column("text"), table.column("label"), strict=True))
    return LabelLikelihood(
        labels=labels,
        template=options.template,
        shots=shots,
        normalization=options.normalization,
        calibration=options.calibration,
    )


def _refuse_likelihood_options(options: argparse.Namespace) -> None:
    """Refuses options that a trained head would leave unread."""
    neutral = {"labels": None, "template": TEMPLATE, "shots": None, "normalization": "none", "calibration": "none"}
    given = [f"--{name}" for name, value in neutral.items() if getattr(options, name) != value]
    if given:
        raise BadRequest(f"{', '.join(given)} is for the language model, and --head asks a trained head. Drop one.")


def _label_list(text: str) -> tuple[str, ...]:
    """The labels of one line of CSV."""
    if "\n" in text or "\r" in text:
        raise BadRequest("--labels holds a line break. Write the labels on one line with commas between them.")
    try:
        (labels,) = csv.reader([text], skipinitialspace=True)
    except csv.Error as error:
        raise BadRequest(f"--labels can't be read: {error}. Write them as a,b,c with quotes around commas.") from error
    return tuple(labels)


def _prepared(
    options: argparse.Namespace,
    asked: LabelLikelihood | None,
    card: HeadCard | None,
    model: LanguageModel,
    examples: list[TextExample],
) -> LabelLikelihood | HeadMethod:
    if asked is not None:
        return asked.prepared(model, [example.text for example in examples], options.seed)
    if card is None or card.problem is None:
        raise BadRequest("Give --labels a,b,c to ask the language model, or --head NAME to ask a trained head.")
    return HeadMethod(card.key, card.labels, card.problem, options.threshold)


def _shown(options: argparse.Namespace, prediction: ClassPrediction) -> dict[str, Any]:
    """One prediction; without --json its labels with their probabilities, the likeliest first."""
    if not options.json:
        if prediction.number is not None:
            print(f"{prediction.number:.6g}")
        for label, probability in sorted(prediction.scores.items(), key=lambda pair: -pair[1]):
            print(f"{probability:7.2%}  {label}")
    return _row(prediction)


def _many(options: argparse.Namespace, predictions: list[ClassPrediction]) -> dict[str, Any]:
    """All predictions and what they come to."""
    metrics = summary(predictions)
    answer: dict[str, Any] = {"rows": [_row(one) for one in predictions], "metrics": metrics or None}
    judged = [(one.gold, one.label) for one in predictions if one.gold is not None and one.label is not None]
    if "accuracy" in metrics:
        gold, given = [pair[0] for pair in judged], [pair[1] for pair in judged]
        labels = occurring(gold, given)
        answer["per_class"] = [dataclasses.asdict(row) for row in per_class(gold, given, labels)]
        answer["confusion"] = {"labels": list(labels), "counts": confusion_matrix(gold, given, labels).tolist()}
    if options.out is not None:
        answer["files"] = [str(path) for path in write_predictions(predictions, Path(options.out))]
    if not options.json:
        for one in predictions:
            print(f"{one.id}\t{one.error or _said(one)}\t{' '.join(one.text.split())[:60]}")
        note("  ".join(f"{name} {value:.4g}" for name, value in metrics.items()) or "no labels to judge by")
    return answer


def _said(prediction: ClassPrediction) -> str:
    if prediction.number is not None:
        return f"{prediction.number:.6g}"
    return ", ".join(prediction.labels) if prediction.labels is not None else prediction.label or ""


def _row(prediction: ClassPrediction) -> dict[str, Any]:
    """A prediction without its empty fields; label and scores are always there."""
    values = dataclasses.asdict(prediction)
    return {name: value for name, value in values.items() if name in ("label", "scores") or value not in (None, {})}


COMMAND = Command("classify", "what a text is: by the language model or a trained head", add_options, classify)
