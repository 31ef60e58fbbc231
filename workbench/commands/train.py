"""`train`: a language model from nothing, or a head on a model's trunk."""

import argparse
import dataclasses
from contextlib import closing
from pathlib import Path
from typing import Any

from workbench.console import Command, add_fields, add_json_option, fields_of, note, rewritten
from workbench.errors import Cancelled
from workbench.loading.head_card import HEAD_FILE
from workbench.training.command import TrainRequest, train_lm
from workbench.training.distribution import is_first_process
from workbench.training.heads import FineTuneProgress, TrainAnswer, TrainClassify, Trained, train_head
from workbench.training.outcome import doubt
from workbench.training.state import STATE_FILE


def add_options(parser: argparse.ArgumentParser) -> None:
    """One sub-command for each thing that can be trained."""
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    lm = kinds.add_parser("lm", help="a language model from nothing, on plain text")
    add_fields(lm, TrainRequest)
    lm.set_defaults(command=train_language_model)
    classify = kinds.add_parser("classify", help="a classification head, on texts with labels")
    add_fields(classify, TrainClassify)
    classify.set_defaults(command=train_classifier)
    answer = kinds.add_parser("answer", help="a span head, on questions with passages and answers")
    add_fields(answer, TrainAnswer)
    answer.set_defaults(command=train_answerer)
    for kind in (lm, classify, answer):
        add_json_option(kind)


def train_language_model(options: argparse.Namespace) -> dict[str, Any]:
    """Trains a language model; the folder may be given again to go on after a stop."""
    answer = train_lm(TrainRequest(**fields_of(options, TrainRequest)), note)
    if not options.json:
        loss = "" if answer["loss"] is None else f", last loss {answer['loss']:.3f}"  # None: it was done before
        print(f"{answer['folder']}: {answer['steps']} steps{loss}")
    return answer


def train_classifier(options: argparse.Namespace) -> dict[str, Any]:
    """Trains a classification head."""
    return _trained(options, TrainClassify(**fields_of(options, TrainClassify)))


def train_answerer(options: argparse.Namespace) -> dict[str, Any]:
    """Trains a span head."""
    return _trained(options, TrainAnswer(**fields_of(options, TrainAnswer)))


def _trained(options: argparse.Namespace, request: TrainClassify | TrainAnswer) -> dict[str, Any]:
    """The result of a run whose progress goes to standard error.

    Raises:
        Cancelled: Ctrl-C; the message says what is kept.
    """
    trained: Trained | None = None
    with closing(train_head(request)) as steps:
        try:
            while trained is None:
                try:
                    _show(next(steps))
                except StopIteration as end:
                    trained = end.value
        except KeyboardInterrupt:
            steps.close()
            raise Cancelled(f"stopped; {_kept(request.folder)}") from None
    if not options.json and is_first_process():
        figures = ", ".join(f"{name} {value:.4g}" for name, value in trained.metrics.items())
        print(f"{trained.folder}: {figures or 'no validation'}; {trained.seconds:.1f} s")
        if words := doubt(trained.card):
            note(words)
    return {
        "folder": str(trained.folder),
        "metrics": trained.metrics,
        "seconds": trained.seconds,
        "card": {**dataclasses.asdict(trained.card), "folder": str(trained.folder)},
    }


def _kept(folder: Path) -> str:
    """What a stopped run left in its folder, and what the same command would do."""
    head = "a head that can be used" if (folder / HEAD_FILE).is_file() else "no head yet"
    then = "goes on from where it stopped" if (folder / STATE_FILE).is_file() else "starts from the beginning"
    return f"{folder} holds {head}, and the same command {then}"


def _show(progress: FineTuneProgress) -> None:
    """Validations stay on the screen; the steps between them share a line."""
    if not is_first_process():
        return
    loss = "" if progress.loss is None else f"  loss {progress.loss:.4f}"
    left = "" if progress.seconds_left is None else f"  {progress.seconds_left:.0f} s left"
    line = f"{progress.phase} {progress.step}/{progress.steps}{loss}{left}"
    if progress.validation is None:
        rewritten(line)
    else:
        figures = "  ".join(f"{name} {value:.4f}" for name, value in progress.validation.items())
        rewritten("")
        note(f"{line}  {figures}")


COMMAND = Command("train", "train a language model or a head", add_options)
