"""Serves a folder that CTranslate2 converted (int8 weights), or makes it from a checkpoint."""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import ctranslate2
from ctranslate2.converters import TransformersConverter
from protocol import Decoding, Prompts, serve


class Translating:
    """CTranslate2's generator, which takes a batch of texts in tokens' own words."""

    def __init__(self, folder: Path, threads: int):
        self._generator = ctranslate2.Generator(
            str(folder), device="cpu", compute_type="int8", inter_threads=1, intra_threads=threads
        )
        self._words = json.loads((folder / "vocabulary.json").read_text())
        size = (folder / "model.bin").stat().st_size
        embedding = len(self._words) * json.loads((folder / "made_from.json").read_text())["n_embd"]
        self.facts: dict[str, Any] = {
            "weights_read_bytes": size - embedding,
            "versions": {"ctranslate2": ctranslate2.__version__},
        }

    def decode(self, prompts: Prompts, tokens: int) -> Decoding:
        """All prompts as one batch."""
        stamps: list[list[float]] = [[] for _ in prompts]

        def note(result: Any) -> bool:
            stamps[result.batch_id].append(time.monotonic())
            return False

        self._generator.generate_batch(
            [[self._words[token] for token in prompt] for prompt in prompts],
            max_batch_size=0,
            beam_size=1,
            sampling_topk=1,
            min_length=tokens + 1,
            max_length=tokens + 1,
            include_prompt_in_result=False,
            callback=note,
        )
        return Decoding(stamps)


def convert(checkpoint: Path, folder: Path) -> None:
    """Writes the folder, with CTranslate2's own converter."""
    TransformersConverter(str(checkpoint), load_as_float16=True, low_cpu_mem_usage=True).convert(
        str(folder), quantization="int8", force=True
    )
    (folder / "made_from.json").write_text((checkpoint / "config.json").read_text())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("threads", type=int)
    parser.add_argument("--make-from", type=Path)
    given = parser.parse_args()
    if given.make_from:
        convert(given.make_from, given.folder)
    else:
        serve(lambda: Translating(given.folder, given.threads))
