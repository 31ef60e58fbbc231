"""Guessed tokens: whatever is guessed, the answers are those of plain decoding, bit for bit."""

import random
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engine.tiny import GREEDY, answer, ids, next_logits, quiet_engine, tiny_model, turns
from tests.performance.batch_invariance import SMALL_SHAPES, Guest, models, random_crowd, random_decode
from workbench.engine.jobs import Beams, Decode, Decoded
from workbench.engine.lookup import FIRST_GUESS, LONGEST_GUESS, LONGEST_PAUSE, NGRAMS, Lookup
from workbench.engine.served import Served
from workbench.engine.sizing import fill_rows
from workbench.errors import BadRequest
from workbench.gptj.cache import KVCache
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import load_model
from workbench.loading.spec import DEMO_FOLDER

MODELS = models(SMALL_SHAPES)
some_tokens = st.lists(st.integers(0, 4), max_size=30)
seeds = st.integers(0, 2**20)


def plainly(job: Decode, model: GPTJForCausalLM) -> Decoded:
    """The answer without guesses."""
    decoded: Decoded = answer(quiet_engine(model), replace(job, lookup=False))
    return decoded


def repeating(rng: random.Random, model: GPTJForCausalLM) -> Decode:
    """Any job over a prompt that repeats a few tokens; rarely a beam search."""
    few = [rng.randrange(model.config.vocab_size) for _ in range(rng.randint(1, 6))]
    prompt = tuple(rng.choice([few, few[::-1]])[place % len(few)] for place in range(rng.randint(1, 40)))
    job = random_decode(rng, model.config)
    greedy = GREEDY if rng.random() < 0.5 else job.sampling
    return replace(job, prompt=prompt, sampling=GREEDY if job.beams.count > 1 else greedy)


@settings(max_examples=60, deadline=None)
@given(seed=seeds, shape=st.integers(0, len(MODELS) - 1))
def test_any_stream_is_the_same_with_guesses_and_without(seed: int, shape: int) -> None:
    job = repeating(random.Random(seed), MODELS[shape])
    assert answer(quiet_engine(MODELS[shape]), job) == plainly(job, MODELS[shape])


@settings(max_examples=25, deadline=None)
@given(seed=seeds, shape=st.integers(0, len(MODELS) - 1))
def test_any_crowd_is_the_same_with_guesses_and_without(seed: int, shape: int) -> None:
    rng, model = random.Random(seed), MODELS[shape]
    crowd = random_crowd(rng, model.config)
    crowd = [replace(g, job=repeating(rng, model)) if isinstance(g.job, Decode) else g for g in crowd]
    assert answers(crowd, model) == [
        None if not isinstance(guest.job, Decode) or guest.cancelled is not None else plainly(guest.job, model)
        for guest in crowd
    ]


def answers(crowd: list[Guest], model: GPTJForCausalLM) -> list[Decoded | None]:
    """The streams' answers, each joining and leaving when it will; None for the other jobs and the cancelled."""
    engine = quiet_engine(model)
    handles = {}
    for turn in range(30):
        for place, guest in enumerate(crowd):
            if guest.joins == turn:
                handles[place] = engine.submit(guest.job)
            if guest.cancelled == turn:
                handles[place].cancel()
        turns(engine, 1)
    engine.run_until_idle()
    wanted = [isinstance(guest.job, Decode) and guest.cancelled is None for guest in crowd]
    return [handles[place].result() if asked else None for place, asked in enumerate(wanted)]


@pytest.mark.parametrize("model", MODELS, ids=["head width 8", "head width 9", "head width 11"])
def test_guesses_come_true_and_save_steps(model: GPTJForCausalLM) -> None:
    job = Decode((5, 9, 2) * 4, 60, sampling=GREEDY)
    plain, guessing = quiet_engine(model), quiet_engine(model)
    without, found = answer(plain, replace(job, lookup=False)), answer(guessing, job)
    assert found == without and without.drafted == without.accepted == 0
    assert 20 < found.accepted <= found.drafted
    assert guessing.steps == plain.steps - found.accepted


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_other_precisions_keep_the_promise_too(dtype: torch.dtype) -> None:
    model = tiny_model().to(dtype)
    for seed in range(12):
        job = Decode((5, 9, 2) * 4, 40, sampling=GREEDY if seed % 2 else replace(GREEDY, temperature=0.5), seed=seed)
        assert answer(quiet_engine(model), job) == plainly(job, model)


