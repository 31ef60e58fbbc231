"""Random prompts with generation settings, for ours and for transformers' `generate`."""

from dataclasses import asdict, dataclass

import numpy
import torch
from torch import Tensor

from tests.gptj.tiny import fill, random_config
from workbench.published import GPTJForCausalLM

EOS, PAD = 1, 2  # not 0: transformers pads beams with the end token then


@dataclass(frozen=True)
class Settings:
    """What both `generate` methods take under the same names."""

    max_new_tokens: int
    min_new_tokens: int = 0
    num_beams: int = 1
    length_penalty: float = 1.0
    early_stopping: bool = False
    repetition_penalty: float = 1.0
    eos_token_id: int = EOS
    pad_token_id: int = PAD


@dataclass(frozen=True)
class Case:
    """A prompt batch and how to continue it."""

    input_ids: Tensor
    """(B, T), padded on the left with PAD."""
    attention_mask: Tensor
    settings: Settings

    def continued(self, model: torch.nn.Module) -> list[list[int]]:
        """What a model's `generate` gives; greedy, or by beams."""
        with torch.no_grad():
            rows = model.generate(
                self.input_ids, attention_mask=self.attention_mask, do_sample=False, **asdict(self.settings)
            )
        return rows.tolist()


def eager_to_end(seed: int) -> GPTJForCausalLM:
    """A random model that likes the end token, so that some rows end early."""
    config = random_config(numpy.random.default_rng(seed))
    model = fill(GPTJForCausalLM(config), seed)
    with torch.no_grad():
        model.lm_head.weight *= 2
        model.lm_head.bias[EOS] += 1.5
        model.lm_head.bias[PAD] -= 100  # so that padding in the output is padding
    return model


def random_case(seed: int, vocab_size: int, num_beams: int) -> Case:
    """Up to three rows of two to six tokens.

    Rows are of one length where a repetition penalty is set: transformers penalises the padding token too.
    """
    rng = numpy.random.default_rng(1000 + seed)
    penalty = float(rng.choice([1.0, 1.0, 1.3, 0.8]))
    rows, longest = int(rng.integers(1, 4)), int(rng.integers(2, 7))
    ids = rng.integers(3, vocab_size, (rows, longest))
    mask = numpy.ones_like(ids)
    if penalty == 1.0:
        for row in range(1, rows):
            mask[row, : int(rng.integers(0, longest))] = 0
    new = int(rng.integers(1, 10))
    settings = Settings(
        max_new_tokens=new,
        min_new_tokens=int(rng.integers(0, new + 1)) if rng.random() < 0.4 else 0,
        num_beams=num_beams,
        length_penalty=float(rng.choice([0.5, 1.0, 2.0])) if num_beams > 1 else 1.0,
        early_stopping=bool(rng.random() < 0.5) if num_beams > 1 else False,
        repetition_penalty=penalty,
    )
    return Case(torch.from_numpy(numpy.where(mask == 1, ids, PAD)), torch.from_numpy(mask), settings)
