"""Prompts kept without being asked: the same bits as without, within the bytes, and soon there again."""

import random
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tests.engine.tiny import GREEDY, answer, quiet_engine
from tests.gptj.tiny import fill
from tests.performance.batch_invariance import SMALL_SHAPES, models, random_decode
from workbench.engine import prefix
from workbench.engine.branches import Tree
from workbench.engine.engine import Engine
from workbench.engine.jobs import Decode, Job, Read, Score
from workbench.gptj.model import GPTJForCausalLM

MODELS = models(SMALL_SHAPES)
CHUNK = 16
PROMPT = tuple(2 + (7 * place) % 50 for place in range(60))
seeds = st.integers(0, 2**20)


def engine(model: GPTJForCausalLM = MODELS[0]) -> Engine:
    """A quiet engine whose prompts take several chunks."""
    made = quiet_engine(model)
    made.served = replace(made.served, chunk_tokens=CHUNK)
    return made


def like(seed: int, model: GPTJForCausalLM, shared: bool = True) -> Job:
    """A job of any kind that begins as many others do, and departs from them anywhere."""
    rng = random.Random(seed)
    cut = rng.choice([0, 16, 17, 32, 40, 48, 60])
    own = tuple(rng.randrange(model.config.vocab_size) for _ in range(rng.randint(1, 70 - cut)))
    tokens = (*PROMPT[:cut], *own)
    said = cut if shared and rng.random() < 0.3 else 0
    kinds = [
        replace(random_decode(rng, model.config), prompt=tokens, shared=said, forced=()),
        Score(tokens, ((4, 5, 6), (7,)), shared=said),
        Tree(tokens, (4, 5, 6, 7), (-1, 0, 0, 1), closing=(2,)),
        Read(tokens),
    ]
    return rng.choice([kinds[0], *kinds])


def same(one: Any, two: Any) -> bool:
    """Equal bit for bit."""
    return torch.equal(one, two) if isinstance(one, torch.Tensor) else bool(one == two)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, shape=st.integers(0, len(MODELS) - 1), room=st.sampled_from([2**17, 2**18, 2**30]))
def test_any_answer_is_the_same_whatever_is_kept(seed: int, shape: int, room: int) -> None:
    model = MODELS[shape]
    jobs = [like(seed + place, model) for place in range(8)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix, "MOST_BYTES", room)
        made = engine(model)
        found = [answer(made, job) for job in jobs]
    assert all(same(one, answer(engine(model), job)) for one, job in zip(found, jobs, strict=True))


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_so_it_is_in_company(seed: int) -> None:
    jobs = [like(seed + place, MODELS[1]) for place in range(8)]
    made = engine(MODELS[1])
    handles = [made.submit(job) for job in jobs]
    made.run_until_idle()
    alone = [answer(engine(MODELS[1]), job) for job in jobs]
    assert all(same(handle.result(), one) for handle, one in zip(handles, alone, strict=True))


@settings(max_examples=30, deadline=None)
@given(seed=seeds, room=st.integers(0, 2**19))
def test_the_bytes_are_never_exceeded(seed: int, room: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prefix, "MOST_BYTES", room)
        made = engine()
        for place in range(6):
            answer(made, like(seed + place, MODELS[0], shared=False))
            assert made.served.prefixes.bytes <= room
            assert len(made.served.prefixes) <= prefix.MOST_PREFIXES


@pytest.mark.parametrize(
    ("again", "chunks"),
    [
        (PROMPT, 1),
        (PROMPT[:50], 1),
        ((*PROMPT, 3), 1),
        ((*PROMPT[:-1], 3), 1),
        ((*PROMPT[:35], *PROMPT), 4),
        ((3, *PROMPT), 4),
    ],
)
def test_only_what_comes_after_the_kept_chunks_is_computed(again: tuple[int, ...], chunks: int) -> None:
    made = engine()
    answer(made, Decode(PROMPT, 1))
    before = made.steps
    answer(made, Decode(again, 1))
    assert made.steps - before == chunks


