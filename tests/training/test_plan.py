"""The plan: what each method costs, in numbers that add up."""

from pathlib import Path

import pytest
import torch

from tests.training.toy import answer, classify, toy_texts
from workbench.errors import NotEnoughMemory
from workbench.gptj.config import GPTJConfig
from workbench.gptj.lora import Adapter
from workbench.gptj.model import GPTJModel
from workbench.training import plan
from workbench.training.head_request import METHODS
from workbench.training.heads import train_head
from workbench.training.plan import kept_bytes, plan_training

LAYERS = {"q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out"}


def saved_bytes(layers: int, full: bool, half: bool, targets: tuple[str, ...] = ()) -> float:
    """What autograd really keeps of one token, parameters left out."""
    config = GPTJConfig(vocab_size=99, n_positions=64, n_embd=96, n_layer=layers, n_head=4, rotary_dim=8)
    trunk = GPTJModel(config).requires_grad_(full)
    frozen_half = half and not full
    trunk = trunk.bfloat16() if frozen_half else trunk
    adapter = Adapter(trunk, targets, rank=2) if targets else None
    modules = [trunk] if adapter is None else [trunk, adapter]
    shapes = {tuple(weight.shape) for module in modules for weight in module.parameters()}
    shapes |= {shape[::-1] for shape in shapes}
    kept: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tuple(tensor.shape) not in shapes and tensor.numel() > 1000:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    ids = torch.zeros(3, 17, dtype=torch.long)
    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=half and full),
    ):
        if adapter is None:
            trunk(ids, use_cache=False)
        else:
            with adapter.attached(trunk):
                trunk(ids, use_cache=False)
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values()) / ids.numel()


@pytest.mark.parametrize("full, half, targets", [
    (True, False, ()), (True, True, ()), (False, False, ("q_proj", "v_proj")), (False, True, ("q_proj", "v_proj")),
    (False, False, tuple(LAYERS)), (False, True, tuple(LAYERS)),
])  # fmt: skip
def test_the_formula_counts_what_autograd_keeps_of_a_layer(full: bool, half: bool, targets: tuple[str, ...]) -> None:
    torch.manual_seed(0)
    measured = (saved_bytes(5, full, half, targets) - saved_bytes(3, full, half, targets)) / 2
    config = GPTJConfig(vocab_size=99, n_positions=64, n_embd=96, n_layer=5, n_head=4, rotary_dim=8)
    passed_on = 2 if half and not full else 4
    planned = kept_bytes(config, 2 if half else 4, passed_on, full, targets, False)
    assert planned == pytest.approx(measured, rel=0.06)


def test_the_parts_add_up_for_every_method(tmp_path: Path) -> None:
    for request in (classify(tmp_path), answer(tmp_path)):
        for method in METHODS:
            found = plan_training(type(request)(**{**vars(request), "method": method}))
            parts = (found.weights_bytes, found.gradient_bytes, found.optimizer_bytes, found.activation_bytes,
                     found.features_bytes)  # fmt: skip
            assert sum(parts) == found.total_bytes and found.fits
            assert {name for name, _, _ in found.alternatives} == set(METHODS) - {method}


def test_full_fine_tuning_in_float32_is_four_copies_of_the_model(tmp_path: Path) -> None:
    found = plan_training(classify(tmp_path, method="full"))
    model = 4 * found.parameters
    assert found.weights_bytes == model and found.trained_parameters == found.parameters
    assert found.weights_bytes + found.gradient_bytes + found.optimizer_bytes == 4 * model


def test_each_saving_saves(tmp_path: Path) -> None:
    rows = [(text * 4, label) for text, label in toy_texts()]
    whole = plan_training(classify(tmp_path, rows, method="full", batch_size=64))
    assert plan_training(classify(tmp_path, method="full", batch_size=64, optimizer="adamw8bit")).optimizer_bytes < (
        whole.optimizer_bytes / 3.9
    )
    checkpointed = plan_training(classify(tmp_path, method="full", batch_size=64, gradient_checkpointing=True))
    assert checkpointed.activation_bytes < whole.activation_bytes
    assert plan_training(classify(tmp_path, method="full", batch_size=32)).activation_bytes < whole.activation_bytes
    lora = {p: plan_training(classify(tmp_path, method="lora", precision=p)) for p in ("float32", "bfloat16", "int8")}
    assert lora["int8"].weights_bytes < lora["bfloat16"].weights_bytes < lora["float32"].weights_bytes
    assert lora["float32"].gradient_bytes == 4 * lora["float32"].trained_parameters


def test_the_trained_parameters_of_lora_are_its_matrices_and_the_head(tmp_path: Path) -> None:
    found = plan_training(classify(tmp_path, method="lora", rank=3, targets=("q_proj", "fc_in")))
    assert found.trained_parameters == 2 * 3 * (32 + 32 + 32 + 128) + 2 * 32


def test_too_little_memory_is_said_with_what_to_do_and_nothing_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = classify(tmp_path, method="full")
    small = plan_training(request, available_bytes=100_000)
    assert not small.fits and "are free. Choose" in small.advice and "adamw8bit" in small.advice
    monkeypatch.setattr(plan, "available_memory_bytes", lambda device: 100_000)
    steps = train_head(request)
    assert next(steps).phase == "loading"
    with pytest.raises(NotEnoughMemory, match="Method full trains"):
        next(steps)
    assert not request.folder.exists()
