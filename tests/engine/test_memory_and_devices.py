"""Where the engine's tensors live: offloaded weights, caches copied only when needed, and memory that runs out."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from tests.engine.tiny import GREEDY, answer, quiet_engine, sampled, tiny_model, turns
from workbench.engine.engine import Engine
from workbench.engine.faults import as_shown
from workbench.engine.jobs import Decode, Read, Score
from workbench.engine.sampling import describe
from workbench.engine.served import Following, Served, input_device
from workbench.engine.sizing import chunk_tokens
from workbench.errors import BadRequest, NotEnoughMemory
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import from_pretrained, save_pretrained

ON_A_CPU = (
    "[enforce fail at alloc_cpu.cpp:124] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"
)
NO_KERNEL = RuntimeError("could not create a primitive")
OUT_OF_MEMORY = [MemoryError(), torch.OutOfMemoryError("CUDA out of memory."), RuntimeError(ON_A_CPU), NO_KERNEL]


def test_a_model_on_disk_answers_as_one_in_memory(tmp_path: Path) -> None:
    save_pretrained(tiny_model(), tmp_path / "saved")
    model = from_pretrained(
        GPTJForCausalLM, tmp_path / "saved", device_map={"": "disk"}, offload_folder=tmp_path / "off"
    )
    assert model.transformer.wte.weight.is_meta
    for job in (sampled(1), sampled(2, range(40)), Score((1, 2), ((3, 4), (5, 6, 7)))):
        assert answer(quiet_engine(model), job) == answer(quiet_engine(), job)
    assert torch.equal(answer(quiet_engine(model), Read((1, 2))), answer(quiet_engine(), Read((1, 2))))


def test_weights_on_disk_are_computed_on_the_cpu_and_chunked_for_it() -> None:
    with torch.device("meta"):
        wide = GPTJForCausalLM(GPTJConfig(n_layer=2))
    assert input_device(wide) == torch.device("cpu")
    assert chunk_tokens(wide) == 128


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_memory_that_runs_out_reaches_the_asker_with_advice(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    engine = quiet_engine()

    def fail(served: object, rows: object) -> None:
        raise error

    handles = [engine.submit(sampled(seed)) for seed in (1, 2)]
    turns(engine, 2)
    with monkeypatch.context() as patch:
        patch.setattr(type(engine.served), "decode", fail)
        turns(engine, 1)
    for handle in handles:
        with pytest.raises(NotEnoughMemory, match=r"Make it shorter.*fewer streams"):
            handle.result()
    assert answer(engine, sampled(1)) == answer(quiet_engine(), sampled(1))


def test_a_thread_that_compiles_no_more_kernels_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    decode, threads = Served.decode, []

    def fail_first(served: Served, rows: Sequence[Following]) -> torch.Tensor:
        threads.append(threading.current_thread())
        if threads[0] is threading.current_thread():
            raise NO_KERNEL  # once there, it stays with the thread
        return decode(served, rows)

    monkeypatch.setattr(Served, "decode", fail_first)
    with Engine(tiny_model()) as engine:
        with pytest.raises(NotEnoughMemory):
            engine.submit(sampled(1)).result()
        assert engine.submit(sampled(1)).result() == answer(quiet_engine(), sampled(1))


def test_its_successor_is_waited_for_while_there_is_no_memory_for_one(monkeypatch: pytest.MonkeyPatch) -> None:
    start, refused = threading.Thread.start, []

    def no_stack_at_first(thread: threading.Thread) -> None:
        if thread.name == "engine" and len(refused) < 3:
            refused.append(thread)
            raise RuntimeError("can't start new thread")
        start(thread)

    def fail(served: Served, rows: Sequence[Following]) -> torch.Tensor:
        raise NO_KERNEL

    with Engine(tiny_model()) as engine:
        (first,) = engine._crew.threads
        with monkeypatch.context() as patch:
            patch.setattr(Served, "decode", fail)
            patch.setattr(threading.Thread, "start", no_stack_at_first)
            with pytest.raises(NotEnoughMemory):
                engine.submit(sampled(1)).result()
            first.join()
        assert len(refused) == 3
        assert engine.submit(sampled(1)).result() == answer(quiet_engine(), sampled(1))


def test_any_other_error_stays_what_it_is() -> None:
    error = RuntimeError("shapes differ")
    assert as_shown(error) is error


def test_a_column_without_a_token_is_no_alternative() -> None:
    logits = torch.tensor([0.0, 1.0, 2.0, 9.0])
    token = describe(logits, 2, alternatives=4, known_tokens=3)
    assert [rival for rival, _ in token.alternatives] == [2, 1, 0]
    engine = quiet_engine(known_tokens=7)
    for job in (sampled(1), sampled(1, temperature=0.0)):
        rivals = {id for token in answer(engine, job).tokens for id, _ in token.alternatives}
        assert rivals and max(rivals) < 7
    (scored,) = answer(engine, Score((1,), ((2, 3),), alternatives=5))
    assert max(id for token in scored.tokens for id, _ in token.alternatives) < 7


def test_a_column_without_a_token_can_not_be_forced() -> None:
    with pytest.raises(BadRequest, match="no token 7: its tokens are 0 to 6"):
        quiet_engine(known_tokens=7).submit(Decode((1,), 4, sampling=GREEDY, forced=(3, 7)))
