"""A model's speed beside the memory's: the arithmetic, the probe's manners, and what a newcomer is told."""

import contextlib
import json
import math
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.tiny import write_checkpoint
from tests.ui.fake import FakeManager
from workbench import speed
from workbench.cli import main
from workbench.engine.pace import KEPT_STEPS, Pace, PaceRecord, Step
from workbench.errors import BadRequest
from workbench.gptj.config import GPTJConfig
from workbench.gptj.heads import GPTJForSequenceClassification
from workbench.gptj.model import GPTJForCausalLM
from workbench.kernels.compiled import Kernels
from workbench.loading.memory import kv_cache_bytes, parameter_shapes, plan_memory, read_for_a_token
from workbench.loading.precision import named
from workbench.manager import ModelManager, ModelSpec
from workbench.speed import MemorySpeed, Speed, kernels_text, most_tokens_per_second, speed_of, tokens_text

SMALL = GPTJConfig(vocab_size=96, n_positions=32, n_embd=16, n_layer=2, n_head=2, rotary_dim=4)


def elements(shapes: dict[str, tuple[int, ...]]) -> int:
    return sum(math.prod(shape) for shape in shapes.values())


def test_a_token_reads_all_but_the_embedding() -> None:
    shapes = parameter_shapes(GPTJForCausalLM, SMALL)
    assert elements(read_for_a_token(shapes)) == elements(shapes) - 96 * 16


def test_a_tied_head_is_read_once() -> None:
    shapes = parameter_shapes(GPTJForCausalLM, replace(SMALL, tie_word_embeddings=True))
    assert elements(read_for_a_token(shapes)) == elements(shapes)


def test_a_model_that_can_not_write_reads_nothing_for_a_token() -> None:
    plan = plan_memory(SMALL, "float32", available_bytes=0, cls=GPTJForSequenceClassification)
    assert plan.read_bytes_per_token == {}


@settings(deadline=None)
@given(context=st.integers(1, 32), precision=st.sampled_from(["float32", "bfloat16", "int8", "nf4"]))
def test_a_plan_counts_the_keys_and_values_of_its_context(context: int, precision: str) -> None:
    one, more = (plan_memory(SMALL, precision, 1, tokens, 0).read_bytes_per_token[precision] for tokens in (1, context))
    assert more - one == kv_cache_bytes(SMALL, named(precision), context - 1)


def test_gpt_j_6b_in_int8_reads_less_than_half_of_its_bytes_in_16_bits() -> None:
    reads = plan_memory(GPTJConfig(), "int8", context=1, available_bytes=0).read_bytes_per_token
    assert 5.8e9 < reads["int8"] < 6.1e9 and 0.5 < reads["int8"] / reads["bfloat16"] < 0.53


@pytest.mark.parametrize("tied", [False, True])
def test_a_loaded_model_reads_what_its_plan_says(tmp_path: Path, tied: bool) -> None:
    folder = write_checkpoint(tmp_path / "tiny", n_positions=64)
    config = json.loads((folder / "config.json").read_text())
    if tied:
        (folder / "config.json").write_text(json.dumps(config | {"tie_word_embeddings": True}))
    manager = ModelManager()
    plan, loaded = manager.plan(ModelSpec(str(folder)), context=1), manager.load(ModelSpec(str(folder)))
    manager.close()
    cache = plan.kv_cache_bytes_per_stream
    assert loaded.read_bytes == plan.read_bytes_per_token[plan.precision] - cache


@given(st.floats(1e8, 1e12), st.integers(1, 10**11))
def test_the_limit_is_the_rate_over_the_bytes(rate: float, size: int) -> None:
    assert most_tokens_per_second(rate, size) == pytest.approx(rate / size)


@pytest.mark.parametrize("rate, size", [(None, 5), (5.0, None), (5.0, 0)])
def test_what_is_not_known_has_no_limit(rate: float | None, size: int | None) -> None:
    assert most_tokens_per_second(rate, size) is None


def test_the_share_is_what_it_does_of_the_limit() -> None:
    found = Speed(5 * 10**9, 50e9, Pace(16, 8.0, 1, 0), None)
    assert found.share == pytest.approx(0.8)


