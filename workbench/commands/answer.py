"""`answer`: where in a passage a question's answer stands; one question, or a file of them."""

import argparse
import dataclasses
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

from workbench.console import Command, add_model_options, asked_model, note, show_load, watched
from workbench.errors import BadRequest
from workbench.evals.asking import ask, ask_one
from workbench.evals.data.squad_files import Question, read_questions
from workbench.evals.data.tables import LOCAL, read_table
from workbench.evals.exports.predictions import prepare_folder, write_predictions
from workbench.evals.methods.spans import AnswerPrediction, SpanMethod, answer_metrics, deciding_threshold
from workbench.manager import ModelManager
from workbench.settings import read_settings
from workbench.text.reading import trained_windows
from workbench.text.requests import SPAN_TEMPLATE


def add_options(parser: argparse.ArgumentParser) -> None:
    """The model, what is asked, and how."""
    add_model_options(parser)
    parser.add_argument("--question", metavar="Q")
    parser.add_argument("--context", metavar="TEXT", help="the passage; the answer is a piece of it")
    parser.add_argument("--file", metavar="FILE", help="questions as SQuAD JSON, .jsonl or .csv, in place of the two")
    parser.add_argument("--head", metavar="NAME", help="a trained span head, by name or folder; default: by likelihood")
    parser.add_argument("--template", default=SPAN_TEMPLATE, metavar="T", help="of the language model's prompt")
    parser.add_argument("--shots", metavar="FILE", help="worked examples: a table with context, question and answer")
    parser.add_argument("--n-best", type=int, default=20, metavar="N")
    for name, default, what in (
        ("--max-answer-tokens", SpanMethod.max_answer_tokens, "of the longest answer"),
        ("--window-tokens", SpanMethod.window_tokens, "of a long passage, read at once"),
        ("--doc-stride", SpanMethod.doc_stride, "tokens that neighbouring windows share"),
    ):
        told = f"{what} (default: as the head was trained, else {default})"
        parser.add_argument(name, type=int, metavar="N", help=told)
    parser.add_argument(
        "--threshold", type=float, default=0.0, metavar="X",
        help="no answer where null_score exceeds score by more; in a file whose every question is known to have an "
        "answer the best span is the answer, whatever the threshold",
    )  # fmt: skip
    parser.add_argument("--out", metavar="DIR", help="where the predictions of a file are written, as CSV and JSONL")


def answer(options: argparse.Namespace) -> dict[str, Any]:
    """The answer with its place and the n best; of a file, each question's, with metrics where answers are known."""
    questions, method = _questions(options), _method(options)
    method.requests(questions[0])  # a setting out of its range is no question's fault
    if options.file is not None and options.out is not None:
        prepare_folder(Path(options.out))
    heads_folder = read_settings().heads_folder
    with closing(ModelManager(offload_folder=options.offload_folder, heads_folder=heads_folder)) as manager:
        manager.load(asked_model(options), show_load)
        with manager.lease(asked_model(options)) as model:
            if options.head is not None:
                card = manager.use_head(asked_model(options), options.head, "answer")
                method = replace(method, head=card.key, **(trained_windows(card) | _windows(options)))
            if options.file is None:
                return _shown(options, ask_one(model, method, questions[0]))
            return _many(options, watched(ask(model, method, questions), len(questions), "questions"))


def _method(options: argparse.Namespace) -> SpanMethod:
    """The way to ask the language model, checked before any model is loaded; a head reads as it was trained."""
    shots: tuple[tuple[str, str, str], ...] = ()
    if options.shots is not None:
        table = read_table(options.shots, LOCAL)
        shots = tuple(zip(*(table.column(name) for name in ("context", "question", "answer")), strict=True))
    return SpanMethod(
        template=options.template, shots=shots, n_best=options.n_best, threshold=options.threshold, **_windows(options)
    )


def _windows(options: argparse.Namespace) -> dict[str, Any]:
    """How the passage is read, as far as the options say it."""
    given = {name: getattr(options, name) for name in ("max_answer_tokens", "window_tokens", "doc_stride")}
    return {name: value for name, value in given.items() if value is not None}


def _questions(options: argparse.Namespace) -> list[Question]:
    if options.file is not None:
        if options.question is not None or options.context is not None:
            raise BadRequest("Give --file, or --question with --context, not both.")
        return read_questions(options.file, LOCAL)
    if options.question is None or options.context is None:
        raise BadRequest("Give --question and --context, or --file with questions and passages.")
    return [Question("question", options.question, options.context)]


def _shown(options: argparse.Namespace, prediction: AnswerPrediction) -> dict[str, Any]:
    """One answer; without --json the n best spans."""
    if not options.json:
        print(prediction.text or "(no answer)")
        note(f"{'share':>7}  {'score':>9}  {'from-to':<9}  answer")
        for span in prediction.n_best:
            place, words = f"{span.start}-{span.end}", " ".join(span.text.split())
            note(f"{span.probability:7.2%}  {span.score:9.3f}  {place:<9}  {words}")
        windows = "one window" if prediction.windows == 1 else f"{prediction.windows} windows"
        note(f"{'':7}  {prediction.null_score:9.3f}  {'':9}  (no answer); the passage was read in {windows}")
    return dataclasses.asdict(prediction)


def _many(options: argparse.Namespace, predictions: list[AnswerPrediction]) -> dict[str, Any]:
    """All answers by their questions' ids, as they are scored, and what they come to."""
    metrics = answer_metrics(predictions, options.threshold)
    threshold = deciding_threshold(predictions, options.threshold)
    predictions = [prediction.at(threshold) for prediction in predictions]
    found: dict[str, Any] = {
        "predictions": {one.id: one.text for one in predictions},
        "null_scores": {one.id: one.null_score for one in predictions},
        "errors": {one.id: one.error for one in predictions if one.error is not None},
        "metrics": metrics or None,
    }
    if options.out is not None:
        found["files"] = [str(path) for path in write_predictions(predictions, Path(options.out))]
    if not options.json:
        for one in predictions:
            print(f"{one.id}\t{one.error or ' '.join(one.text.split()) or '(no answer)'}")
        note("  ".join(f"{name} {value:.4g}" for name, value in metrics.items()) or "no answers to judge by")
    return found


COMMAND = Command("answer", "where in a passage the answer to a question stands", add_options, answer)
