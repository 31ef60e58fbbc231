"""Runs trainings in a process of its own, for the tests: requests as JSON -> losses, a line after each step."""

import json
import os
import sys

import torch
from accelerate import PartialState
from accelerate.utils import DistributedType

from workbench.training.distribution import is_first_process
from workbench.training.heads import TrainAnswer, TrainClassify, train_head


def main(requests: str) -> None:
    """Trains one after the other, writing "out step loss" in the first process; None or the last step of each."""
    torch.set_num_threads(1)
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        _take_cpus_for_gpus()
    for kind, fields, stop in json.loads(requests):
        values = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
        request = (TrainAnswer if kind == "TrainAnswer" else TrainClassify)(**values)
        steps = train_head(request)
        for moment in steps:
            if moment.phase == "training" and is_first_process():
                print(request.out, moment.step, moment.loss, flush=True)
            if moment.phase == "training" and moment.step == stop:
                steps.close()


def _take_cpus_for_gpus() -> None:
    """accelerate looks for FSDP on GPUs alone, though torch's own works on CPUs, through gloo."""
    PartialState(cpu=True)
    PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU


if __name__ == "__main__":
    main(sys.argv[1])
