"""LoRA files beside PEFT's own reader and writer: the same logits either way; what is not read is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tests.gptj.tiny import fill, random_batch, random_config
from tests.loading.saved_heads import card_for, lora
from tests.loading.tiny import tiny_config
from workbench.errors import BadCheckpoint
from workbench.gptj.config import GPTJConfig
from workbench.gptj.lora import Adapter
from workbench.loading.adapter_file import ADAPTER_CONFIG, read_adapter, write_adapter
from workbench.loading.head_card import write_card
from workbench.loading.heads import SavedHead, load_head, save_head

oracle = pytest.importorskip("tests.gptj.oracle")
peft = pytest.importorskip("peft")
numpy = pytest.importorskip("numpy")

KINDS = ["classify", "answer"]
ALL = ("q_proj", "k_proj", "v_proj", "out_proj", "fc_in", "fc_out")
TARGETS = [("q_proj", "v_proj"), ALL, ("mlp.fc_in",)]
OUTPUTS = {"classify": 3, "answer": 2}


def drawn(kind: str, seed: int) -> tuple[GPTJConfig, nn.Module, nn.Module, dict[str, Tensor]]:
    """A random shape, our model and theirs of the same weights, and a batch."""
    rng = numpy.random.default_rng(seed)
    config = random_config(rng, OUTPUTS[kind])
    ours, theirs = oracle.twins(kind, config, seed)
    batch = random_batch(rng, config, "right")
    return config, ours, theirs, {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}


@torch.no_grad()
def our_logits(model: nn.Module, head: SavedHead, batch: dict[str, Tensor]) -> Tensor:
    """Of our model with the head in place of its own: (B, n), or (B, T, 2)."""
    setattr(model, head.card.module_name, head.module)
    with head.adapter.attached(model):
        return flat(model(**batch))


@torch.no_grad()
def their_logits(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    return flat(model.eval()(**batch))


def flat(output: Any) -> Tensor:
    """The logits of either kind of head."""
    return output.logits if hasattr(output, "logits") else torch.stack((output.start_logits, output.end_logits), -1)


def the_card(kind: str) -> Any:
    """Of a LoRA head."""
    return card_for("f", kind, method="lora")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("seed", range(3))
def test_peft_reads_what_we_save_to_the_same_logits(
    kind: str, targets: tuple[str, ...], seed: int, tmp_path: Path
) -> None:
    config, ours, theirs, batch = drawn(kind, seed)
    card = the_card(kind)
    module = fill(nn.Linear(config.n_embd, card.outputs, bias=kind == "answer"), seed + 9)
    adapter = fill(Adapter(ours, targets, rank=seed + 2, alpha=3 * seed + 5), seed)
    save_head(tmp_path / "head", card, module, adapter)
    expected = our_logits(ours, SavedHead(card, module, adapter), batch)
    assert not torch.allclose(expected, their_logits(theirs, batch), atol=1e-2)
    read = peft.PeftModel.from_pretrained(theirs, tmp_path / "head")
    torch.testing.assert_close(their_logits(read, batch), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("targets", TARGETS)
@pytest.mark.parametrize("seed", range(2))
def test_we_read_what_peft_saves_to_the_same_logits(
    kind: str, targets: tuple[str, ...], seed: int, tmp_path: Path
) -> None:
    config, ours, theirs, batch = drawn(kind, seed)
    task = {"classify": "SEQ_CLS", "answer": "QUESTION_ANS"}[kind]
    asked = peft.LoraConfig(task_type=task, r=3, lora_alpha=7, lora_dropout=0.1, target_modules=list(targets))
    wrapped = peft.get_peft_model(theirs, asked)
    for number, (name, parameter) in enumerate(wrapped.named_parameters()):
        if "lora_" in name or "modules_to_save" in name:
            nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(number))
    wrapped.save_pretrained(tmp_path)
    write_card(tmp_path, the_card(kind))
    head = load_head(tmp_path, config, "f")
    torch.testing.assert_close(our_logits(ours, head, batch), their_logits(wrapped, batch), rtol=1e-5, atol=1e-5)


def written(folder: Path, **changes: Any) -> Path:
    """An adapter of ours with some settings changed."""
    folder.mkdir(exist_ok=True)
    write_adapter(folder, lora(), "score", nn.Linear(32, 3, bias=False), "demo")
    values = json.loads((folder / ADAPTER_CONFIG).read_text())
    (folder / ADAPTER_CONFIG).write_text(json.dumps({**values, **changes}))
    return folder


@pytest.mark.parametrize("changes", [
    {"rank_pattern": {"q_proj": 4}}, {"alpha_pattern": {"q_proj": 4}}, {"use_dora": True}, {"use_rslora": True},
    {"bias": "all"}, {"fan_in_fan_out": True}, {"layers_to_transform": [0]}, {"init_lora_weights": "pissa"},
    {"lora_bias": True}, {"peft_type": "IA3"}, {"peft_type": None}, {"target_modules": "all-linear"},
    {"target_modules": [1]}, {"target_modules": ["query"]}, {"r": 0}, {"r": 4.0}, {"r": True}, {"r": 10**30},
    {"lora_alpha": "16"}, {"lora_alpha": None}, {"lora_dropout": 2}, {"tomorrows_setting": "on"},
])  # fmt: skip
def test_an_adapter_of_another_kind_is_refused_with_the_setting(tmp_path: Path, changes: dict[str, Any]) -> None:
    said = "rank" if "r" in changes and changes["r"] is not True else "query" if "query" in str(changes) else ""
    with pytest.raises(
        BadCheckpoint, match=f"^{ADAPTER_CONFIG}: .*{said or next(iter(changes)).removeprefix('lora_')}"
    ):
        read_adapter(written(tmp_path, **changes), tiny_config(), "score")


def test_a_rank_that_the_file_does_not_hold_is_refused_before_any_memory_is_taken(tmp_path: Path) -> None:
    with pytest.raises(BadCheckpoint, match="shape"):
        read_adapter(written(tmp_path, r=2**15), tiny_config(), "score")


def test_settings_that_change_nothing_are_no_hindrance(tmp_path: Path) -> None:
    neutral = {"rank_pattern": {}, "megatron_core": "megatron.core", "qalora_group_size": 16, "loftq_config": {},
               "init_lora_weights": "gaussian", "revision": "main", "peft_version": "0.99"}  # fmt: skip
    adapter, head = read_adapter(written(tmp_path, **neutral), tiny_config(), "score")
    assert list(head) == ["score.weight"] and adapter.layers == lora().layers