def test_a_model_on_a_gpu_has_no_limit_of_the_cpu() -> None:
    loaded = FakeManager().load(ModelSpec("demo", device_map="cuda:0"))
    found = speed_of(loaded, None, 40e9)
    assert found is not None and found.most_tokens_per_second is None


def test_a_classifier_has_no_speed() -> None:
    loaded = FakeManager().load(ModelSpec("demo"))
    parts = [replace(part, name="score") if part.name == "lm_head" else part for part in loaded.parts]
    assert speed_of(replace(loaded, parts=parts), None, 40e9) is None


@pytest.fixture
def probes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The probes that were made; each finds 1 GB/s more than the one before."""
    made: list[int] = []

    def probe(threads: int) -> float:
        made.append(threads)
        return len(made) * 1e9

    monkeypatch.setattr(speed.bandwidth, "read_bytes_per_second", probe)
    monkeypatch.setattr(speed, "FRESH_SECONDS", -1.0)
    return made


def test_the_memory_is_measured_again_when_it_is_asked_again(probes: list[int]) -> None:
    memory = MemorySpeed(lambda: True)
    assert [memory.measured(), memory.measured()] == [1e9, 2e9]


def test_while_somebody_computes_nothing_is_measured_and_the_last_figure_stays(probes: list[int]) -> None:
    quiet = iter([True, False])
    memory = MemorySpeed(lambda: next(quiet))
    assert [memory.measured(), memory.measured()] == [1e9, 1e9] and len(probes) == 1


def test_before_anything_was_measured_there_is_no_figure(probes: list[int]) -> None:
    assert MemorySpeed(lambda: False).measured() is None and not probes


def test_a_young_figure_is_taken_for_now(probes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "FRESH_SECONDS", 3600.0)
    memory = MemorySpeed(lambda: True)
    assert [memory.measured(), memory.measured()] == [1e9, 1e9]


def test_where_the_container_has_no_room_nothing_is_measured(
    probes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(speed, "free_bytes_of_groups", lambda: [2**28])
    assert MemorySpeed(lambda: True).measured() is None and not probes


@pytest.mark.parametrize("error", [None, MemoryError])
def test_a_probe_leaves_the_number_of_threads_as_it_was(
    error: type[Exception] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def probe(threads: int) -> float:
        seen.append(torch.get_num_threads())
        if error is not None:
            raise error
        return 1e9

    monkeypatch.setattr(speed.bandwidth, "read_bytes_per_second", probe)
    memory, before = MemorySpeed(lambda: True), torch.get_num_threads()
    memory.threads = before + 1
    with contextlib.suppress(MemoryError):
        memory.measured()
    assert seen == [before + 1] and torch.get_num_threads() == before


def test_while_somebody_else_measures_the_last_figure_is_given_at_once(
    probes: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, told = MemorySpeed(lambda: True), []
    memory.measured()

    def probe(threads: int) -> float:
        other = threading.Thread(target=lambda: told.append(memory.measured()))
        other.start()
        other.join(30)
        return 5e9

    monkeypatch.setattr(speed.bandwidth, "read_bytes_per_second", probe)
    assert memory.measured() == 5e9 and told == [1e9]


def test_without_a_compiler_it_says_what_runs_and_why() -> None:
    said = kernels_text(Kernels(None, "PyTorch", "No C compiler was found."))
    assert "PyTorch" in said and "slower" in said and "No C compiler was found." in said


@pytest.mark.parametrize(
    "instructions, missing",
    [
        ("AVX2", "no AVX-512"),
        ("AVX2 on one core (the compiler has no OpenMP)", "no AVX-512"),
        ("plain C", "neither AVX2 nor AVX-512"),
    ],
)
def test_a_processor_without_wide_vectors_is_told(instructions: str, missing: str) -> None:
    assert missing in kernels_text(Kernels(object(), instructions))  # type: ignore[arg-type]


def test_a_cache_folder_that_can_not_be_written_to_is_told() -> None:
    note = "The compiled kernels could not be kept in /x."
    assert kernels_text(Kernels(object(), "AVX-512 VNNI", note)).endswith(note)  # type: ignore[arg-type]


def test_a_containers_limits_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "cores_of_groups", lambda: [3])
    monkeypatch.setattr(speed, "free_bytes_of_groups", lambda: [2**20])
    monkeypatch.setattr(speed.os, "cpu_count", lambda: 8)
    said = speed.limits_text()
    assert "may use 3 of the machine's 8 cores" in said and "This container's memory limit leaves 1 MiB" in said


def test_an_engines_threads_are_no_limit_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "cores_of_groups", lambda: [3])
    monkeypatch.setattr(speed.os, "cpu_count", lambda: 8)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert "may use 3 of the machine's 8 cores" in speed.limits_text()
    finally:
        torch.set_num_threads(before)


def test_a_machine_of_one_core_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "cores_of_groups", lambda: [])
    monkeypatch.setattr(speed, "free_bytes_of_groups", lambda: [])
    monkeypatch.setattr(speed.os, "cpu_count", lambda: 1)
    assert speed.limits_text() == "This machine has one core."


def test_a_machine_of_ones_own_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "cores_of_groups", lambda: [])
    monkeypatch.setattr(speed, "free_bytes_of_groups", lambda: [])
    monkeypatch.setattr(speed.os, "cpu_count", lambda: 8)
    assert speed.limits_text() == ""


def test_rates_read_well() -> None:
    assert [tokens_text(count) for count in (0.868, 9.14, 1643.0)] == ["0.87", "9.1", "1,640"]


def test_the_commands_say_the_limit_and_what_was_measured(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], probes: list[int]
) -> None:
    asked = ["plan", "--model", str(write_checkpoint(tmp_path / "tiny", n_positions=64)), "--device-map", "cpu"]
    assert main([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    reads = found["read_bytes_per_token"][found["precision"]]
    assert found["read_bytes_per_second"] == 1e9 and found["most_tokens_per_second"] == pytest.approx(1e9 / reads)
    assert found["tokens_per_second"] is None and found["kernels"].keys() == {"instructions", "note"}
    assert main([*asked, "--measure", "--context", "32"]) == 0
    said = capsys.readouterr().out
    assert "reads 2.0 GB/s" in said and "tokens/s with 32 tokens in its context; this model does" in said


def test_on_a_gpu_nothing_is_said_of_the_cpu(probes: list[int]) -> None:
    plan = plan_memory(SMALL, "int8", available_bytes=0)
    spec = ModelSpec("demo", device_map="auto")
    facts = speed.machine_facts(spec) | speed.limit_facts(plan, spec, None)
    assert not probes and {facts[name] for name in ("read_bytes_per_second", "threads", "kernels")} == {None}
    assert facts["most_tokens_per_second"] is None and speed.limit_text(facts) == ""


def test_the_list_of_models_holds_no_speed_that_nobody_measured(
    capsys: pytest.CaptureFixture[str], probes: list[int]
) -> None:
    assert main(["models", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["models"]
    assert all("tokens_per_second" not in row and row["context"] > 0 for row in rows)


def test_a_classifier_is_not_loaded_to_be_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    manager = ModelManager()
    plan = plan_memory(SMALL, "float32", available_bytes=0, cls=GPTJForSequenceClassification)
    monkeypatch.setattr(manager, "plan", lambda spec: plan)
    with pytest.raises(BadRequest, match="no language-model head"):
        speed.measure(manager, ModelSpec("nowhere"))


def test_a_measurement_fills_the_record_and_forgets_its_first_steps(tmp_path: Path) -> None:
    spec = ModelSpec(str(write_checkpoint(tmp_path / "tiny", n_positions=64)))
    with contextlib.closing(ModelManager()) as manager:
        done = speed.measure(manager, spec)
        record = manager.paces()[spec]
    assert done and record.lone_steps == KEPT_STEPS + 4


def test_beside_another_text_a_measurement_gives_nothing() -> None:
    record = PaceRecord()
    for rows in (1, 2, 2, 1):
        record.note(Step(0.1, streams=rows, rows=rows, tokens=rows, cache_bytes=0))
    assert record.alone is not None and not speed.wrote_alone(record, 0)


def test_nf4_is_never_near_its_limit_and_int8_only_with_kernels() -> None:
    with_kernels = Kernels(object(), "AVX2")  # type: ignore[arg-type]
    assert speed.far_below_limit(with_kernels) == ("nf4",)
    assert {"int8", "int4", "nf4"} == set(speed.far_below_limit(Kernels(None, "PyTorch")))