def test_eight_bits_keep_it_where_their_rows_are_computed_each_for_itself() -> None:
    pytest.importorskip("bitsandbytes")
    model, _ = load_model(GPTJForCausalLM, DEMO_FOLDER, precision="int8")
    if not fill_rows(model):
        pytest.skip("there is no C compiler here, and PyTorch's rows look at each other")
    jobs = [Decode((50 + seed, 9, 2) * 5, 40, sampling=GREEDY) for seed in range(3)]
    engine = quiet_engine(model)
    handles = [engine.submit(job) for job in jobs]
    engine.run_until_idle()
    found = [handle.result() for handle in handles]
    assert found == [plainly(job, model) for job in jobs] and sum(one.accepted for one in found) > 0


def test_streams_in_company_share_the_rows_that_are_left() -> None:
    model = MODELS[0]
    jobs = [Decode((2 + seed, 9, 4) * 4, 50, sampling=GREEDY, seed=seed) for seed in range(5)]
    engine = quiet_engine(model)
    handles = [engine.submit(job) for job in jobs]
    engine.run_until_idle()
    found = [handle.result() for handle in handles]
    assert found == [plainly(job, model) for job in jobs]
    assert all(one.accepted > 0 for one in found)


def test_a_full_step_has_no_room_for_guesses() -> None:
    served = quiet_engine(MODELS[0]).served
    assert [served.spare_rows(rows) for rows in (1, 7, 8, 9, 16)] == [7, 1, 0, 7, 0]


def test_rows_computed_each_for_itself_are_filled_up_to_a_few() -> None:
    served = replace(quiet_engine(MODELS[0]).served, row_block=0, fill_rows=8)
    assert [served.spare_rows(rows) for rows in (1, 7, 8, 9, 16)] == [7, 1, 0, 0, 0]


def test_steps_whose_rows_look_at_each_other_take_no_guesses() -> None:
    engine = quiet_engine(MODELS[0])
    engine.served = replace(engine.served, row_block=0)
    assert answer(engine, Decode((5, 9, 2) * 4, 30, sampling=GREEDY)).drafted == 0


def test_beams_take_no_guesses() -> None:
    engine = quiet_engine(MODELS[0])
    assert answer(engine, Decode((5, 9, 2) * 4, 30, sampling=GREEDY, beams=Beams(2))).drafted == 0


def test_forced_tokens_need_no_step_each_and_count_as_no_guess() -> None:
    engine = quiet_engine(MODELS[0])
    forced = tuple(range(2, 34))
    job = Decode((5, 9, 2), 32, sampling=GREEDY, forced=forced)
    found = answer(engine, job)
    assert ids(found) == list(forced) and found == plainly(job, MODELS[0])
    assert engine.steps <= 6 and found.drafted == 0


@pytest.mark.parametrize("most", range(1, 12))
def test_a_stop_token_or_a_text_that_ends_inside_a_guess_ends_there(most: int) -> None:
    model = MODELS[0]
    job = Decode((5, 9, 2) * 4, 60, sampling=GREEDY)
    last = ids(plainly(job, model))[most]
    for ending in ({"stop_tokens": frozenset({last})}, {"ends": lambda token: token == last}):
        assert answer(quiet_engine(model), replace(job, **ending)) == plainly(replace(job, **ending), model)


def test_a_text_is_asked_about_each_token_once_and_in_order() -> None:
    asked: list[int] = []
    job = Decode((5, 9, 2) * 4, 60, sampling=GREEDY, ends=lambda token: bool(asked.append(token)))
    found = answer(quiet_engine(MODELS[0]), job)
    assert found.accepted > 0 and asked == ids(found)


def test_guesses_fill_the_context_and_no_more() -> None:
    model = tiny_model(n_positions=32)
    found = answer(quiet_engine(model), job := Decode((5, 9, 2) * 4, 60, sampling=GREEDY))
    assert len(found.tokens) == 20 and found == plainly(job, model)


def failing_at(count: int, lookup: bool = True) -> tuple[Decode, list[int]]:
    """A repeating text that fails at one of its tokens, and the tokens it was asked about."""
    asked: list[int] = []

    def ends(token: int) -> bool:
        asked.append(token)
        if len(asked) == count:
            raise BadRequest("That was the one.")
        return False

    return Decode((5, 9, 2) * 4, 60, sampling=GREEDY, ends=ends, lookup=lookup), asked


@pytest.mark.parametrize("count", range(2, 12))
def test_a_text_that_fails_behind_a_guess_fails_as_it_does_without(count: int) -> None:
    asked, steps = [], []
    for lookup in (True, False):
        engine = quiet_engine(MODELS[0])
        job, tokens = failing_at(count, lookup)
        with pytest.raises(BadRequest, match="That was the one"):
            answer(engine, job)
        asked.append(tokens)
        steps.append(engine.steps)
    assert asked[0] == asked[1] and len(asked[0]) == count
    assert steps[0] < steps[1] or count < 9


