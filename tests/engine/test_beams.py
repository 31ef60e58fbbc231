"""Beam search finds what exhaustive search finds, agrees with transformers, and its caches change nothing."""

import itertools
import random
from typing import Any

import pytest
import torch

from tests.engine.tiny import END, GREEDY, answer, decode_plainly, ids, next_logits, quiet_engine, tiny_model
from workbench.engine.beams import BeamSearch
from workbench.engine.jobs import Beams, Decode, Decoded, Sampling
from workbench.engine.sampling import Sampler
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM


def beam_job(prompt: tuple[int, ...], count: int, beams: Beams, minimum: int = 0, penalty: float = 1.0) -> Decode:
    """A beam search that ends at END."""
    mix = Sampling(0.0, repetition_penalty=penalty)
    return Decode(prompt, count, minimum, mix, beams, stop_tokens=frozenset({END}))


def with_end(decoded: Decoded) -> list[int]:
    """The ids, the stop token included."""
    return ids(decoded) + ([] if decoded.stop_token is None else [decoded.stop_token])


def likeliest_of_all(model: GPTJForCausalLM, prompt: tuple[int, ...], length: int, vocabulary: int) -> tuple[int, ...]:
    """The likeliest continuation of exactly this length, by trying every one."""
    tails = list(itertools.product(range(vocabulary), repeat=length))
    rows = torch.tensor([[*prompt, *tail] for tail in tails])
    with torch.no_grad():
        logprobs = model(rows, use_cache=False).logits.log_softmax(-1)[:, len(prompt) - 1 : -1]
    scores = logprobs.gather(2, rows[:, len(prompt) :, None]).sum((1, 2))
    return tails[int(scores.argmax())]


@pytest.mark.parametrize("seed", range(8))
def test_enough_beams_find_the_likeliest_continuation_of_all(seed: int) -> None:
    vocabulary, length = 4, 3
    model = tiny_model(seed, vocab_size=vocabulary)
    job = Decode((2, 3), length, sampling=GREEDY, beams=Beams(16))
    assert tuple(ids(answer(quiet_engine(model), job))) == likeliest_of_all(model, (2, 3), length, vocabulary)


def search_without_caches(model: GPTJForCausalLM, job: Decode) -> tuple[list[int], float]:
    """The same search with a whole forward pass for every beam and token; ids and the sum of their logprobs."""
    sampler = Sampler(job.sampling, job.prompt, 0, model.config.vocab_size, (), job.stop_tokens, job.min_new_tokens)
    search = BeamSearch(job.beams, sampler, job.stop_tokens, job.max_new_tokens, 0)
    tails: list[list[int]] = [[]]
    while not search.done:
        logits = torch.stack([next_logits(model, [*job.prompt, *tail]) for tail in tails])
        parents = search.advance(logits)
        tails = [[*tails[parent], token] for parent, token in zip(parents, search.newest(), strict=True)]
    best = search.best()
    return [token.id for token in best.tokens], sum(token.logprob for token in best.tokens)


@pytest.mark.parametrize("seed", range(12))
def test_the_beams_caches_change_nothing(seed: int) -> None:
    rng = random.Random(seed)
    model = tiny_model(seed)
    prompt = tuple(rng.randrange(61) for _ in range(rng.randint(1, 20)))
    job = beam_job(prompt, rng.randint(2, 12), Beams(rng.randint(2, 5), rng.choice([0.5, 1.0, 2.0])))
    plain_ids, plain_score = search_without_caches(model, job)
    decoded = answer(quiet_engine(model), job)
    assert ids(decoded) == plain_ids
    assert sum(token.logprob for token in decoded.tokens) == pytest.approx(plain_score, abs=1e-4)


@pytest.fixture(scope="module")
def twins() -> tuple[GPTJForCausalLM, Any]:
    """Our model and transformers', with the same weights."""
    transformers = pytest.importorskip("transformers")
    shape = {"vocab_size": 61, "n_positions": 128, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4}
    model = tiny_model(0, n_positions=128)
    theirs = transformers.GPTJForCausalLM(transformers.GPTJConfig(**shape, bos_token_id=END, eos_token_id=END)).eval()
    theirs.load_state_dict(model.state_dict())
    assert isinstance(model.config, GPTJConfig)
    return model, theirs


@pytest.mark.parametrize("case", range(30))
def test_the_search_is_that_of_transformers(twins: tuple[GPTJForCausalLM, Any], case: int) -> None:
    model, theirs = twins
    rng = random.Random(case)
    prompt = tuple(rng.randrange(2, 61) for _ in range(rng.randint(1, 20)))
    count = rng.randint(1, 20)
    minimum = rng.choice([0, min(count, 5)])
    beams = Beams(rng.choice([2, 3, 4, 6]), rng.choice([0.0, 0.5, 1.0, 2.0, -1.0]), rng.random() < 0.5)
    penalty = rng.choice([1.0, 1.0, 1.3])
    ours = with_end(answer(quiet_engine(model), beam_job(prompt, count, beams, minimum, penalty)))
    settings = {
        "num_beams": beams.count,
        "length_penalty": beams.length_penalty,
        "early_stopping": beams.early_stopping,
        "repetition_penalty": penalty,
        "min_new_tokens": minimum or None,
        "pad_token_id": END,
    }
    tokens = torch.tensor([prompt])
    out = theirs.generate(
        tokens, attention_mask=torch.ones_like(tokens), max_new_tokens=count, do_sample=False, **settings
    )
    assert ours == out[0, len(prompt) :].tolist()


def test_one_beam_is_greedy_search() -> None:
    model = tiny_model(3)
    job = Decode((4, 5), 10, sampling=GREEDY, beams=Beams(1))
    assert ids(answer(quiet_engine(model), job)) == decode_plainly(model, (4, 5), 10)[0]


def test_tokens_of_a_search_carry_the_models_own_probabilities() -> None:
    model = tiny_model(1)
    decoded = answer(quiet_engine(model), Decode((4, 5), 6, sampling=GREEDY, beams=Beams(4), alternatives=2))
    before = [4, 5]
    for token in decoded.tokens:
        logprobs = next_logits(model, before).log_softmax(-1)
        assert token.logprob == pytest.approx(float(logprobs[token.id]), abs=1e-5)
        assert token.alternatives[0][0] == int(logprobs.argmax())
        before.append(token.id)


def test_more_beams_than_tokens_are_fine() -> None:
    model = tiny_model(0, vocab_size=3)
    assert len(answer(quiet_engine(model), Decode((1,), 5, sampling=GREEDY, beams=Beams(16))).tokens) == 5


def test_a_search_streams_the_tokens_of_its_result() -> None:
    engine = quiet_engine()
    handle = engine.submit(beam_job((4, 5), 8, Beams(3)))
    engine.run_until_idle()
    assert tuple(handle) == handle.result().tokens
