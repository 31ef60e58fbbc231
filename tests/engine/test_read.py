"""Read jobs: heads and adapters that share one trunk, each job with its own and nobody else's."""

import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from tests.engine.tiny import VOCABULARY, answer, sampled, tiny_model
from tests.gptj.tiny import fill
from workbench.engine.engine import Engine
from workbench.engine.jobs import Decode, Read, Score
from workbench.errors import BadRequest, NumericalFailure, TooLong
from workbench.gptj.config import GPTJConfig
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.gptj.lora import Adapter

TEXT = (3, 1, 4, 1, 5, 9, 2, 6)
NAMES = ("mood", "topic", "span", "bare")


def engine_with_heads(threaded: bool = False, chunk_tokens: int | None = None) -> Engine:
    """Four heads on one trunk, three of them with an adapter of their own."""
    engine = Engine(tiny_model(), threaded=threaded)
    if chunk_tokens is not None:
        object.__setattr__(engine.served, "chunk_tokens", chunk_tokens)
    for seed, name in enumerate(NAMES):
        head = fill(nn.Linear(32, seed + 1), seed)
        adapter = fill(Adapter(engine.served.model, ("q_proj", "fc_in"), rank=seed + 1), seed)
        engine.add_head(name, head, None if name == "bare" else adapter)
    return engine


@torch.no_grad()
def plainly(engine: Engine, job: Read) -> Tensor:
    """The same by one forward pass over the whole text."""
    head, model = engine.served.heads[job.head], engine.served.model
    with head.attached(model):
        states = model.transformer(torch.tensor([job.tokens]), use_cache=False).last_hidden_state[0]
    return head.module(states[-1:] if job.last_only else states)


texts = st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=64).map(tuple)