def test_one_that_fails_takes_nobody_along_whose_guesses_share_the_step() -> None:
    model, (failing, _) = MODELS[0], failing_at(9)
    jobs = [Decode((2 + seed, 9, 4) * 4, 40, sampling=GREEDY) for seed in range(2)]
    engine = quiet_engine(model)
    handles = [engine.submit(job) for job in (jobs[0], failing, jobs[1])]
    engine.run_until_idle()
    with pytest.raises(BadRequest, match="That was the one"):
        handles[1].result()
    found = [handles[place].result() for place in (0, 2)]
    assert found == [plainly(job, model) for job in jobs] and all(one.accepted > 0 for one in found)


def test_streams_with_guesses_and_without_share_a_step() -> None:
    model = MODELS[0]
    jobs = [Decode((2 + seed, 9, 4) * 4, 40, sampling=GREEDY, lookup=seed % 2 == 0) for seed in range(4)]
    engine = quiet_engine(model)
    handles = [engine.submit(job) for job in jobs]
    engine.run_until_idle()
    found = [handle.result() for handle in handles]
    assert found == [plainly(job, model) for job in jobs]
    assert [one.accepted > 0 for one in found] == [True, False, True, False]


def test_after_very_many_misses_there_are_guesses_still() -> None:
    lookup = Lookup([2, 3, 4] * 20)
    for _ in range(5000):
        lookup.judge(4, 0)
    assert any(lookup.draft(4) for _ in range(LONGEST_PAUSE + 1))


def test_on_a_gpu_nothing_is_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    served = quiet_engine(MODELS[0]).served
    monkeypatch.setattr(Served, "device", torch.device("cuda", 0))
    assert served.spare_rows(1) == 0


@pytest.mark.parametrize("at_once, groups", [(True, [32, 8]), (False, [40])])
def test_a_step_of_very_many_rows_is_split_only_for_the_heads_kernel(
    at_once: bool, groups: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = MODELS[0]
    served = replace(quiet_engine(model).served, row_block=0, reads_head_once=at_once)
    seen: list[int] = []
    logits = Served.logits
    monkeypatch.setattr(Served, "logits", lambda self, hidden: seen.append(len(hidden)) or logits(self, hidden))
    caches = [KVCache(model.config.n_layer) for _ in range(40)]
    with torch.inference_mode():
        for place, cache in enumerate(caches):
            served.hidden((2 + place, 9), cache)
        found = served.decode([((5,), cache) for cache in caches])
    assert seen == groups
    plain = torch.stack([next_logits(model, (2 + place, 9, 5)) for place in range(40)])
    torch.testing.assert_close(found, plain, rtol=1e-4, atol=1e-4)


@given(text=some_tokens, most=st.integers(-1, 20))
def test_a_guess_goes_on_as_the_text_did_where_its_latest_tokens_stood_last(text: list[int], most: int) -> None:
    guess = Lookup(text).draft(most)
    assert len(guess) <= max(0, min(most, FIRST_GUESS))
    assert guess == tuple(slowly(text)[: len(guess)])
    assert bool(guess) == (most > 0 and bool(slowly(text)))


def slowly(text: list[int]) -> list[int]:
    """The longest guess, by looking through the whole text."""
    for size in NGRAMS:
        for start in range(len(text) - size - 1, -1, -1):
            if len(text) >= size and text[start : start + size] == text[-size:]:
                grown = list(text)
                while len(grown) < len(text) + LONGEST_GUESS:
                    grown.append(grown[start + size + len(grown) - len(text)])
                return grown[len(text) :]
    return []


@given(text=some_tokens, split=st.integers(0, 30))
def test_a_text_that_grows_is_the_text_at_once(text: list[int], split: int) -> None:
    growing = Lookup(text[:split])
    for token in text[split:]:
        growing.add(token)
    assert growing.draft(9) == Lookup(text).draft(9)


def test_guesses_grow_while_they_come_true() -> None:
    lookup = Lookup([2, 3, 4] * 20)
    lengths = []
    for _ in range(4):
        lengths.append(len(lookup.draft(100)))
        lookup.judge(lengths[-1], lengths[-1])
    assert lengths == sorted(lengths) and lengths[0] == FIRST_GUESS and lengths[-1] == LONGEST_GUESS


def test_guesses_that_never_come_true_become_rare() -> None:
    lookup = Lookup([2, 3, 4] * 20)
    guessed = [bool(lookup.draft(4) and not lookup.judge(4, 0)) for _ in range(200)]
    assert guessed[0] and sum(guessed) < 12 and any(guessed[-LONGEST_PAUSE - 1 :])


def test_one_that_comes_true_ends_the_pauses() -> None:
    lookup = Lookup([2, 3, 4] * 20)
    for _ in range(100):
        if lookup.draft(4):
            lookup.judge(4, 0)
    while not (guess := lookup.draft(4)):
        pass
    lookup.judge(len(guess), len(guess))
    assert lookup.draft(4)
