"""The engine's answers are those of a plain forward pass, and no job harms another."""

import threading
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.engine.tiny import (
    GREEDY,
    VOCABULARY,
    answer,
    decode_plainly,
    ids,
    next_logits,
    quiet_engine,
    sampled,
    tiny_model,
    turns,
)
from workbench.engine.engine import Engine
from workbench.engine.jobs import Decode, Decoded, Read, Sampling, Score
from workbench.engine.limits import Limits
from workbench.engine.sizing import chunk_tokens, row_block
from workbench.errors import BadRequest, Busy, Cancelled, TooLong
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM

CONTEXT = 64
BEYOND = tuple(place % VOCABULARY for place in range(CONTEXT + 1))
"""One token more than the context."""


def logprobs_of(decoded: Decoded) -> list[float]:
    return [token.logprob for token in decoded.tokens]


@pytest.mark.parametrize("length", [1, 2, 15, 16, 17, 40])
def test_decoding_is_a_whole_forward_pass_for_each_token(length: int) -> None:
    model = tiny_model(length)
    prompt = [(7 * place) % VOCABULARY for place in range(length)]
    decoded = answer(quiet_engine(model), Decode(tuple(prompt), 12, sampling=GREEDY))
    tokens, logprobs = decode_plainly(model, prompt, 12)
    assert ids(decoded) == tokens
    assert logprobs_of(decoded) == pytest.approx(logprobs, abs=1e-5)


def test_a_stream_ends_at_the_limit_at_a_stop_token_or_at_the_contexts_end() -> None:
    engine = quiet_engine()
    whole = answer(engine, Decode((5, 9), 8, sampling=GREEDY))
    assert (len(whole.tokens), whole.finish_reason, whole.stop_token) == (8, "length", None)
    second = ids(whole)[1]
    stopped = answer(engine, Decode((5, 9), 8, sampling=GREEDY, stop_tokens=frozenset({second})))
    assert (ids(stopped), stopped.finish_reason, stopped.stop_token) == (ids(whole)[:1], "stop", second)
    full = answer(engine, Decode(BEYOND[:60], 8, sampling=GREEDY))
    assert (len(full.tokens), full.finish_reason) == (4, "length")


def test_a_prompt_in_small_chunks_is_the_prompt_in_one() -> None:
    engine = quiet_engine()
    whole = answer(engine, sampled(1, range(40)))
    for size in (1, 3, 16, 39, 40):
        engine.served = replace(engine.served, chunk_tokens=size)
        pieces = answer(engine, sampled(1, range(40)))
        assert ids(pieces) == ids(whole)
        assert logprobs_of(pieces) == pytest.approx(logprobs_of(whole), abs=1e-5)


def test_six_threads_get_each_what_they_get_alone() -> None:
    jobs = [sampled(seed, prompt=range(1, 3 + 5 * seed), count=15, temperature=0.9) for seed in range(6)]
    alone = [answer(quiet_engine(), job) for job in jobs]
    streams: dict[int, list[Any]] = {}
    with Engine(tiny_model(), max_rows=4) as engine:

        def ask(index: int) -> None:
            handle = engine.submit(jobs[index])
            streams[index] = [*handle, handle.result(timeout_seconds=60)]

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert [streams[index] for index in range(6)] == [[*expected.tokens, expected] for expected in alone]


def test_a_cancelled_stream_leaves_on_the_next_step_and_the_others_go_on() -> None:
    engine = quiet_engine(max_rows=2)
    alone = answer(quiet_engine(), sampled(2))
    doomed, steady, waiting = (engine.submit(sampled(seed)) for seed in (1, 2, 3))
    turns(engine, 4)
    doomed.cancel()
    before = engine.steps
    turns(engine, 1)
    assert doomed.done and engine.steps - before <= 2
    with pytest.raises(Cancelled):
        doomed.result()
    turns(engine, 1)
    assert engine._scheduler.jobs[0].row_count == 1 and not engine._scheduler._waiting
    engine.run_until_idle()
    assert steady.result() == alone and len(waiting.result().tokens) == 12


