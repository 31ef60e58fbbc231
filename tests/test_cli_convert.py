"""convert on the command line."""

from pathlib import Path

import pytest

from tests.command_line import asked, refused
from tests.loading.foreign import write_mesh_model
from tests.loading.saved_heads import checkpoint, saved
from tests.loading.tiny import tiny_model
from tests.text.tiny import write_checkpoint
from workbench.cli import main


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint with its tokenizer."""
    return write_checkpoint(tmp_path_factory.mktemp("tiny"))


def test_a_checkpoint_goes_to_flax_and_back_and_writes_the_same(capsys, folder: Path, tmp_path: Path) -> None:
    flax, back = str(tmp_path / "flax"), str(tmp_path / "back")
    there = asked(capsys, "convert", str(folder), flax, "--format", "flax")
    assert there.keys() == {
        *("tensors", "bytes", "dropped", "missing", "heads", "heads_left_out"),
        *("source_format", "format", "precision", "folder", "seconds"),
    }
    assert there["source_format"] == "safetensors" and there["format"] == "flax" and there["folder"] == flax
    assert asked(capsys, "convert", flax, back)["tensors"] == there["tensors"]
    prompt = ("generate", "--prompt", "The unicorn", "--max-new-tokens", "5", "--temperature", "0", "--model")
    texts = [asked(capsys, *prompt, model)["text"] for model in (str(folder), flax, back)]
    assert texts[0] == texts[1] == texts[2]


def test_without_json_one_line_tells_what_was_written(capsys, folder: Path, tmp_path: Path) -> None:
    assert main(["convert", str(folder), str(tmp_path / "new"), "--precision", "bfloat16"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(str(tmp_path / "new")) and "in bfloat16" in shown and "found its place" in shown


def test_the_folder_can_be_given_relative_to_this_one(capsys, folder: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked(capsys, "convert", str(folder), "new/inner")
    assert (tmp_path / "new" / "inner" / "tokenizer.json").is_file()


def test_shards_without_a_configuration_name_the_option(capsys, tmp_path: Path) -> None:
    write_mesh_model(tiny_model(), tmp_path / "source")
    config = (tmp_path / "source" / "config.json").rename(tmp_path / "config.json")
    source, new = str(tmp_path / "source"), str(tmp_path / "new")
    assert "--config" in refused(capsys, "convert", source, new)
    assert asked(capsys, "convert", source, new, "--config", str(config))["source_format"] == "mesh_npz"


def test_a_destination_with_files_is_refused(capsys, folder: Path) -> None:
    assert "nothing is overwritten" in refused(capsys, "convert", str(folder), str(folder))


def test_a_source_that_is_not_there_is_refused(capsys, tmp_path: Path) -> None:
    assert "There is no folder" in refused(capsys, "convert", str(tmp_path / "none"), str(tmp_path / "new"))


def test_a_folder_that_may_not_be_written_is_a_failure_and_not_bad_input(capsys, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert main(["convert", str(folder), str(tmp_path / "file" / "new")]) == 1
    assert "can't be written" in capsys.readouterr().err


def test_heads_that_go_along_and_those_left_out_are_told(capsys, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "source")
    saved(source / "heads" / "mood", source)
    there = asked(capsys, "convert", str(source), str(tmp_path / "flax"), "--format", "flax")
    assert there["heads"] == ["mood"] and there["heads_left_out"] == []
    assert main(["convert", str(source), str(tmp_path / "new"), "--precision", "bfloat16"]) == 0
    assert "Heads left out: mood." in capsys.readouterr().out
