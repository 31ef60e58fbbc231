"""Several threads that compute for one engine: the same bits, and errors, cancelling and closing as with one."""

import gc
import threading
import time
import weakref

import pytest
import torch
from torch import nn

from tests.engine.tiny import answer, quiet_engine, sampled, tiny_model
from tests.gptj.tiny import fill
from workbench.engine.engine import Engine
from workbench.engine.jobs import Job, Read, Score
from workbench.engine.sizing import workers_for
from workbench.errors import Cancelled
from workbench.gptj.lora import Adapter

SHARED = tuple(2 + (7 * place) % 50 for place in range(40))
JOBS: list[Job] = [
    *(Score((*SHARED, *range(2, 5 + seed)), ((4, 5, 6), (7,), (8, 9)), shared=40) for seed in range(12)),
    *(sampled(seed, count=8) for seed in range(4)),
    *(Read(tuple(range(2, 4 + seed))) for seed in range(4)),
]


def crowded(workers: int = 3) -> Engine:
    """An engine with helpers."""
    return Engine(tiny_model(n_positions=128), cores=workers)


def same(one: object, two: object) -> bool:
    return torch.equal(one, two) if isinstance(one, torch.Tensor) and isinstance(two, torch.Tensor) else one == two


@pytest.mark.parametrize("workers", [2, 3])
def test_answers_are_those_of_one_thread_bit_for_bit(workers: int) -> None:
    alone = [answer(quiet_engine(tiny_model(n_positions=128)), job) for job in JOBS]
    with crowded(workers) as engine:
        for _ in range(3):
            handles = [engine.submit(job) for job in JOBS]
            found = [handle.result(timeout_seconds=60) for handle in handles]
            assert all(same(one, two) for one, two in zip(found, alone, strict=True))
            engine.served.prefixes.clear()


def test_helpers_do_compute() -> None:
    seen = set()
    model = tiny_model(n_positions=128)
    both = threading.Barrier(2, timeout=30)

    def remember(*_: object) -> None:
        if len(seen) < 2:
            seen.add(threading.get_ident())
            both.wait()

    model.transformer.ln_f.register_forward_hook(remember)
    with Engine(model, cores=2) as engine:
        handles = [engine.submit(Score((2, 3), ((4,),))) for _ in range(2)]
        for handle in handles:
            handle.result(timeout_seconds=60)
    assert len(seen) == 2


def test_an_error_reaches_its_asker_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with crowded() as engine:
        block = engine.served.model.transformer.h[1]
        forward = block.forward

        def failing(x: torch.Tensor, *rest: object) -> object:
            if x.shape[1] == 17:
                raise RuntimeError("broken")
            return forward(x, *rest)

        monkeypatch.setattr(block, "forward", failing)
        handles = [engine.submit(Score(tuple(range(2, 2 + length)), ((4,),))) for length in (5, 17, 6, 17, 7)]
        for length, handle in zip((5, 17, 6, 17, 7), handles, strict=True):
            if length == 17:
                with pytest.raises(RuntimeError, match="broken"):
                    handle.result(timeout_seconds=60)
            else:
                assert handle.result(timeout_seconds=60)


def test_cancelled_jobs_end_and_the_others_go_on() -> None:
    with crowded() as engine:
        for _ in range(10):
            handles = [engine.submit(job) for job in JOBS]
            for handle in handles[::2]:
                handle.cancel()
            for handle in handles[1::2]:
                handle.result(timeout_seconds=60)
            for handle in handles[::2]:
                try:
                    handle.result(timeout_seconds=60)
                except Cancelled:
                    continue
        assert engine.submit(JOBS[0]).result(timeout_seconds=60)


def test_closing_ends_all_threads_and_fails_what_is_left() -> None:
    engine = crowded()
    handles = [engine.submit(job) for job in JOBS * 3]
    engine.close()
    assert not any(thread.is_alive() for thread in engine._crew.threads)
    for handle in handles:
        try:
            handle.result(timeout_seconds=1)
        except Cancelled:
            continue


def test_a_head_with_an_adapter_has_the_trunk_for_itself() -> None:
    model = tiny_model(n_positions=128)
    head, adapter = fill(nn.Linear(32, 3), 1), fill(Adapter(model), 2)
    scores = [Score(tuple(range(2, 9 + seed)), ((4, 5), (6,))) for seed in range(10)]
    alone = [answer(quiet_engine(model), job) for job in scores]
    quiet = quiet_engine(model)
    quiet.add_head("h", head, adapter)
    expected = answer(quiet, Read((3, 4, 5), "h"))
    with Engine(model, cores=3) as engine:
        engine.add_head("h", head, adapter)
        for _ in range(5):
            handles = [engine.submit(job) for score in scores for job in (score, Read((3, 4, 5), "h"))]
            found = [handle.result(timeout_seconds=60) for handle in handles]
            assert found[::2] == alone
            assert all(torch.equal(one, expected) for one in found[1::2])


def test_only_small_plain_models_get_helpers() -> None:
    model = tiny_model()
    assert (workers_for(model, 1), workers_for(model, 2), workers_for(model, 64)) == (1, 2, 8)
    model.transformer.h[0]._hf_hook = object()
    assert workers_for(model, 2) == 1
    packed = tiny_model()
    packed.lm_head.weight = nn.Parameter(torch.zeros(1, dtype=torch.int8), requires_grad=False)
    assert workers_for(packed, 2) == 1


def test_streams_do_not_wait_for_what_a_helper_can_do() -> None:
    engine = quiet_engine()
    stream, score = engine.submit(sampled(1)), engine.submit(Score((2, 3), ((4, 5),)))
    engine._helpers = 1  # one that never comes
    with torch.inference_mode():
        for _ in range(5):
            engine._turn()
        assert stream._events.qsize() >= 4 and not score.done
        for _ in range(20):
            engine._turn()
    assert stream.done and score.done  # once no stream runs, the engine's own thread takes it


def test_helpers_that_wait_keep_nothing_of_their_last_work(monkeypatch: pytest.MonkeyPatch) -> None:
    works: list[weakref.ref[object]] = []
    with crowded() as engine:
        add = engine._scheduler.add
        monkeypatch.setattr(engine._scheduler, "add", lambda work: (works.append(weakref.ref(work)), add(work)))
        handles = [engine.submit(job) for job in JOBS]
        for handle in handles:
            handle.result(timeout_seconds=60)
        ends = time.monotonic() + 20
        while any(work() for work in works) and time.monotonic() < ends:
            gc.collect()
            time.sleep(0.01)
        assert len(works) == len(JOBS) and not any(work() for work in works)