def test_a_cancelled_stream_of_a_threaded_engine_computes_no_further() -> None:
    with Engine(tiny_model(n_positions=2000)) as engine:
        handle = engine.submit(sampled(1, count=1900))
        next(iter(handle))
        handle.cancel()
        with pytest.raises(Cancelled):
            handle.result(timeout_seconds=30)
        after = engine.steps
        engine.submit(Read((1,))).result(timeout_seconds=30)
        assert engine.steps <= after + 1


class _Broken(nn.Module):
    """A head that fails."""

    def forward(self, states: Tensor) -> Tensor:
        raise RuntimeError("the head is broken")


def test_an_error_in_one_job_reaches_its_asker_and_nobody_else() -> None:
    engine = Engine(tiny_model(), heads={"broken": _Broken()}, threaded=False)
    alone = answer(quiet_engine(), sampled(2))
    steady, failing = engine.submit(sampled(2)), engine.submit(Read((1, 2), head="broken"))
    engine.run_until_idle()
    with pytest.raises(RuntimeError, match="the head is broken"):
        failing.result()
    assert steady.result() == alone and engine._scheduler.idle


def test_an_error_in_a_common_step_reaches_all_in_it_and_the_engine_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = quiet_engine()
    handles = [engine.submit(sampled(seed)) for seed in (1, 2)]
    turns(engine, 2)
    with monkeypatch.context() as patch:
        patch.setattr(type(engine.served), "decode", lambda served, rows: 1 / 0)
        turns(engine, 1)
    for handle in handles:
        with pytest.raises(ZeroDivisionError):
            handle.result()
    assert answer(engine, sampled(1)) == answer(quiet_engine(), sampled(1))


def test_closing_fails_what_is_left_and_refuses_what_comes_later() -> None:
    engine = Engine(tiny_model(n_positions=2000), max_rows=1)
    running, waiting = (engine.submit(sampled(seed, count=1900)) for seed in (1, 2))
    next(iter(running))
    engine.close()
    for handle in (running, waiting):
        with pytest.raises(Cancelled, match="unloaded before"):
            handle.result(timeout_seconds=30)
    with pytest.raises(Cancelled, match="was unloaded"):
        engine.submit(sampled(3))
    engine.close()


def test_a_full_line_is_busy() -> None:
    engine = Engine(tiny_model(), max_rows=1, limits=Limits(waiting=2), threaded=False)
    for seed in (1, 2):
        engine.submit(sampled(seed))
    with pytest.raises(Busy, match="2 requests are waiting"):
        engine.submit(sampled(3))


@pytest.mark.parametrize("cut", [0, 1, 5, 11])
def test_a_forced_beginning_has_the_same_probabilities_bit_for_bit(cut: int) -> None:
    first = answer(quiet_engine(), sampled(4))
    other = (ids(first)[cut] + 1) % VOCABULARY
    branch = answer(quiet_engine(), replace(sampled(4), forced=(*ids(first)[:cut], other)))
    assert branch.tokens[:cut] == first.tokens[:cut]
    assert branch.tokens[cut].id == other
    assert branch.tokens[cut].alternatives == first.tokens[cut].alternatives
    assert len(branch.tokens) == 12


def test_forcing_a_whole_continuation_gives_it_back() -> None:
    first = answer(quiet_engine(), sampled(4))
    assert answer(quiet_engine(), replace(sampled(9), forced=tuple(ids(first)))) == first


def test_ids_without_a_token_are_never_sampled() -> None:
    engine = quiet_engine(known_tokens=7)
    drawn = {id for seed in range(40) for id in ids(answer(engine, sampled(seed, temperature=50.0)))}
    assert drawn == set(range(7))
    for beams in (1, 3):
        job = replace(sampled(0), sampling=GREEDY, beams=replace(sampled(0).beams, count=beams))
        assert max(ids(answer(engine, job))) < 7


