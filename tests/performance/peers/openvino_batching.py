"""Serves a folder that optimum-intel exported with OpenVINO GenAI's continuous batching."""

import argparse
import itertools
import json
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import openvino_genai
from protocol import Decoding, Prompts, serve


class Batching:
    """The pipeline, stepped by hand: each step's end is a token's time."""

    def __init__(self, folder: Path, threads: int):
        config = json.loads((folder / "config.json").read_text())
        self._most = config["n_positions"]
        self._pipeline = openvino_genai.ContinuousBatchingPipeline(
            str(folder), openvino_genai.SchedulerConfig(), "CPU", {"INFERENCE_NUM_THREADS": threads}
        )
        self._numbers = itertools.count()
        file_bytes = (folder / "openvino_model.bin").stat().st_size
        self.facts: dict[str, Any] = {
            "weights_read_bytes": file_bytes - config["vocab_size"] * config["n_embd"],
            "versions": {name: version(name) for name in ("openvino", "openvino-genai")},
        }

    def decode(self, prompts: Prompts, tokens: int) -> Decoding:
        """All prompts as requests that arrive together; they leave when enough steps were made by all."""
        handles = [self._ask(prompt, tokens) for prompt in prompts]
        stamps: list[list[float]] = [[] for _ in prompts]
        while any(len(times) < tokens + 1 for times in stamps):
            if not self._pipeline.has_non_finished_requests():
                raise RuntimeError("the pipeline ended a request early")
            self._pipeline.step()
            now = time.monotonic()
            for handle, times in zip(handles, stamps, strict=True):
                while handle.can_read():
                    times.extend(now for output in handle.read().values() for _ in output.generated_ids)
        for handle in handles:
            handle.cancel()
        while self._pipeline.has_non_finished_requests():
            self._pipeline.step()
        return Decoding(stamps)

    def _ask(self, prompt: list[int], tokens: int) -> Any:
        settings = openvino_genai.GenerationConfig()
        # Streams begin one after the other: the first must still run when the last has made its steps.
        settings.max_new_tokens = self._most - len(prompt) if tokens else 1
        settings.ignore_eos, settings.do_sample = True, False
        ids = openvino.Tensor(np.array([prompt], dtype=np.int64))
        return self._pipeline.add_request(next(self._numbers), ids, settings)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("threads", type=int)
    given = parser.parse_args()
    serve(lambda: Batching(given.folder, given.threads))
