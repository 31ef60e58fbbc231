"""The classes as the published documentation page writes them: the network joined to its loading and to the engine.

The network itself needs only torch; these thin classes add `from_pretrained`, `save_pretrained` and `generate`.
"""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn

from workbench.engine.engine import Engine
from workbench.engine.jobs import Beams, Decode, Decoded, Sampling
from workbench.engine.limits import Limits
from workbench.errors import BadRequest
from workbench.gptj import heads, model
from workbench.gptj.config import GPTJConfig, as_ids
from workbench.loading.devices import DeviceMap, MaxMemory
from workbench.loading.load import from_pretrained, save_pretrained
from workbench.loading.own_head import OWN
from workbench.loading.source import resolve
from workbench.loading.write import SHARD_BYTES
from workbench.text import tokenizer

__all__ = [
    "GPTJConfig",
    "GPTJForCausalLM",
    "GPTJForQuestionAnswering",
    "GPTJForSequenceClassification",
    "GPTJModel",
    "Tokenizer",
]

DEFAULT_NEW_TOKENS = 20
"""As published: tokens of the continuation when no length is given."""


class Pretrained:
    """What the published page gives every model class beside its forward pass."""

    @property
    def device(self) -> torch.device:
        """Of the first parameter: where inputs belong. A model offloaded to disk takes them on the CPU."""
        device: torch.device = next(self.parameters()).device  # type: ignore[attr-defined]
        offloaded = device.type == "meta" and hasattr(self, "hf_device_map")
        return torch.device("cpu") if offloaded else device

    @property
    def dtype(self) -> torch.dtype:
        """Of the first parameter with decimals, since quantised weights are whole numbers."""
        parameters: Iterator[Tensor] = self.parameters()  # type: ignore[attr-defined]
        return next(parameter.dtype for parameter in parameters if parameter.is_floating_point())

    @classmethod
    def from_pretrained(
        cls,
        folder_or_hub_id: str | os.PathLike[str],
        revision: str | None = None,
        dtype: torch.dtype | str | None = None,
        precision: str | None = None,
        device_map: DeviceMap | None = None,
        max_memory: MaxMemory | None = None,
        offload_folder: str | Path | None = None,
    ) -> Self:
        """A model in evaluation mode; the arguments and errors are those of `loading.load.from_pretrained`."""
        return from_pretrained(
            cls,
            folder_or_hub_id,
            revision,
            dtype,
            precision,
            device_map,
            max_memory,
            offload_folder,  # type: ignore[type-var]
        )

    def save_pretrained(self, folder: str | os.PathLike[str], max_shard_bytes: int = SHARD_BYTES) -> None:
        """Writes config.json and safetensors files; see `loading.load.save_pretrained`."""
        save_pretrained(self, folder, max_shard_bytes)  # type: ignore[arg-type]


class GPTJModel(model.GPTJModel, Pretrained):
    """The trunk without a head."""


class GPTJForSequenceClassification(heads.GPTJForSequenceClassification, Pretrained):
    """The trunk with a sequence classification head."""


class GPTJForQuestionAnswering(heads.GPTJForQuestionAnswering, Pretrained):
    """The trunk with a span head for extractive question answering."""


class Tokenizer(tokenizer.Tokenizer):
    """The tokenizer of a folder or a Hub repository."""

    @classmethod
    def from_pretrained(cls, folder_or_hub_id: str | os.PathLike[str], revision: str | None = None) -> Self:
        """Reads tokenizer.json, or vocab.json with merges.txt.

        Raises:
            CheckpointNotFound: there is no such folder or repository.
            BadCheckpoint: a tokenizer file is missing or broken.
        """
        return cls.from_folder(resolve(folder_or_hub_id, revision, weights=False))


