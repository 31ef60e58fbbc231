"""From plain text to a checkpoint that loads and writes, through kills, and with clear words for what can't be used."""

import random
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import pytest
import torch

from workbench.errors import BadRequest
from workbench.published import GPTJForCausalLM, Tokenizer
from workbench.training.command import STATE_FOLDER, TrainProgress, TrainRequest, progress_line, train_lm
from workbench.training.pretrain import STATE_FILE

WORDS = {
    "who": ["The old king", "A small girl", "The unicorn", "My brother", "Nobody", "The grey cat"],
    "did": ["walked to", "looked at", "dreamt of", "sang about", "ran from", "painted"],
    "what": ["the hill", "a river", "the apple tree", "her house", "the sleeping moon", "three doors"],
}


def silent(text: str) -> None:
    """Takes a line of progress."""


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder of three small books."""
    folder = tmp_path / "books"
    folder.mkdir()
    rng = random.Random(0)
    for number in range(3):
        lines = (" ".join(rng.choice(words) for words in WORDS.values()) + "." for _ in range(120))
        (folder / f"book{number}.txt").write_text("\n\n".join(lines))
    return folder


@pytest.fixture
def request_(corpus: Path, tmp_path: Path) -> TrainRequest:
    """Six steps of a tiny model."""
    return TrainRequest(
        texts=(str(corpus),), out=str(tmp_path / "model"), held_out=("book2",), steps=6, batch_size=4, context=32,
        vocab_size=300, n_embd=16, n_layer=1, n_head=2, rotary_dim=4, save_every=2, precision="float32",
    )  # fmt: skip


def weights(folder: Path | str) -> dict[str, torch.Tensor]:
    """The written checkpoint's weights."""
    return GPTJForCausalLM.from_pretrained(folder).state_dict()


def command_line(request: TrainRequest, *more: str) -> list[str]:
    """`python -m workbench train lm` for a request."""
    options = [sys.executable, "-m", "workbench", "train", "lm", *more]
    for field in fields(request):
        value = getattr(request, field.name)
        if value is True:
            options.append("--" + field.name.replace("_", "-"))
        elif value not in (None, (), False):
            values = value if isinstance(value, tuple) else (value,)
            options += ["--" + field.name.replace("_", "-"), *map(str, values)]
    return options


def test_the_folder_written_loads_and_writes_text(request_: TrainRequest) -> None:
    lines: list[str] = []
    answer = train_lm(request_, lines.append)
    assert answer["steps"] == 6 and answer["tokens"] == 6 * 4 * 32
    assert 0 < answer["loss"] < 7 and 0 < answer["bits_per_byte"] < 8
    model, tokenizer = GPTJForCausalLM.from_pretrained(request_.out), Tokenizer.from_pretrained(request_.out)
    assert answer["parameters"] == sum(weight.numel() for weight in model.parameters())
    assert model.config.vocab_size == tokenizer.size == 300 and model.config.eos_token_id == tokenizer.eos_id
    written = model.generate(tokenizer("The old king", return_tensors="pt").input_ids, max_new_tokens=5)
    assert tokenizer.batch_decode(written)[0].startswith("The old king")
    assert lines[0].startswith("2 documents to train on, 1 held out")


