"""Each sampling step is the field's, each stream draws from its own seed, and what is banned never comes."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.engine.tiny import END, VOCABULARY, answer, ids, quiet_engine, sampled, tiny_model
from workbench.engine.jobs import Beams, Decode, Sampling
from workbench.engine.sampling import Sampler, describe, drawn, filtered, penalised
from workbench.errors import BadRequest, NumericalFailure

PROMPT = torch.tensor([3, 5, 17])


def random_logits(seed: int, size: int = 5000) -> Tensor:
    """(size,) logits without ties, spread like a language model's."""
    return torch.randn(size, generator=torch.Generator().manual_seed(seed)) * 3


def published(warper: Any, logits: Tensor, ids: Tensor = PROMPT) -> Tensor:
    """What a processor of transformers makes of the logits."""
    return warper(ids[None], logits[None].clone())[0]


def assert_same_choice(ours: Tensor, theirs: Tensor) -> None:
    """The same tokens are kept, with the same probabilities; rounding may decide over one in the far tail."""
    assert int((ours.isinf() != theirs.isinf()).sum()) <= 1
    torch.testing.assert_close(ours.softmax(-1), theirs.softmax(-1), rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "warper, setting, values",
    [
        ("TemperatureLogitsWarper", "temperature", (0.1, 0.7, 1.3, 5.0)),
        ("TopKLogitsWarper", "top_k", (1, 7, 5000, 9999)),
        ("TopPLogitsWarper", "top_p", (0.01, 0.3, 0.9, 0.999)),
        ("MinPLogitsWarper", "min_p", (0.001, 0.05, 0.9)),
        ("TypicalLogitsWarper", "typical_p", (0.05, 0.4, 0.95)),
    ],
)
def test_each_filter_is_the_published_one(warper: str, setting: str, values: tuple[float, ...], seed: int) -> None:
    transformers = pytest.importorskip("transformers")
    for value in values:
        logits = random_logits(seed)
        theirs = published(getattr(transformers, warper)(value), logits)
        assert_same_choice(filtered(logits, Sampling(**{setting: value})), theirs)


@pytest.mark.parametrize("seed", range(5))
def test_filters_combine_in_the_published_order(seed: int) -> None:
    transformers = pytest.importorskip("transformers")
    logits = random_logits(seed)
    theirs = logits
    for warper in (
        transformers.TemperatureLogitsWarper(0.8),
        transformers.TopKLogitsWarper(60),
        transformers.TopPLogitsWarper(0.95),
        transformers.MinPLogitsWarper(0.01),
        transformers.TypicalLogitsWarper(0.9),
    ):
        theirs = published(warper, theirs)
    assert_same_choice(filtered(logits, Sampling(0.8, 60, 0.95, 0.01, 0.9)), theirs)


@pytest.mark.parametrize("penalty", [0.5, 1.0, 1.2, 3.0])
def test_the_repetition_penalty_is_the_published_one_over_prompt_and_continuation(penalty: float) -> None:
    transformers = pytest.importorskip("transformers")
    logits = random_logits(0)
    seen = torch.tensor([3, 5, 17, 5, 9, 9])
    theirs = published(transformers.RepetitionPenaltyLogitsProcessor(penalty), logits, seen)
    assert torch.equal(penalised(logits.clone(), Sampling(repetition_penalty=penalty), PROMPT, [5, 9, 9]), theirs)


@given(st.floats(-2, 2), st.floats(-2, 2), st.lists(st.integers(0, 19), max_size=12))
def test_presence_and_frequency_penalties_follow_their_formula(
    presence: float, frequency: float, continuation: list[int]
) -> None:
    logits = random_logits(1, 20)
    expected = logits.double()
    for token, count in Counter(continuation).items():
        expected[token] -= presence + frequency * count
    mix = Sampling(presence_penalty=presence, frequency_penalty=frequency)
    torch.testing.assert_close(
        penalised(logits.clone(), mix, PROMPT, continuation).double(), expected, rtol=0, atol=1e-5
    )