class GPTJForCausalLM(model.GPTJForCausalLM, Pretrained):
    """The trunk with a language-model head."""

    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        max_length: int | None = None,
        max_new_tokens: int | None = None,
        min_new_tokens: int = 0,
        do_sample: bool = False,
        temperature: float = 1.0,
        top_k: int = 50,
        top_p: float = 1.0,
        min_p: float = 0.0,
        typical_p: float = 1.0,
        repetition_penalty: float = 1.0,
        num_beams: int = 1,
        length_penalty: float = 1.0,
        early_stopping: bool = False,
        eos_token_id: int | Sequence[int] | None = None,
        pad_token_id: int | None = None,
        seed: int | None = None,
    ) -> Tensor:
        """Continues each row of (B, T) token ids, through the same engine that serves the page.

        Args:
            attention_mask: (B, T) with 0 at padding, left or right; None: no padding.
            max_length: tokens of prompt and continuation together.
            max_new_tokens: tokens of the continuation; goes before `max_length`. 20 if neither length is given.
            do_sample: draw tokens; False takes the likeliest, or searches with `num_beams` > 1.
            eos_token_id: ends a row, or several that do; None takes the configuration's.
            pad_token_id: fills rows that end early; None takes the configuration's, else the first end token.
            seed: of the draws; None draws one from torch's global generator, so `torch.manual_seed` repeats them.

        Returns:
            (B, T + longest continuation): the input, the continuations with their end token, padding.

        Raises:
            BadRequest: a setting out of its range. TooLong: a row fills the context.
        """
        ends = self.config.end_tokens if eos_token_id is None else as_ids(eos_token_id)
        prompts = _prompts(input_ids, attention_mask)
        new_tokens = _new_tokens(input_ids.shape[1], max_length, max_new_tokens)
        sampling = Sampling(0.0, repetition_penalty=repetition_penalty)
        if do_sample:
            sampling = Sampling(temperature, top_k, top_p, min_p, typical_p, repetition_penalty)
        first_seed = int(torch.randint(2**31, ())) if seed is None else seed
        jobs = [
            Decode(
                prompt=prompt,
                max_new_tokens=new_tokens,
                min_new_tokens=min(min_new_tokens, new_tokens),
                sampling=sampling,
                beams=Beams(num_beams, length_penalty, early_stopping),
                seed=first_seed + row,
                stop_tokens=frozenset(ends),
            )
            for row, prompt in enumerate(prompts)
        ]
        rows = [_ids(decoded) for decoded in self._decode(jobs)]
        pad = next((p for p in (pad_token_id, self.config.pad_token_id, *ends) if p is not None), 0)
        longest = max(map(len, rows))
        padded = torch.tensor([row + [pad] * (longest - len(row)) for row in rows], dtype=torch.long)
        return torch.cat((input_ids, padded.to(input_ids.device)), dim=1)

    def _decode(self, jobs: list[Decode]) -> list[Decoded]:
        was_training = self.training
        self.eval()
        try:
            with Engine(self, threaded=False, limits=Limits(waiting=len(jobs))) as engine:
                handles = [engine.decode(job) for job in jobs]
                engine.run_until_idle()
                return [handle.result() for handle in handles]
        finally:
            self.train(was_training)


def _new_tokens(prompt_tokens: int, max_length: int | None, max_new_tokens: int | None) -> int:
    if max_new_tokens is not None:
        return max_new_tokens
    if max_length is None:
        return DEFAULT_NEW_TOKENS
    if max_length <= prompt_tokens:
        raise BadRequest(
            f"max_length={max_length} leaves no room after the prompt's {prompt_tokens} tokens. "
            "Raise it, or set max_new_tokens."
        )
    return max_length - prompt_tokens


def _prompts(input_ids: Tensor, attention_mask: Tensor | None) -> list[tuple[int, ...]]:
    mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
    if input_ids.dim() != 2 or not len(input_ids) or mask.shape != input_ids.shape:
        raise BadRequest(
            f"input_ids must be (rows, tokens) with at least one row, and attention_mask of the same shape; "
            f"got {tuple(input_ids.shape)} and {tuple(mask.shape)}."
        )
    return [tuple(row[keep.bool()].tolist()) for row, keep in zip(input_ids, mask, strict=True)]


def _ids(decoded: Decoded) -> list[int]:
    """The tokens, and the end token that a row of the output keeps."""
    end = [] if decoded.stop_token is None else [decoded.stop_token]
    return [token.id for token in decoded.tokens] + end


AnyModel = GPTJForCausalLM | GPTJForSequenceClassification | GPTJForQuestionAnswering
CLASSES: dict[str | None, type[AnyModel]] = {
    None: GPTJForCausalLM,
    "classify": GPTJForSequenceClassification,
    "answer": GPTJForQuestionAnswering,
}
"""By the kind of head that a checkpoint ends in; None: a language-model head."""


def trained_heads(model: AnyModel) -> dict[str, nn.Module]:
    """The head of a classifier or a span reader under the name by which it is asked; none of a language model."""
    if isinstance(model, GPTJForSequenceClassification):
        return {OWN: model.score}
    return {OWN: model.qa_outputs} if isinstance(model, GPTJForQuestionAnswering) else {}
