"""Training learns, follows its schedule, and goes on after a stop as if there had been none."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.errors import BadCheckpoint, BadRequest, NumericalFailure
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.training import pretrain as pretrain_module
from workbench.training.pretrain import (
    HeldOut,
    PretrainSettings,
    TrainProgress,
    bits_per_byte,
    pretrain,
    trained_model,
)

CONFIG = GPTJConfig(vocab_size=17, n_positions=16, n_embd=32, n_layer=1, n_head=2, rotary_dim=8)
TEXT = np.tile(np.array([3, 1, 4, 1, 5, 9, 2, 6], dtype=np.uint16), 60)
SETTINGS = PretrainSettings(steps=12, batch_size=4, context=16, warmup_steps=3, validate_every=5, save_every=4)


def run(folder: Path, settings: PretrainSettings = SETTINGS, held_out: HeldOut | None = None) -> list[TrainProgress]:
    """A whole run."""
    return list(pretrain(CONFIG, TEXT, held_out, settings, folder))


def state(folder: Path) -> dict[str, torch.Tensor]:
    """The weights of a run's state."""
    return trained_model(CONFIG, folder).state_dict()


def assert_same_weights(first: Path, second: Path) -> None:
    """Bit for bit."""
    ours, theirs = state(first), state(second)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_repetitive_text_is_learnt_in_sixty_steps(tmp_path: Path) -> None:
    progress = run(tmp_path, replace(SETTINGS, steps=60, learning_rate=1e-2))
    assert progress[0].loss == pytest.approx(math.log(17), abs=0.2)
    assert progress[-1].loss < 0.3


def test_a_compiled_run_learns_the_same(tmp_path: Path) -> None:
    plain = run(tmp_path / "plain", replace(SETTINGS, steps=3))
    compiled = list(pretrain(CONFIG, TEXT, None, replace(SETTINGS, steps=3), tmp_path / "compiled", compiled=True))
    assert [p.loss for p in compiled] == pytest.approx([p.loss for p in plain], abs=0.02)


def test_the_learning_rate_warms_up_then_falls_along_a_cosine() -> None:
    settings = PretrainSettings(steps=1100, warmup_steps=100, learning_rate=2e-3, final_fraction=0.05)
    assert [settings.rate(step) for step in (0, 49, 99)] == pytest.approx([2e-5, 1e-3, 2e-3])
    assert settings.rate(100) == pytest.approx(2e-3)
    assert settings.rate(600) == pytest.approx(2e-3 * (0.05 + 0.95 / 2))
    assert settings.rate(1100) == settings.rate(5000) == pytest.approx(1e-4)
    rates = [settings.rate(step) for step in range(100, 1100)]
    assert rates == sorted(rates, reverse=True)


def test_each_step_uses_the_schedules_rate(tmp_path: Path) -> None:
    assert [p.learning_rate for p in run(tmp_path)] == [SETTINGS.rate(step) for step in range(12)]


@pytest.mark.parametrize("stop_after", [1, 4, 7, 11])
def test_a_run_stopped_and_continued_ends_bit_identical(tmp_path: Path, stop_after: int) -> None:
    run(tmp_path / "whole")
    stopped = pretrain(CONFIG, TEXT, None, SETTINGS, tmp_path / "parts")
    for _ in range(stop_after):
        next(stopped)
    stopped.close()
    rest = run(tmp_path / "parts")
    assert [p.step for p in rest] == list(range(stop_after + 1, 13))
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_a_run_killed_without_a_word_goes_on_from_its_last_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole")
    killed = pretrain(CONFIG, TEXT, None, SETTINGS, tmp_path / "parts")
    for _ in range(6):
        next(killed)
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module._Run, "save", lambda run: None)
        killed.close()
    assert [p.step for p in run(tmp_path / "parts")] == list(range(5, 13))
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_an_interruption_within_the_optimizers_step_keeps_the_last_whole_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tmp_path / "whole")
    step = torch.optim.AdamW.step
    interrupted = pretrain(CONFIG, TEXT, None, SETTINGS, tmp_path / "parts")
    for _ in range(6):
        next(interrupted)

    def half_a_step(optimizer: torch.optim.AdamW) -> None:
        step(optimizer)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", half_a_step)
        with pytest.raises(KeyboardInterrupt):
            next(interrupted)
    assert run(tmp_path / "parts")[0].step == 5
    assert_same_weights(tmp_path / "whole", tmp_path / "parts")


def test_a_finished_run_has_nothing_left_to_do(tmp_path: Path) -> None:
    run(tmp_path)
    before = state(tmp_path)
    assert run(tmp_path) == []
    assert all(torch.equal(value, before[name]) for name, value in state(tmp_path).items())