def test_the_prompt_counts_for_the_repetition_penalty_only() -> None:
    logits = random_logits(1, 20)
    mix = Sampling(presence_penalty=1.0, frequency_penalty=1.0)
    assert torch.equal(penalised(logits.clone(), mix, PROMPT, []), logits)


def test_banned_and_unknown_ids_are_never_drawn() -> None:
    banned = {0, 4, 7}
    sampler = Sampler(Sampling(temperature=3.0), [1], seed=0, known_tokens=12, banned=banned)
    came = {sampler.choose(random_logits(0, 16) / 3, []) for _ in range(10_000)}
    assert came == set(range(12)) - banned


def test_tokens_are_drawn_as_often_as_they_are_likely() -> None:
    logits = random_logits(0, 6)
    sampler = Sampler(Sampling(), [1], seed=0, known_tokens=6)
    came = Counter(sampler.choose(logits, []) for _ in range(10_000))
    for token, probability in enumerate(logits.softmax(-1).tolist()):
        deviation = math.sqrt(probability * (1 - probability) / 10_000)
        assert abs(came[token] / 10_000 - probability) < 5 * deviation + 1e-9


@settings(max_examples=50)
@given(st.lists(st.sampled_from([0.0, 1e-30, 0.2, 3.0]), min_size=1, max_size=300).filter(any), st.integers(0, 2**40))
def test_what_has_no_probability_is_never_drawn(weights: list[float], seed: int) -> None:
    token = drawn(torch.tensor(weights), torch.Generator().manual_seed(seed))
    assert weights[token] > 0


@pytest.mark.parametrize("spread", [0.01, 1.0, 8.0])
@pytest.mark.parametrize("mass", [1e-6, 0.5, 0.9, 0.9999])
def test_top_p_keeps_the_fewest_tokens_that_reach_it(spread: float, mass: float) -> None:
    logits = random_logits(3, 2000) * spread
    kept = filtered(logits, Sampling(top_p=mass)).isfinite()
    falling = logits.double().softmax(-1).sort(descending=True).values
    count, rounding = int(kept.sum()), 1e-5
    assert falling[:count].sum() >= min(mass, 1 - rounding) - rounding
    assert falling[: count - 1].sum() < mass + rounding
    assert not (~kept).any() or logits[kept].min() > logits[~kept].max()


def test_no_stop_token_comes_before_min_new_tokens() -> None:
    logits = torch.zeros(4)
    logits[1] = 50.0
    sampler = Sampler(Sampling(0.0), [1], 0, known_tokens=4, stop_tokens={1}, min_new_tokens=3)
    assert [sampler.choose(logits, [0] * count) == 1 for count in range(5)] == [False, False, False, True, True]


def test_stop_tokens_beyond_the_vocabulary_do_not_matter() -> None:
    sampler = Sampler(Sampling(0.0), [1], 0, known_tokens=4, stop_tokens={50256}, min_new_tokens=3)
    assert sampler.choose(torch.tensor([0.0, 2.0, 1.0, 0.0]), []) == 1


def test_greedy_takes_the_likeliest() -> None:
    sampler = Sampler(Sampling(0.0, top_k=3, top_p=0.5), [1], 0, known_tokens=5000)
    for seed in range(20):
        logits = random_logits(seed)
        assert sampler.choose(logits, []) == int(logits.argmax())


def test_a_seed_repeats_its_draws_and_another_does_not() -> None:
    def draws(seed: int) -> list[int]:
        sampler = Sampler(Sampling(), [1], seed, known_tokens=5000)
        return [sampler.choose(random_logits(step), []) for step in range(20)]

    assert draws(7) == draws(7)
    assert draws(7) != draws(8)


