"""Broken, foreign and hostile checkpoints: each a typed error that names the file or the field."""

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.loading.tiny import logits, tiny_config, tiny_model, write_bin, write_config, write_state
from workbench.errors import WorkbenchError
from workbench.gptj.heads import GPTJForQuestionAnswering
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import from_pretrained, save_pretrained

WTE = "transformer.wte.weight"


def changed_tensor(change: Callable[[torch.Tensor], Any], name: str = WTE) -> Callable[[Path], None]:
    """A .bin checkpoint with one tensor changed; None takes it out."""

    def make(folder: Path) -> None:
        model = tiny_model()
        state = {**model.state_dict()}
        value = change(state.pop(name))
        write_state(state if value is None else {**state, name: value}, model.config, folder)

    return make


def with_value(value: float) -> Callable[[torch.Tensor], torch.Tensor]:
    """Puts one value into a copy of a tensor."""

    def change(tensor: torch.Tensor) -> torch.Tensor:
        tensor = tensor.clone()
        tensor.view(-1)[-1] = value
        return tensor

    return change


def changed_config(**changes: Any) -> Callable[[Path], None]:
    """A good checkpoint with other values in config.json."""

    def make(folder: Path) -> None:
        model = tiny_model()
        save_pretrained(model, folder)
        write_config(model.config, folder, **changes)

    return make


def replaced(file: str, data: bytes) -> Callable[[Path], None]:
    """A good checkpoint with one file's content replaced."""

    def make(folder: Path) -> None:
        save_pretrained(tiny_model(), folder)
        (folder / file).write_bytes(data)

    return make


def index(weight_map: object, link: str | None = None) -> Callable[[Path], None]:
    """A folder with an index; and, if asked for, a link of a shard's name to a good file elsewhere."""

    def make(folder: Path) -> None:
        write_config(tiny_config(), folder)
        save_pretrained(tiny_model(), folder / "elsewhere")
        save_pretrained(tiny_model(), folder.parent / "outside")
        if link is not None:
            os.symlink(folder.parent / "outside" / "model.safetensors", folder / link)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weight_map}))

    return make


def one_shard_gone(folder: Path) -> None:
    save_pretrained(tiny_model(), folder, max_shard_bytes=20_000)
    next(folder.glob("model-00002-*")).unlink()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 24207819307\n"
HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head></html>"
BLOCK = "transformer.h.1.mlp.fc_in.weight"

CASES: dict[str, tuple[Callable[[Path], None], str]] = {
    "missing tensor": (changed_tensor(lambda _: None), WTE),
    "missing bias of the head": (changed_tensor(lambda _: None, "lm_head.bias"), "lm_head.bias"),
    "wrong shape": (changed_tensor(lambda t: t[:, :-1].clone()), r"\[99, 31\].*\[99, 32\]"),
    "transposed": (changed_tensor(lambda t: t.t().contiguous(), BLOCK), BLOCK),
    "wrong dtype": (changed_tensor(lambda t: t.to(torch.int64)), "int64"),
    "quantised by somebody else": (changed_tensor(lambda t: t.to(torch.int8), BLOCK), "int8"),
    "NaN": (changed_tensor(with_value(float("nan"))), f"{WTE}.*NaN"),
    "infinite": (changed_tensor(with_value(float("inf")), BLOCK), f"{BLOCK}.*infinite"),
    "minus infinite": (changed_tensor(with_value(float("-inf")), "lm_head.bias"), "lm_head.bias"),
    "more blocks than configured": (changed_config(n_layer=1), "config.json: n_layer is 1"),
    "fewer blocks than configured": (changed_config(n_layer=3), "missing"),
    "another width": (changed_config(n_embd=64), r"config\.json asks for"),
    "config of another architecture": (changed_config(model_type="gpt2"), "config.json.*gpt2"),
    "config bomb, layers": (changed_config(n_layer=10**9), "config.json: n_layer"),
    "config bomb, vocabulary": (changed_config(vocab_size=2**62), "config.json: vocab_size"),
    "config bomb, within bounds": (
        changed_config(vocab_size=2**20, n_embd=2**15, n_inner=2**18),
        "config.json asks for",
    ),
    "config, negative": (changed_config(n_embd=-32), "config.json: n_embd"),
    "config, text for a number": (changed_config(n_embd="32"), "config.json: n_embd"),
    "config, null": (changed_config(n_layer=None), "config.json: n_layer"),
    "config, odd rotation": (changed_config(rotary_dim=3), "config.json: rotary_dim"),
    "config, heads": (changed_config(n_head=5), "config.json: n_embd"),
    "config, activation": (changed_config(activation_function="swish9"), "config.json: activation_function"),
    "config, NaN": (changed_config(layer_norm_epsilon=float("nan")), "config.json: layer_norm_epsilon"),
    "config, foreign quantisation": (changed_config(quantization_config={"quant_method": "gptq"}), "config.json"),
    "config is a list": (replaced("config.json", b"[]"), "config.json"),
    "config cut": (replaced("config.json", b'{"n_embd": 3'), "config.json"),
    "config empty": (replaced("config.json", b""), "config.json.*empty"),
    "config is not text": (replaced("config.json", b"\xff\xfe\x00"), "config.json"),
    "config too large": (replaced("config.json", b" " * 5_000_000), "config.json.*larger"),
    "config nested deeply": (replaced("config.json", b'{"a":' * 200_000), "config.json"),
    "config, key twice": (replaced("config.json", b'{"n_embd": 32, "n_embd": 64}'), "config.json.*twice"),
    "LFS pointer": (replaced("model.safetensors", LFS), "model.safetensors.*LFS"),
    "LFS pointer for config": (replaced("config.json", LFS), "config.json.*LFS"),
    "web page": (replaced("model.safetensors", b"\n  " + HTML), "model.safetensors.*web page"),
    "empty file": (replaced("model.safetensors", b""), "model.safetensors.*empty"),
    "zeros": (replaced("model.safetensors", bytes(1000)), "model.safetensors"),
    "noise": (replaced("model.safetensors", bytes(range(256)) * 9), "model.safetensors"),
    "missing shard": (one_shard_gone, "model-00002"),
    "index, parent folder": (index({WTE: "../outside/model.safetensors"}), "index.json.*plain name"),
    "index, sub-folder": (index({WTE: "elsewhere/model.safetensors"}), "index.json.*plain name"),
    "index, absolute": (index({WTE: "/etc/passwd"}), "index.json.*plain name"),
    "index, dots": (index({WTE: ".."}), "index.json.*plain name"),
    "index, NUL": (index({WTE: "a\0b"}), "index.json.*plain name"),
    "index, link that leads out": (index({WTE: "model-1.safetensors"}, "model-1.safetensors"), "leads out"),
    "index, number for a file": (index({WTE: 5}), "index.json"),
    "index, list for a map": (index([WTE]), "index.json.*weight_map"),
    "index, empty": (index({}), "index.json.*weight_map"),
}


