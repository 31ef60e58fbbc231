"""Engines with transformers' `generate`: transformers itself and what OpenVINO puts in its place."""

import time
from typing import Any

import torch
from protocol import Decoding, Prompts
from transformers import StoppingCriteria, StoppingCriteriaList


class Stamps(StoppingCriteria):  # type: ignore[misc]
    """Never stops; notes when it is asked, which is once a step."""

    def __init__(self) -> None:
        self.times: list[float] = []

    def __call__(self, input_ids: torch.Tensor, scores: Any, **_: Any) -> torch.Tensor:
        """False for each row."""
        self.times.append(time.monotonic())
        return torch.zeros(len(input_ids), dtype=torch.bool)


class Generating:
    """A model with `generate`, and what is known about it."""

    def __init__(self, model: Any, facts: dict[str, Any]):
        self._model, self.facts = model, facts
        model.generation_config.eos_token_id = None
        model.generation_config.pad_token_id = 0

    def decode(self, prompts: Prompts, tokens: int) -> Decoding:
        """All prompts as one batch."""
        stamps, ids = Stamps(), torch.tensor(prompts)
        with torch.inference_mode():
            self._model.generate(
                ids,
                attention_mask=torch.ones_like(ids),
                max_new_tokens=tokens + 1,
                do_sample=False,
                stopping_criteria=StoppingCriteriaList([stamps]),
            )
        return Decoding([stamps.times] * len(prompts))
