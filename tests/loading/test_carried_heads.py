"""Heads beside a checkpoint after its conversion: they go along with the same weights, and with no others."""

from pathlib import Path

import pytest
import torch

from tests.loading.saved_heads import checkpoint, saved
from tests.loading.tiny import tiny_model, write_safetensors, write_state
from workbench.loading.carried_heads import same_trunk
from workbench.loading.config_file import read_config
from workbench.loading.convert import convert
from workbench.loading.fingerprint import trunk_fingerprint
from workbench.loading.heads import load_head


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A float32 checkpoint with a probe and a LoRA head beside it."""
    folder = checkpoint(tmp_path / "source")
    saved(folder / "heads" / "mood", folder)
    saved(folder / "heads" / "spans", folder, "answer", "lora", name="spans")
    return folder


def fits(new: Path, head: str) -> bool:
    """Whether a head beside a checkpoint can be loaded for it."""
    return load_head(new / "heads" / head, read_config(new), trunk_fingerprint(new)).card.folder is not None


@pytest.mark.parametrize("written", ["safetensors", "bin", "flax"])
def test_heads_go_along_with_every_format(written: str, source: Path, tmp_path: Path) -> None:
    done = convert(source, tmp_path / "new", written)
    assert done.heads.kept == ("mood", "spans") and done.heads.left == ()
    assert fits(tmp_path / "new", "mood") and fits(tmp_path / "new", "spans")


def test_a_head_that_goes_along_is_the_same_to_the_last_byte(source: Path, tmp_path: Path) -> None:
    convert(source, tmp_path / "new")
    for path in (source / "heads").rglob("*.*"):
        assert (tmp_path / "new" / path.relative_to(source)).read_bytes() == path.read_bytes()


def test_heads_are_left_out_where_the_weights_are_rounded(source: Path, tmp_path: Path) -> None:
    done = convert(source, tmp_path / "new", precision="bfloat16")
    assert done.heads.left == ("mood", "spans") and done.heads.kept == ()
    assert "Heads left out: mood, spans." in str(done.heads)
    assert not (tmp_path / "new" / "heads").exists()


def test_heads_go_along_where_a_narrower_type_holds_every_weight(tmp_path: Path) -> None:
    write_safetensors(tiny_model().bfloat16().float(), tmp_path / "source")
    saved(tmp_path / "source" / "heads" / "mood", tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "new", precision="bfloat16").heads.kept == ("mood",)
    assert fits(tmp_path / "new", "mood")


def test_one_rounded_value_far_inside_a_tensor_is_seen(tmp_path: Path) -> None:
    model = tiny_model(vocab_size=700).bfloat16().float()
    with torch.no_grad():
        model.transformer.wte.weight[-1, -1] = 1.001  # beyond what the fingerprint reads, and not in bfloat16
    write_safetensors(model, tmp_path / "source")
    saved(tmp_path / "source" / "heads" / "mood", tmp_path / "source")
    assert convert(tmp_path / "source", tmp_path / "new", precision="bfloat16").heads.left == ("mood",)


def test_a_card_names_the_new_trunk_where_unknown_tensors_were_left_behind(tmp_path: Path) -> None:
    source, new = tmp_path / "source", tmp_path / "new"
    model = tiny_model()
    source.mkdir()
    write_state({**model.state_dict(), "transformer.adapter.scale": torch.ones(3)}, model.config, source)
    saved(source / "heads" / "mood", source)
    assert convert(source, new).heads.kept == ("mood",)
    assert trunk_fingerprint(source) != trunk_fingerprint(new)
    assert fits(new, "mood")
    assert trunk_fingerprint(new) in (new / "heads" / "mood" / "README.md").read_text(encoding="utf-8")


def test_heads_of_another_trunk_stay_where_they_are(source: Path, tmp_path: Path) -> None:
    saved(source / "heads" / "foreign", checkpoint(tmp_path / "other", seed=9), name="foreign")
    done = convert(source, tmp_path / "new")
    assert "foreign" not in done.heads.kept + done.heads.left
    assert not (tmp_path / "new" / "heads" / "foreign").exists()


def test_the_state_of_a_training_stays_where_it_is(source: Path, tmp_path: Path) -> None:
    (source / "heads" / "mood" / "training-log.jsonl").write_text("{}\n")
    convert(source, tmp_path / "new")
    assert not (tmp_path / "new" / "heads" / "mood" / "training-log.jsonl").exists()


def test_a_trunk_is_the_same_under_the_prefix_and_without_it(tmp_path: Path) -> None:
    model = tiny_model()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    write_safetensors(model, tmp_path / "a")
    write_state(model.transformer.state_dict(), model.config, tmp_path / "b")
    assert same_trunk(tmp_path / "a", tmp_path / "b")


def test_zero_and_minus_zero_are_not_the_same_bits(tmp_path: Path) -> None:
    for folder, value in (("a", 0.0), ("b", -0.0)):
        model = tiny_model()
        with torch.no_grad():
            model.transformer.wte.weight[0, 0] = value
        write_safetensors(model, tmp_path / folder)
    assert not same_trunk(tmp_path / "a", tmp_path / "b")