@settings(deadline=None, max_examples=12)
@given(text=texts, head=st.sampled_from(NAMES), last_only=st.booleans(), chunk=st.sampled_from([1, 7, 512]))
def test_a_head_reads_what_one_forward_pass_gives_it(
    text: tuple[int, ...], head: str, last_only: bool, chunk: int
) -> None:
    engine = engine_with_heads(chunk_tokens=chunk)
    job = Read(text, head, last_only)
    torch.testing.assert_close(answer(engine, job), plainly(engine, job), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", [None, *NAMES])
def test_the_last_row_alone_is_the_last_of_all_rows(head: str | None) -> None:
    engine = engine_with_heads()
    everything, last = answer(engine, Read(TEXT, head)), answer(engine, Read(TEXT, head, last_only=True))
    assert len(everything) == len(TEXT) and len(last) == 1
    torch.testing.assert_close(last, everything[-1:])


def test_jobs_of_different_heads_side_by_side_give_what_each_gives_alone() -> None:
    jobs = [Read(TEXT[: 3 + n % 5], NAMES[n % 4], n % 2 == 0) for n in range(12)]
    alone = [answer(engine_with_heads(chunk_tokens=2), job) for job in jobs]
    engine = engine_with_heads(chunk_tokens=2)  # chunks of different jobs take turns
    handles = [engine.submit(job) for job in jobs]
    engine.run_until_idle()
    assert all(torch.equal(handle.result(), there) for handle, there in zip(handles, alone, strict=True))


def test_streams_and_scores_are_bit_equal_beside_adapters() -> None:
    decodes = [sampled(seed, temperature=1.0) for seed in range(3)]
    score = Score((5, 9), ((2, 7, 1), (8,)))
    alone = [answer(engine_with_heads(chunk_tokens=2), job) for job in (*decodes, score)]
    engine = engine_with_heads(chunk_tokens=2)
    handles = [engine.submit(job) for job in (*decodes, score)]
    reads = [engine.submit(Read(TEXT * 5, name)) for name in NAMES * 2]
    engine.run_until_idle()
    assert [handle.result() for handle in handles] == alone
    assert all(read.result() is not None for read in reads)


def test_no_hook_is_left_on_the_trunk() -> None:
    engine = engine_with_heads()
    answer(engine, Read(TEXT, "mood"))
    assert not any(module._forward_hooks for module in engine.served.model.modules())


def test_heads_are_added_while_the_engine_runs() -> None:
    with engine_with_heads(threaded=True) as engine:
        stream = engine.decode(Decode((5, 9), 40, seed=1))
        results: list[Tensor] = []

        def add_and_read(number: int) -> None:
            engine.add_head(f"new {number}", fill(nn.Linear(32, 2), number), None)
            results.append(engine.read(Read(TEXT, f"new {number}")).result(60))

        threads = [threading.Thread(target=add_and_read, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(results) == 8 and len(stream.result(60).tokens) == 40


def test_a_head_of_the_same_name_replaces_the_earlier_one_for_later_jobs() -> None:
    engine = engine_with_heads(chunk_tokens=2)
    under_way = engine.read(Read(TEXT, "bare"))
    engine.add_head("bare", nn.Linear(32, 9))
    later = engine.read(Read(TEXT, "bare"))
    engine.run_until_idle()
    assert under_way.result().shape == (len(TEXT), 4) and later.result().shape == (len(TEXT), 9)


def test_a_head_that_is_dropped_is_gone_for_later_jobs_alone() -> None:
    engine = engine_with_heads(chunk_tokens=2)
    under_way = engine.read(Read(TEXT, "bare"))
    engine.drop_head("bare")
    with pytest.raises(BadRequest, match="no head 'bare' in memory"):
        engine.read(Read(TEXT, "bare"))
    engine.run_until_idle()
    assert under_way.result().shape == (len(TEXT), 4)


def test_a_head_in_float32_reads_a_trunk_in_bfloat16() -> None:
    engine = Engine(tiny_model().to(torch.bfloat16), threaded=False)
    head = fill(nn.Linear(32, 3), 0)
    engine.add_head("mood", head, fill(Adapter(engine.served.model), 0))
    given_states = answer(engine, Read(TEXT, None))
    assert given_states.dtype == torch.float32
    logits = answer(engine, Read(TEXT, "mood", last_only=True))
    assert logits.dtype == torch.float32 and not torch.equal(logits, logits.bfloat16().float())


def test_a_head_that_is_not_there_and_a_text_beyond_the_context_are_refused() -> None:
    engine = engine_with_heads()
    with pytest.raises(BadRequest, match="no head 'other' in memory"):
        engine.read(Read(TEXT, "other"))
    with pytest.raises(TooLong, match="65 tokens"):
        engine.read(Read((1,) * 65, "mood"))


def test_a_head_that_gives_nan_is_an_error_and_nobody_elses() -> None:
    engine = engine_with_heads()
    broken = nn.Linear(32, 2)
    nn.init.constant_(broken.weight, float("nan"))
    engine.add_head("broken", broken)
    bad, good = engine.read(Read(TEXT, "broken")), engine.read(Read(TEXT, "mood"))
    engine.run_until_idle()
    with pytest.raises(NumericalFailure):
        bad.result()
    assert good.result().isfinite().all()


SHAPE = GPTJConfig(vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=2, n_head=4, rotary_dim=4)


@pytest.mark.parametrize("cls, said", [
    (GPTJForSequenceClassification, "classifier"), (GPTJForQuestionAnswering, "span reader"),
])  # fmt: skip
def test_a_model_without_a_language_head_reads_but_neither_writes_nor_scores(cls: type[nn.Module], said: str) -> None:
    model = fill(cls(SHAPE), 0)
    own = model.score if cls is GPTJForSequenceClassification else model.qa_outputs
    engine = Engine(model, heads={"own": own}, threaded=False)
    for job in (Decode((1, 2), 3), Score((1,), ((2,),))):
        with pytest.raises(BadRequest, match=f"trained {said}.*Ask its own head, or choose"):
            engine.submit(job)
    logits = answer(engine, Read(TEXT, "own"))
    with torch.no_grad():
        expected = own(model.transformer(torch.tensor([TEXT])).last_hidden_state[0])
    torch.testing.assert_close(logits, expected)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_heads_and_adapters_go_where_the_trunk_is() -> None:
    engine = Engine(tiny_model().cuda(), threaded=False)
    head, adapter = fill(nn.Linear(32, 3), 0), fill(Adapter(engine.served.model), 0)
    engine.add_head("mood", head, adapter)
    assert head.weight.is_cuda and all(parameter.is_cuda for parameter in adapter.parameters())
    assert answer(engine, Read(TEXT, "mood")).shape == (len(TEXT), 3)