def test_a_prompt_is_there_for_the_next_one_before_its_own_text_is_written() -> None:
    made = engine()
    first = made.submit(Decode(PROMPT, 30, sampling=GREEDY))
    with torch.inference_mode():
        while not made.served.prefixes.bytes:
            made._turn()
    first.cancel()
    before = made.steps
    answer(made, Decode(PROMPT, 1))
    assert made.steps - before == 1


def test_a_longer_prompt_takes_the_place_of_its_own_beginning() -> None:
    made = engine()
    for end in (20, 35, 60):
        answer(made, Decode(PROMPT[:end], 1))
    assert len(made.served.prefixes) == 1


def test_the_prompt_that_was_asked_for_last_stays_longest() -> None:
    made = engine()
    others = [tuple(2 + (step * place) % 50 for place in range(60)) for step in (3, 5, 9, 11, 13, 17)]
    for other in others:
        answer(made, Decode(PROMPT, 1))
        answer(made, Decode(other, 1))
    before = made.steps
    answer(made, Decode(PROMPT, 1))
    assert made.steps - before == 1


def test_a_prompt_with_a_shared_beginning_keeps_that_alone() -> None:
    made = engine()
    answer(made, Decode(PROMPT, 1, shared=20))
    assert made.served.prefixes.begin(PROMPT, _empty(made)) == CHUNK


def test_a_text_that_is_read_by_a_head_neither_takes_nor_keeps() -> None:
    made = engine()
    made.add_head("h", fill(nn.Linear(32, 2, bias=False), 0))
    answer(made, Decode(PROMPT, 1))
    before, kept = made.steps, made.served.prefixes.bytes
    answer(made, Read(PROMPT, head="h"))
    answer(made, Read((*PROMPT, 3)))
    assert made.steps - before == 8 and made.served.prefixes.bytes == kept


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_where_there_is_no_memory_to_keep_a_prompt_its_request_goes_on(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    made = engine()
    monkeypatch.setattr(prefix.Prefix, "take", fail)
    assert answer(made, Decode(PROMPT, 3)) == answer(engine(), Decode(PROMPT, 3))
    assert made.served.prefixes.bytes == 0


def test_a_short_prompt_between_others_changes_nothing_about_who_goes() -> None:
    made = engine()
    others = [tuple(2 + (step * place) % 50 for place in range(60)) for step in (3, 5, 9)]
    for prompt in (PROMPT, *others):
        answer(made, Decode(prompt, 1))
        order = list(made.served.prefixes._kept)
        answer(made, Decode((7, 8, 9), 1))
        assert list(made.served.prefixes._kept) == order


def test_plain_prompts_throw_out_no_beginning_that_is_asked_for_as_shared() -> None:
    made = engine()
    others = [tuple(2 + (step * place) % 50 for place in range(60)) for step in (3, 5, 9, 11, 13, 17)]
    answer(made, Decode(PROMPT, 1, shared=20))
    for other in (*others, PROMPT):
        answer(made, Decode(other, 1))
    assert PROMPT[:20] in made.served.prefixes._kept and len(made.served.prefixes) == prefix.MOST_PREFIXES


def test_shared_beginnings_that_nobody_asks_for_any_more_give_way_to_the_second_prompt() -> None:
    made = engine()
    for step in range(3, 3 + prefix.MOST_PREFIXES):
        answer(made, Decode(tuple(2 + (step * place) % 50 for place in range(60)), 1, shared=20))
    before = list(made.served.prefixes._kept)
    answer(made, Decode(PROMPT, 1))
    assert list(made.served.prefixes._kept) == before
    answer(made, Decode(PROMPT, 1))
    assert len(set(before) & set(made.served.prefixes._kept)) == prefix.MOST_PREFIXES - 1


def test_what_is_no_lack_of_memory_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(prefix.Prefix, "take", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        answer(engine(), Decode(PROMPT, 3))


def test_nothing_is_kept_of_a_short_prompt_or_after_the_end() -> None:
    made = engine()
    answer(made, Decode(PROMPT[: CHUNK - 1], 1))
    assert made.served.prefixes.bytes == 0
    answer(made, Decode(PROMPT, 1))
    assert made.served.prefixes.bytes > 0
    made.close()
    assert made.served.prefixes.bytes == 0


def _empty(made: Engine) -> Any:
    return prefix.KVCache(made.served.model.config.n_layer, capacity=80)
