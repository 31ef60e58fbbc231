"""The loop's arithmetic: batches add up, recomputing changes nothing, precisions agree, and time is told honestly."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.toy import classify, losses, toy_texts, trained
from workbench.loading.formats.safetensors import SafetensorsCheckpoint
from workbench.training.head_request import TrainClassify
from workbench.training.heads import train_head


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    (path,) = folder.glob("*.safetensors")
    checkpoint = SafetensorsCheckpoint(path)
    return {name: torch.cat(list(checkpoint.pieces(name))) for name in checkpoint.tensors}


def assert_same_training(request: TrainClassify, folder: Path, tolerance: float, **changes: Any) -> None:
    """Two runs have the same losses and end with the same weights."""
    one, other = replace(request, out=str(folder / "one")), replace(request, out=str(folder / "other"), **changes)
    seen = [losses(trained(each)[1]) for each in (one, other)]
    assert seen[0] == pytest.approx(seen[1], rel=tolerance, abs=tolerance)
    ours, theirs = tensors(one.folder), tensors(other.folder)
    for name, value in ours.items():
        torch.testing.assert_close(theirs[name], value, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("method", ["head", "lora", "full"])
def test_gradients_of_accumulated_batches_add_up(tmp_path: Path, method: str) -> None:
    # 45 rows to train on: the last step of an epoch has fewer than the others.
    request = classify(tmp_path, toy_texts(60), method=method, batch_size=12, epochs=2.0, learning_rate=0.003)
    assert_same_training(request, tmp_path, 1e-5, batch_size=3, accumulate=4)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_gradient_checkpointing_changes_nothing(tmp_path: Path, method: str) -> None:
    request = classify(tmp_path, toy_texts(60), method=method, epochs=2.0, learning_rate=0.003)
    assert_same_training(request, tmp_path, 1e-6, gradient_checkpointing=True)


def test_full_fine_tuning_in_bfloat16_follows_float32(tmp_path: Path) -> None:
    request = classify(tmp_path, toy_texts(60), method="full", epochs=2.0, learning_rate=0.001)
    seen = [losses(trained(replace(request, out=str(tmp_path / p), precision=p))[1]) for p in ("float32", "bfloat16")]
    assert seen[0] == pytest.approx(seen[1], rel=0.05, abs=0.05) and seen[0] != seen[1]


def test_dropout_makes_a_difference_and_repeats(tmp_path: Path) -> None:
    request = classify(tmp_path, toy_texts(60), method="lora", epochs=2.0, learning_rate=0.01, dropout=0.5)
    runs = [losses(trained(replace(request, out=str(tmp_path / str(n)), dropout=d))[1])
            for n, d in enumerate((0.5, 0.5, 0.0))]  # fmt: skip
    assert runs[0] == runs[1] != runs[2]


def test_training_does_not_touch_the_global_generator(tmp_path: Path) -> None:
    request = classify(tmp_path, toy_texts(60), method="lora", epochs=1.0, dropout=0.5)
    before = torch.get_rng_state()
    trained(request)
    assert torch.equal(torch.get_rng_state(), before)


def test_patience_ends_a_run_that_gets_no_better(tmp_path: Path) -> None:
    request = classify(tmp_path, method="head", learning_rate=1e-9, epochs=20.0, validate_every=0.5, patience=3)
    result, seen = trained(request)
    validations = [moment for moment in seen if moment.validation is not None]
    assert 4 <= len(validations) < 40 and result.stopped_at is None
    assert seen[-2].step < seen[-2].steps


def test_the_best_weights_are_kept_not_the_last(tmp_path: Path) -> None:
    request = classify(tmp_path, method="full", learning_rate=0.003, epochs=4.0, validate_every=0.25)
    result, seen = trained(request)
    scores = [(-m.validation["macro_f1"], m.validation["loss"]) for m in seen if m.validation is not None]
    assert (-result.metrics["macro_f1"], result.metrics["loss"]) == pytest.approx(min(scores))
    assert seen[-1].best is not None and seen[-1].best["step"] == result.card.settings["best_step"]


def test_the_learning_rate_of_the_card_is_the_one_that_was_used(tmp_path: Path) -> None:
    result, _ = trained(classify(tmp_path, toy_texts(60), method="head", epochs=0.5))
    assert result.card.settings["learning_rate"] == pytest.approx(2e-3)


def test_a_closed_run_leaves_no_hook_on_anything(tmp_path: Path) -> None:
    steps = train_head(classify(tmp_path, method="lora", epochs=1.0))
    for moment in steps:
        if moment.phase == "training":
            network = steps.gi_frame.f_locals["network"]
            assert not any(module._forward_hooks for module in network.modules())
            break
    steps.close()