@pytest.mark.parametrize("changes", [{"steps": 13}, {"learning_rate": 1e-3}, {"seed": 1}, {"batch_size": 2}])
def test_a_folder_with_other_settings_is_refused_and_stays_as_it_is(tmp_path: Path, changes: dict[str, float]) -> None:
    run(tmp_path)
    before = (tmp_path / pretrain_module.STATE_FILE).read_bytes()
    with pytest.raises(BadRequest, match="holds a training run with other settings"):
        run(tmp_path, replace(SETTINGS, **changes))  # type: ignore[arg-type]
    assert (tmp_path / pretrain_module.STATE_FILE).read_bytes() == before


def test_a_folder_with_another_text_is_refused(tmp_path: Path) -> None:
    run(tmp_path)
    with pytest.raises(BadRequest, match="or another text"):
        list(pretrain(CONFIG, TEXT[8:], None, SETTINGS, tmp_path))


@pytest.mark.parametrize(
    "changes", [{"steps": 0}, {"batch_size": 0}, {"save_every": 0}, {"learning_rate": math.nan}, {"seed": -1}]
)
def test_impossible_settings_are_refused_and_named(changes: dict[str, float]) -> None:
    with pytest.raises(BadRequest, match=next(iter(changes))):
        replace(SETTINGS, **changes)  # type: ignore[arg-type]


def test_a_loss_that_is_not_finite_ends_the_run_with_advice(tmp_path: Path) -> None:
    with pytest.raises(NumericalFailure, match=r"The loss of step \d+ is .* smaller learning rate than 1e\+30"):
        run(tmp_path, replace(SETTINGS, learning_rate=1e30, warmup_steps=0))


def test_held_out_text_is_scored_every_so_many_steps_and_at_the_end(tmp_path: Path) -> None:
    progress = run(tmp_path, held_out=HeldOut(TEXT[:41], 41))
    assert [p.step for p in progress if p.bits_per_byte is not None] == [5, 10, 12]
    assert all(p.bits_per_byte < 8 for p in progress if p.bits_per_byte is not None)
    lines = [json.loads(line) for line in (tmp_path / pretrain_module.LOG_FILE).read_text().splitlines()]
    assert [line["step"] for line in lines] == [5, 10, 12]
    assert lines[-1]["seconds"] > 0


@pytest.mark.parametrize("count", [2, 16, 17, 18, 33, 100])
def test_bits_per_byte_count_every_token_but_the_first_once(count: int) -> None:
    model = GPTJForCausalLM(CONFIG)
    with torch.no_grad():
        for weight in model.lm_head.parameters():
            weight.zero_()  # every token equally likely
    expected = (count - 1) * math.log2(17) / 50
    assert bits_per_byte(model, HeldOut(TEXT[:count], 50), context=16) == pytest.approx(expected, rel=1e-3)
    assert model.training


def test_the_log_tells_each_step_once_after_a_kill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held_out, log = HeldOut(TEXT[:41], 41), tmp_path / pretrain_module.LOG_FILE
    killed = pretrain(CONFIG, TEXT, held_out, SETTINGS, tmp_path)
    for _ in range(6):
        next(killed)
    with monkeypatch.context() as patch:
        patch.setattr(pretrain_module._Run, "save", lambda run: None)
        killed.close()
    with log.open("a") as file:
        file.write('{"step": 6, "st')
    run(tmp_path, held_out=held_out)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [5, 10, 12]


def test_a_state_is_written_once_a_save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[int] = []
    monkeypatch.setattr(pretrain_module, "write_state", lambda folder, state: written.append(state["step"]))
    run(tmp_path)
    assert written == [4, 8, 12]


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5, 0.99, "text", "list"])
def test_a_damaged_state_is_refused_by_name(tmp_path: Path, kept: float | str) -> None:
    run(tmp_path)
    path = tmp_path / pretrain_module.STATE_FILE
    data = path.read_bytes()
    if kept == "list":
        torch.save([1], path)
    elif kept == "text":
        path.write_text("These are no weights.")
    else:
        path.write_bytes(data[: int(kept if isinstance(kept, int) else kept * len(data))])  # type: ignore[operator]
    with pytest.raises(BadCheckpoint, match=r"training-state\.pt: not a readable training state"):
        run(tmp_path)
    with pytest.raises(BadCheckpoint, match=r"training-state\.pt"):
        state(tmp_path)


def test_a_state_without_its_optimizer_is_refused_by_name(tmp_path: Path) -> None:
    run(tmp_path)
    path = tmp_path / pretrain_module.STATE_FILE
    values = torch.load(path, weights_only=True)
    del values["optimizer"]
    torch.save(values, path)
    with pytest.raises(BadCheckpoint, match=r"training-state\.pt: not a readable training state"):
        run(tmp_path)
