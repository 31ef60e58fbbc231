"""How good a network is on rows that it was not trained on."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from workbench.training.distribution import Processes
from workbench.training.examples import Example
from workbench.training.features import BATCH_TOKENS, batches_by_length
from workbench.training.network import Batch, padded
from workbench.training.objectives import Objective


def validate(
    logits_of: Callable[[Batch], Tensor], objective: Objective, examples: tuple[Example, ...], processes: Processes
) -> dict[str, float]:
    """The metrics and the mean loss; each process reads its share of the batches, and all know all results."""
    batches = batches_by_length(examples, BATCH_TOKENS)
    rounds = -(-len(batches) // processes.count)
    found: list[tuple[int, np.ndarray]] = []
    total = 0.0
    for number in range(rounds):
        place = number * processes.count + processes.rank
        rows = batches[place % len(batches)]  # processes without a batch of their own must still take part
        batch = padded(examples, rows, processes.device)
        with torch.no_grad():
            logits = logits_of(batch)
            loss = objective.loss(logits, objective.targets([examples[row] for row in rows]).to(logits.device))
        if place < len(batches):
            total += loss.item() * len(rows)
            ends = zip(rows, batch.lengths.tolist(), logits.float().cpu().numpy(), strict=True)
            found += [(row, objective.trimmed(values, length)) for row, length, values in ends]
    gathered: dict[int, np.ndarray] = dict(processes.gather(found))
    mean = sum(processes.gather([total])) / len(examples)
    return {**objective.measure(examples, [gathered[row] for row in range(len(examples))]), "loss": mean}
