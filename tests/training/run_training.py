"""Runs trainings in a process of its own, for the tests: requests as JSON -> losses, a line after each step."""

import json
import sys

import torch

from workbench.training.distribution import is_first_process
from workbench.training.heads import TrainAnswer, TrainClassify, train_head


def main(requests: str) -> None:
    """Trains one after the other, writing "out step loss" in the first process."""
    torch.set_num_threads(1)
    for kind, fields in json.loads(requests):
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        request = (TrainAnswer if kind == "TrainAnswer" else TrainClassify)(**values)
        for moment in train_head(request):
            if moment.phase == "training" and is_first_process():
                print(request.out, moment.step, moment.loss, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