@pytest.mark.parametrize("lengths", [(1, 1), (1, 5), (5, 1), (9, 20), (1, CONTEXT), (CONTEXT, 1), (40, 25)])
def test_a_score_is_that_of_a_direct_forward_pass(lengths: tuple[int, int]) -> None:
    model, (context_length, tail_length) = tiny_model(), lengths
    generator = torch.Generator().manual_seed(sum(lengths))
    context = tuple(torch.randint(VOCABULARY, (context_length,), generator=generator).tolist())
    random_tail = tuple(torch.randint(VOCABULARY, (tail_length,), generator=generator).tolist())
    greedy_tail = tuple(decode_plainly(model, context, tail_length)[0]) if tail_length < 21 else random_tail
    tails = (random_tail, greedy_tail, random_tail[:1])
    scored = answer(quiet_engine(model), Score(context, tails, alternatives=1))
    for found, tail in zip(scored, tails, strict=True):
        with torch.no_grad():
            logits = model(torch.tensor([context + tail[:-1]]), use_cache=False).logits[0, len(context) - 1 :]
        expected = logits.log_softmax(-1)[range(len(tail)), list(tail)]
        assert [token.id for token in found.tokens] == list(tail)
        assert [token.logprob for token in found.tokens] == pytest.approx(expected.tolist(), abs=1e-5)
        assert found.is_greedy == (logits.argmax(-1).tolist() == list(tail))
        assert found.loglikelihood == pytest.approx(float(expected.sum()), abs=1e-4)


def test_reading_gives_the_hidden_states_of_a_direct_forward_pass() -> None:
    model = tiny_model()
    engine = quiet_engine(model)
    engine.served = replace(engine.served, chunk_tokens=16)
    with torch.no_grad():
        expected = model.transformer(torch.arange(50)[None]).last_hidden_state[0]
    torch.testing.assert_close(answer(engine, Read(tuple(range(50)))), expected, rtol=0, atol=1e-5)


def test_reading_with_a_head_gives_the_heads_output() -> None:
    head = nn.Linear(32, 3)
    engine = Engine(tiny_model(), heads={"mood": head}, threaded=False)
    states = answer(engine, Read((3, 1, 4)))
    with torch.inference_mode():
        assert torch.equal(answer(engine, Read((3, 1, 4), head="mood")), head(states))
    with pytest.raises(BadRequest, match="no head 'span' in memory"):
        engine.submit(Read((3,), head="span"))


@pytest.mark.parametrize(
    "job, excess",
    [
        (Decode(BEYOND[:CONTEXT], 1), 1),
        (Decode(BEYOND[:60], 8, forced=(1,) * 7), 3),
        (Score(BEYOND, ((1,),)), 1),
        (Score((1,), (BEYOND,)), 1),
        (Read(BEYOND), 1),
    ],
)
def test_what_exceeds_the_context_is_too_long_and_by_how_much_is_told(job: Any, excess: int) -> None:
    with pytest.raises(TooLong, match=f"context is 64. Shorten it by {excess} tokens"):
        quiet_engine().submit(job)


def test_a_long_prompt_delays_a_running_stream_by_one_chunk_at_a_time() -> None:
    engine = quiet_engine()
    engine.served = replace(engine.served, chunk_tokens=4)
    running = engine.submit(sampled(1))
    turns(engine, 2)
    engine.submit(sampled(2, range(40)))
    seen = running._events.qsize()
    turns(engine, 5)
    assert running._events.qsize() == seen + 5


def test_chunks_depend_on_the_model_alone() -> None:
    assert chunk_tokens(tiny_model()) == 512
    with torch.device("meta"):
        wide = GPTJForCausalLM(GPTJConfig(n_layer=2))
    wide.transformer.wte.weight = nn.Parameter(torch.empty(1))
    assert chunk_tokens(wide) == 128


def test_float_weights_step_in_blocks_and_quantised_ones_do_not() -> None:
    model = tiny_model()
    assert row_block(model) == 8
    model.lm_head.weight = nn.Parameter(torch.zeros(1, dtype=torch.int8), requires_grad=False)
    assert row_block(model) == 0


def test_more_streams_than_a_block_holds_decode_together() -> None:
    engine = quiet_engine(max_rows=20)
    handles = [engine.submit(sampled(seed)) for seed in range(19)]
    engine.run_until_idle()
    for seed, handle in enumerate(handles):
        assert handle.result() == answer(quiet_engine(), sampled(seed))


def test_the_first_token_is_chosen_from_the_prompts_own_logits() -> None:
    model = tiny_model()
    token = answer(quiet_engine(model), Decode((5, 9, 2), 1, sampling=Sampling(0.0))).tokens[0]
    assert token.id == int(next_logits(model, (5, 9, 2)).argmax()) and token.rank == 1