def test_choosing_leaves_the_logits_and_the_global_generator_alone() -> None:
    logits, before = random_logits(0), torch.get_rng_state()
    untouched = logits.clone()
    Sampler(Sampling(0.7, 5, 0.9, 0.1, 0.9, 1.2, 1.0, 1.0), [1], 0, 5000, {3}, {4}, 2).choose(logits, [8])
    assert torch.equal(logits, untouched) and torch.equal(torch.get_rng_state(), before)


@settings(max_examples=60)
@given(
    st.floats(0, 100),
    st.floats(0, 1, exclude_min=True),
    st.floats(0, 1, exclude_min=True),
    st.floats(0, 100, exclude_min=True),
)
def test_whatever_the_settings_a_known_token_is_drawn(
    temperature: float, top_p: float, typical_p: float, penalty: float
) -> None:
    mix = Sampling(temperature, top_p=top_p, typical_p=typical_p, repetition_penalty=penalty)
    sampler = Sampler(mix, [1, 2], 0, known_tokens=9)
    assert 0 <= sampler.choose(random_logits(2, 12) * 20, [3, 3]) < 9


@pytest.mark.parametrize("beams", [1, 3])
def test_if_every_token_is_banned_the_error_says_so(beams: int) -> None:
    everything = frozenset(range(VOCABULARY))
    job = Decode((1,), 4, sampling=Sampling(0.0), beams=Beams(beams), banned=everything)
    with pytest.raises(BadRequest, match="Every token is banned"):
        answer(quiet_engine(), job)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_nan_or_infinite_logits_fail_their_own_stream_only(broken: float) -> None:
    engine = quiet_engine()
    alone = answer(engine, sampled(3))
    healthy, ill = engine.submit(sampled(3)), engine.submit(sampled(4))
    compute = engine.served.model.lm_head.forward

    def spoiled(hidden: Tensor) -> Tensor:
        logits = compute(hidden)
        if logits.shape[0] > 1:  # a decoding step: the second stream is the second row
            logits[1, 7] = broken
        return logits

    engine.served.model.lm_head.forward = spoiled  # type: ignore[method-assign]
    engine.run_until_idle()
    assert healthy.result() == alone
    with pytest.raises(NumericalFailure, match="NaN or infinite"):
        ill.result()


def test_a_token_knows_its_probability_rank_and_rivals() -> None:
    logits = random_logits(5, 50)
    logprobs = logits.log_softmax(-1)
    order = logits.argsort(descending=True).tolist()
    token = describe(logits, order[3], alternatives=5)
    assert (token.id, token.rank, token.logprob) == (order[3], 4, float(logprobs[order[3]]))
    assert [rival for rival, _ in token.alternatives] == order[:5]
    assert all(logprob == float(logprobs[rival]) for rival, logprob in token.alternatives)


def test_reported_probabilities_are_the_models_own_whatever_the_settings() -> None:
    engine = quiet_engine(tiny_model())
    for settings_ in ({}, {"temperature": 0.3, "top_k": 5, "repetition_penalty": 1.5}):
        first = answer(engine, sampled(1, **settings_)).tokens[0]
        assert first.alternatives == answer(engine, sampled(2)).tokens[0].alternatives


@pytest.mark.parametrize("stray", [-1, VOCABULARY, 10**9, 1.5, True, None])
@pytest.mark.parametrize("place", ["prompt", "forced", "banned"])
def test_an_id_beyond_the_vocabulary_is_refused_at_once(place: str, stray: Any) -> None:
    values = {"prompt": (2,), place: frozenset({stray}) if place == "banned" else (2, stray)}
    with pytest.raises(BadRequest, match="token's id must be a whole number from 0 to 60"):
        quiet_engine().submit(Decode(max_new_tokens=4, **values))  # type: ignore[arg-type]


def test_min_new_tokens_holds_in_a_stream() -> None:
    engine = quiet_engine()
    for seed in range(20):
        job = Decode((5, 9), 12, 6, Sampling(2.0), seed=seed, stop_tokens=frozenset(range(30)))
        decoded = answer(engine, job)
        assert len(decoded.tokens) >= 6 and END not in ids(decoded)[6:]
