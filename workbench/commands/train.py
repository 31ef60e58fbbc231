"""`train`: a language model from nothing, or a head on a model's trunk."""

import argparse
from typing import Any

from workbench.console import Command, add_fields, add_json_option, fields_of, note
from workbench.training.command import TrainRequest, train_lm


def add_options(parser: argparse.ArgumentParser) -> None:
    """One sub-command for each thing that can be trained."""
    kinds = parser.add_subparsers(required=True, metavar="WHAT")
    lm = kinds.add_parser("lm", help="a language model from nothing, on plain text")
    add_fields(lm, TrainRequest)
    add_json_option(lm)
    lm.set_defaults(command=train_language_model)


def train_language_model(options: argparse.Namespace) -> dict[str, Any]:
    """Trains a language model; the folder may be given again to go on after a stop."""
    answer = train_lm(TrainRequest(**fields_of(options, TrainRequest)), note)
    if not options.json:
        loss = "" if answer["loss"] is None else f", last loss {answer['loss']:.3f}"  # None: it was done before
        print(f"{answer['folder']}: {answer['steps']} steps{loss}")
    return answer


COMMAND = Command("train", "train a language model or a head", add_options)