def test_a_run_killed_in_the_middle_and_continued_ends_bit_identical(request_: TrainRequest, tmp_path: Path) -> None:
    whole = replace(request_, out=str(tmp_path / "whole"), steps=150)
    killed = replace(whole, out=str(tmp_path / "killed"))
    state = Path(killed.out) / STATE_FOLDER / STATE_FILE
    environment = {"OMP_NUM_THREADS": "1", "PATH": "", "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(command_line(killed), stderr=subprocess.DEVNULL, env=environment)
    until = time.monotonic() + 120
    while not state.exists() and process.poll() is None and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert state.exists() and not (Path(killed.out) / "model.safetensors").exists()
    train_lm(killed, silent)
    train_lm(whole, silent)
    ours, theirs = weights(killed.out), weights(whole.out)
    assert all(torch.equal(value, theirs[name]) for name, value in ours.items())


def test_a_finished_folder_given_again_is_written_again(request_: TrainRequest) -> None:
    train_lm(request_, silent)
    before = weights(request_.out)
    answer = train_lm(request_, silent)
    assert answer["loss"] is None and answer["steps"] == 6
    assert all(torch.equal(value, before[name]) for name, value in weights(request_.out).items())


@pytest.mark.parametrize("changes, message", [
    ({"steps": 7}, "other settings"),
    ({"n_embd": 32}, "other settings"),
    ({"held_out": ("book1",)}, "another text"),
    ({"vocab_size": 310}, "holds a tokenizer of 300 entries, and vocab_size is 310"),
])  # fmt: skip
def test_a_folder_of_another_run_is_refused(request_: TrainRequest, changes: dict, message: str) -> None:
    train_lm(request_, silent)
    with pytest.raises(BadRequest, match=message):
        train_lm(replace(request_, **changes), silent)


def test_texts_that_cannot_be_used_are_refused_by_name(request_: TrainRequest, tmp_path: Path) -> None:
    empty, binary, tiny = tmp_path / "empty", tmp_path / "binary.txt", tmp_path / "tiny.txt"
    empty.mkdir()
    binary.write_bytes(bytes(range(256)) * 9)
    tiny.write_text("Once.")
    for path, message in {
        empty: "empty: the folder holds no .txt",
        binary: "binary.txt: not UTF-8 text",
        tiny: "too short for 300 vocabulary entries",
        tmp_path / "nowhere": "nowhere: there is no such file or folder",
    }.items():
        with pytest.raises(BadRequest, match=message):
            train_lm(replace(request_, texts=(str(path),), held_out=()), silent)
    assert not Path(request_.out).exists()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"steps": 0}, "steps must be at least 1"),
        ({"precision": "int8"}, "trained in float; got precision='int8'"),
        ({"precision": "float99"}, "float99"),
        ({"n_embd": 15}, "n_embd must be divisible by n_head"),
        ({"rotary_dim": 3}, "rotary_dim must be an even number"),
        ({"vocab_size": 100}, "vocab_size is 100"),
        ({"context": 100_000}, "Give more text, or a smaller batch or context"),
        ({"held_out": ("book9",)}, "Held-out documents not found: book9"),
        ({"seed": -1}, "seed must be from 0"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(request_: TrainRequest, changes: dict, message: str) -> None:
    with pytest.raises(BadRequest, match=message):
        train_lm(replace(request_, **changes), silent)


def test_the_folder_to_write_may_not_be_a_file(request_: TrainRequest, corpus: Path) -> None:
    with pytest.raises(BadRequest, match="is a file"):
        train_lm(replace(request_, out=str(corpus / "book0.txt")), silent)


def test_weights_are_saved_in_the_precision_asked_for(request_: TrainRequest) -> None:
    train_lm(replace(request_, precision="bfloat16"), silent)
    assert {value.dtype for value in weights(request_.out).values()} == {torch.bfloat16}


def test_a_line_of_progress_is_readable() -> None:
    progress = TrainProgress(20, 60, 3.21, 1.5, 1e-3, 4000.0, 30.0)
    line = progress_line(progress)
    assert line == "step     20/60  loss 3.210  held-out 1.5000 bits/byte  4,000 tokens/s  1 min left"


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "pytorch_model-00001-of-00002.bin"])
def test_a_folder_with_somebodys_model_is_refused_and_left_alone(request_: TrainRequest, name: str) -> None:
    folder = Path(request_.out)
    folder.mkdir()
    (folder / name).write_text("theirs")
    with pytest.raises(BadRequest, match=rf"holds a model already \({name}\).* Choose another folder"):
        train_lm(request_, silent)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {name: "theirs"}


def test_a_shard_size_of_nothing_is_refused_before_training(request_: TrainRequest) -> None:
    with pytest.raises(BadRequest, match="max_shard_bytes must be at least 1; got 0"):
        train_lm(replace(request_, max_shard_bytes=0), silent)
    assert not Path(request_.out).exists()


def test_a_language_model_is_not_trained_by_several_processes_at_once(
    request_: TrainRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(BadRequest, match="one process"):
        train_lm(request_, print)
    assert not Path(request_.out).exists()
