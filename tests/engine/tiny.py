"""A tiny model behind an engine, and the same answers computed the plain way: a whole forward pass for each token."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from tests.gptj.tiny import tiny_causal
from workbench.engine.engine import Engine
from workbench.engine.jobs import Decode, Decoded, Job, Sampling
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM

VOCABULARY = 61
END = 1
GREEDY = Sampling(temperature=0.0)


def tiny_model(seed: int = 0, n_positions: int = 64, vocab_size: int = VOCABULARY) -> GPTJForCausalLM:
    """Two blocks, weights of order one."""
    shape = GPTJConfig(vocab_size=vocab_size, n_positions=n_positions, n_embd=32, n_layer=2, n_head=4, rotary_dim=4)
    return tiny_causal(seed, shape)


def quiet_engine(model: GPTJForCausalLM | None = None, max_rows: int = 16, known_tokens: int | None = None) -> Engine:
    """An engine that computes in the caller's thread, when asked to."""
    return Engine(model or tiny_model(), known_tokens, max_rows=max_rows, threaded=False)


def answer(engine: Engine, job: Job) -> Any:
    """A job's answer from an engine without a thread."""
    handle = engine.submit(job)
    engine.run_until_idle()
    return handle.result()


@torch.inference_mode()
def turns(engine: Engine, count: int) -> None:
    """So many turns of an engine without a thread."""
    for _ in range(count):
        engine._turn()


def ids(decoded: Decoded) -> list[int]:
    """The tokens' ids."""
    return [token.id for token in decoded.tokens]


@torch.no_grad()
def next_logits(model: GPTJForCausalLM, tokens: Sequence[int]) -> Tensor:
    """Logits after these tokens, (V,), without any cache."""
    return model(torch.tensor([list(tokens)]), use_cache=False).logits[0, -1]


def decode_plainly(model: GPTJForCausalLM, prompt: Sequence[int], count: int) -> tuple[list[int], list[float]]:
    """The likeliest tokens and their log-probabilities, a whole forward pass for each."""
    tokens, logprobs = list(prompt), []
    for _ in range(count):
        logits = next_logits(model, tokens)
        tokens.append(int(logits.argmax()))
        logprobs.append(float(logits.log_softmax(-1)[tokens[-1]]))
    return tokens[len(prompt) :], logprobs


def sampled(seed: int, prompt: Sequence[int] = (5, 9, 2), count: int = 12, **settings: Any) -> Decode:
    """A stream with settings of its own."""
    return Decode(tuple(prompt), count, sampling=Sampling(**settings), seed=seed, alternatives=2)
