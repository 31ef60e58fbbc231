"""What the trunk says of all examples, computed once: a linear head on it then trains in seconds."""

import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from workbench.training.examples import Example, Split
from workbench.training.network import Batch, HeadNetwork, padded
from workbench.training.progress import FineTuneProgress, Pace

BATCH_TOKENS = 4096
"""Padding included: what the trunk reads at once."""
LARGEST_IN_MEMORY = 2**30
"""Bytes of token features; more lie in a file that is mapped into memory."""

Steps = Generator[FineTuneProgress, None, Tensor]


def last_token_features(network: HeadNetwork, examples: Sequence[Example], device: torch.device, spent: float) -> Steps:
    """(N, C) in float32: what a classification head sees of each example."""
    found: Tensor | None = None
    pace, done = Pace("features", len(examples), spent), 0
    for batch, hidden in _run(network, examples, device):
        read = network.objective.read(hidden, batch.lengths).float().cpu()
        if found is None:
            found = torch.empty(len(examples), read.shape[1])
        found[batch.rows] = read
        done += len(batch.rows)
        yield pace.at(done)
    return torch.empty(0, 0) if found is None else found


class TokenFeatures:
    """What a span head sees: the trunk's output for every token of every example, one after the other.

    Held in 16 bits; in memory, or mapped from a file where there is much of it.
    """

    def __init__(self, examples: Sequence[Example], width: int, dtype: torch.dtype, folder: Path):
        self.dtype = dtype if dtype == torch.float16 else torch.bfloat16
        ends = torch.tensor([0, *(len(example.tokens) for example in examples)]).cumsum(0)
        self._starts, count = ends[:-1], int(ends[-1])
        size = count * width
        if size * self.dtype.itemsize <= LARGEST_IN_MEMORY:
            self._flat = torch.empty(count, width, dtype=self.dtype)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix="training-features-") as file:
                mapped = torch.from_file(file.name, shared=True, size=size, dtype=self.dtype)
            self._flat = mapped.view(count, width)

    def fill(
        self, network: HeadNetwork, examples: Sequence[Example], device: torch.device, spent: float
    ) -> Iterator[FineTuneProgress]:
        """Runs the trunk over all examples."""
        pace, done = Pace("features", len(examples), spent), 0
        for batch, hidden in _run(network, examples, device):
            for row, length, tokens in zip(batch.rows.tolist(), batch.lengths.tolist(), hidden, strict=True):
                start = int(self._starts[row])
                self._flat[start : start + length] = tokens[:length].to("cpu", self.dtype)
            done += len(batch.rows)
            yield pace.at(done)

    def of(self, batch: Batch) -> Tensor:
        """(B, T, C), zeros at the padding, on the batch's device."""
        out = torch.zeros(*batch.ids.shape, self._flat.shape[1], dtype=self.dtype)
        for place, (row, length) in enumerate(zip(batch.rows.tolist(), batch.lengths.tolist(), strict=True)):
            start = int(self._starts[row])
            out[place, :length] = self._flat[start : start + length]
        return out.to(batch.ids.device)


def cached_features(
    network: HeadNetwork, split: Split, folder: Path, device: torch.device
) -> Generator[FineTuneProgress, None, Callable[[bool, Batch], Tensor]]:
    """The features of all examples of a split; gives what finds those of a batch, of either side.

    Args:
        folder: of the file that large features are mapped from; it has no name in there, and ends with the run.
    """
    sides = {True: split.validation, False: split.training}
    stores: dict[bool, TokenFeatures] = {}
    began = time.monotonic()
    for validating, examples in sides.items():
        stores[validating] = TokenFeatures(examples, network.head.in_features, _dtype(network), folder)
        yield from stores[validating].fill(network, examples, device, time.monotonic() - began)
    return lambda validating, batch: stores[validating].of(batch)


def _dtype(network: HeadNetwork) -> torch.dtype:
    return network.trunk.ln_f.weight.dtype if network.trunk is not None else torch.float32


def _run(network: HeadNetwork, examples: Sequence[Example], device: torch.device) -> Iterator[tuple[Batch, Tensor]]:
    """The trunk's output for all examples, in batches of like length, the longest first: what fails fails at once."""
    network.learn(False)
    for rows in batches_by_length(examples, BATCH_TOKENS):
        batch = padded(examples, rows, device)
        with torch.no_grad():
            hidden = network.features(batch)
        yield batch, hidden


def batches_by_length(examples: Sequence[Example], most_tokens: int) -> list[list[int]]:
    """All rows, the longest first, in batches of at most so many tokens with their padding, or one longer row."""
    order = sorted(range(len(examples)), key=lambda row: (-len(examples[row].tokens), row))
    batches: list[list[int]] = []
    for row in order:
        longest = len(examples[batches[-1][0]].tokens) if batches else 0
        if batches and (len(batches[-1]) + 1) * longest <= most_tokens:
            batches[-1].append(row)
        else:
            batches.append([row])
    return batches
