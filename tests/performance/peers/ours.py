"""Serves a folder with the workbench itself: its manager, its engine, jobs as a page submits them."""

import argparse
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import torch

from tests.performance.peers.protocol import Decoding, Prompts, resident_bytes, serve
from workbench.engine.handle import Handle
from workbench.engine.jobs import Decode, Sampling
from workbench.errors import Cancelled
from workbench.kernels.compiled import kernels
from workbench.manager import ModelManager, ModelSpec


class Ours:
    """An engine as the manager sets it up."""

    def __init__(self, folder: Path, threads: int):
        torch.set_num_threads(threads)
        stay = ExitStack()
        manager = ModelManager()
        stay.callback(manager.close)
        self._engine = stay.enter_context(manager.lease(ModelSpec(str(folder)))).engine
        self._stay = stay
        model = self._engine.served.model
        held = {name: value for name, value in model.state_dict().items() if not name.endswith("wte.weight")}
        size = model.transformer.ln_f.weight.element_size()
        self.facts: dict[str, Any] = {
            "weights_read_bytes": sum(value.nbytes for value in held.values()),
            "kv_bytes_per_token": 2 * model.config.n_layer * model.config.n_embd * size,
            "dtypes": sorted({str(value.dtype) for value in held.values()}),
            "chunk_tokens": self._engine.served.chunk_tokens,
            "row_block": self._engine.served.row_block,
            "kernels": kernels().instructions,
            "kernels_note": kernels().note,
            "versions": {"torch": torch.__version__},
        }

    def decode(self, prompts: Prompts, tokens: int) -> Decoding:
        """All prompts as jobs that arrive together; they leave when enough steps were made by all."""
        handles = [self._ask(prompt, tokens) for prompt in prompts]
        try:
            stamps = [[next(given).emitted_at for _ in range(tokens + 1)] for given in map(iter, handles)]
            held = resident_bytes()
        finally:
            for handle in handles:
                handle.cancel()
        for handle, times in zip(handles, stamps, strict=True):
            with suppress(Cancelled):
                times.extend(token.emitted_at for token in handle)
        return Decoding(stamps, held)

    def _ask(self, prompt: list[int], tokens: int) -> Handle:
        # Without drafts: plain steps are what the peers make, and random weights repeat themselves as no text does.
        # Streams begin one after the other: the first must still run when the last has made its steps.
        most = self._engine.served.context - len(prompt) if tokens else 1
        return self._engine.decode(Decode(tuple(prompt), most, sampling=Sampling(temperature=0), lookup=False))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("threads", type=int)
    given = parser.parse_args()
    serve(lambda: Ours(given.folder, given.threads))
