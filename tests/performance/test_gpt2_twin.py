"""The GPT-2 beside our model has its size, is trained on the same batches, and goes on after a stop."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("transformers")

from tests.performance import gpt2_twin
from tests.performance.checkpoints import write_tokenizer
from workbench.errors import BadRequest
from workbench.gptj.config import GPTJConfig
from workbench.training.pretrain import HeldOut, PretrainSettings, TrainProgress
from workbench.training.state import LOG_FILE

TINY = GPTJConfig(vocab_size=64, n_positions=16, n_embd=16, n_layer=2, n_head=2, rotary_dim=4)
SETTINGS = PretrainSettings(steps=3, batch_size=2, context=16, warmup_steps=1, validate_every=2, save_every=1)
TOKENS = np.random.default_rng(0).integers(64, size=400).astype(np.uint16)
HELD_OUT = HeldOut(TOKENS[:60], bytes=100)


CONFIG = gpt2_twin.nearest_shape(TINY).config


def train(folder: Path, tokens: np.ndarray = TOKENS) -> Iterator[TrainProgress]:
    return gpt2_twin.train(CONFIG, tokens, HELD_OUT, SETTINGS, folder, compiled=False)


@pytest.mark.parametrize("shape", [
    {"vocab_size": 5120, "n_positions": 512, "n_embd": 256, "n_layer": 6, "n_head": 4, "rotary_dim": 32},
    {"vocab_size": 5120, "n_positions": 512, "n_embd": 320, "n_layer": 7, "n_head": 5, "rotary_dim": 32},
])  # fmt: skip
def test_a_twin_has_our_number_of_parameters_within_a_fortieth(shape: dict[str, int]) -> None:
    found = gpt2_twin.nearest_shape(GPTJConfig(**shape))
    assert abs(found.parameters / found.ours - 1) < 1 / 40
    assert f"{found.parameters:,} parameters" in found.words


def test_a_stopped_run_ends_with_the_weights_of_one_that_was_not(tmp_path: Path) -> None:
    losses = [progress.loss for progress in train(tmp_path / "whole")]
    first = train(tmp_path / "stopped")
    begun = [next(first).loss]
    first.close()
    assert losses == begun + [progress.loss for progress in train(tmp_path / "stopped")]
    whole, stopped = (gpt2_twin.trained(CONFIG, tmp_path / name).state_dict() for name in ("whole", "stopped"))
    for name, weight in whole.items():
        assert torch.equal(weight, stopped[name]), name
    assert gpt2_twin.curve(tmp_path / "whole" / LOG_FILE) == gpt2_twin.curve(tmp_path / "stopped" / LOG_FILE)


def test_a_state_of_other_tokens_is_refused(tmp_path: Path) -> None:
    first = train(tmp_path)
    next(first)
    first.close()
    with pytest.raises(BadRequest, match="another text"):
        next(train(tmp_path, TOKENS[:-1]))


def test_a_trained_twin_stands_beside_our_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_tokenizer(tmp_path)
    (tmp_path / "held").mkdir()
    (tmp_path / "held" / "tale.txt").write_text("Once upon a time there was a mouse. " * 20, encoding="utf-8")
    np.save(tmp_path / "tokens.npy", TOKENS)
    (tmp_path / "ours.jsonl").write_text('{"step": 2, "bits_per_byte": 1.25}\n{"step": 10, "bits_per_byte": null}\n')
    given: dict[str, Any] = {
        "tokens": tmp_path / "tokens.npy", "held-out": tmp_path / "held", "tokenizer": tmp_path,
        "out": tmp_path / "out", "ours": tmp_path / "ours.jsonl", "n-embd": 16, "n-layer": 1, "n-head": 2,
        "rotary-dim": 4, "steps": 3, "batch-size": 2, "context": 16, "validate-every": 2, "threads": 1,
    }  # fmt: skip
    words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
    monkeypatch.setattr(sys, "argv", ["gpt2_twin", *words])
    gpt2_twin.main()
    shown = capsys.readouterr().out
    assert "| 64 | " in shown and "| 1.2500 |" in shown and "| 96 | " in shown
    monkeypatch.setattr(sys, "argv", ["gpt2_twin", *words, "--json"])
    gpt2_twin.main()
    figures = json.loads(capsys.readouterr().out)
    assert figures["steps"] == 3 and figures["sliding"]["gpt2"] > 0 and list(figures["curve"]["gpt2"]) == ["2", "3"]