@pytest.mark.parametrize("case", CASES)
def test_a_bad_checkpoint_is_refused_with_what_is_wrong(case, tmp_path):
    make, expected = CASES[case]
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    make(folder)
    with pytest.raises(WorkbenchError, match=expected):
        from_pretrained(GPTJForCausalLM, folder)


@pytest.mark.parametrize("file", ["LFS", "HTML", "empty", "noise"])
def test_a_foreign_file_in_place_of_a_pickle_is_named(file, tmp_path):
    write_bin(tiny_model(), tmp_path)
    data = {"LFS": LFS, "HTML": HTML, "empty": b"", "noise": bytes(range(256))}[file]
    (tmp_path / "pytorch_model.bin").write_bytes(data)
    with pytest.raises(WorkbenchError, match=r"pytorch_model\.bin"):
        from_pretrained(GPTJForCausalLM, tmp_path)


@pytest.mark.parametrize("precision", ["bfloat16", "int8", "nf4"])
def test_a_nan_is_found_in_every_precision(precision, tmp_path):
    if precision in ("int8", "nf4"):
        pytest.importorskip("bitsandbytes")
    changed_tensor(with_value(float("nan")), BLOCK)(tmp_path)
    with pytest.raises(WorkbenchError, match=BLOCK):
        from_pretrained(GPTJForCausalLM, tmp_path, precision=precision)


def test_a_value_too_large_for_the_asked_type_is_told_as_such(tmp_path):
    changed_tensor(with_value(1e6), BLOCK)(tmp_path)
    with pytest.raises(WorkbenchError, match=f"{BLOCK}.*too large for torch.float16"):
        from_pretrained(GPTJForCausalLM, tmp_path, dtype=torch.float16)


def test_a_config_with_three_labels_does_not_answer_questions(tmp_path):
    changed_config(num_labels=3)(tmp_path)
    with pytest.raises(WorkbenchError, match=r"config\.json: .*num_labels"):
        from_pretrained(GPTJForQuestionAnswering, tmp_path)


def test_a_model_that_was_loaded_before_computes_on_after_a_failed_load(tmp_path):
    save_pretrained(tiny_model(), tmp_path / "good")
    model = from_pretrained(GPTJForCausalLM, tmp_path / "good")
    before = logits(model)
    (tmp_path / "bad").mkdir()
    changed_tensor(with_value(float("nan")), "lm_head.bias")(tmp_path / "bad")
    with pytest.raises(WorkbenchError):
        from_pretrained(GPTJForCausalLM, tmp_path / "bad")
    assert torch.equal(logits(model), before)


def test_random_bytes_changed_in_a_checkpoint_never_escape_as_another_error(tmp_path):
    generator = torch.Generator().manual_seed(0)
    for write, file in ((save_pretrained, "model.safetensors"), (write_bin, "pytorch_model.bin")):
        folder = tmp_path / file
        write(tiny_model(), folder)
        good = (folder / file).read_bytes()
        for _ in range(60):
            data = bytearray(good)
            # Half of the changes fall into the first bytes, where the description lies.
            bound = [len(data), 3000][int(torch.randint(0, 2, (), generator=generator))]
            for at in torch.randint(0, bound, (3,), generator=generator).tolist():
                data[at] ^= 1 << int(torch.randint(0, 8, (), generator=generator))
            (folder / file).write_bytes(bytes(data))
            with contextlib.suppress(WorkbenchError):
                from_pretrained(GPTJForCausalLM, folder)
