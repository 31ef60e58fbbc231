"""precision on the command line: what it prints, and what it refuses."""

import json
from pathlib import Path

import pytest

from tests.test_cli_evaluate import asked, refused
from tests.text.tiny import STORY, write_checkpoint
from workbench.cli import main

PAIR = ("--precisions", "bfloat16,float32")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny checkpoint."""
    return str(write_checkpoint(tmp_path_factory.mktemp("tiny"), n_positions=2000))


def test_a_prompt_gives_every_figure_of_each_precision(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    answer = asked(capsys, "precision", "--model", folder, *PAIR, "--prompt", STORY, "--new-tokens", "5")
    assert answer["reference"] == "float32" and answer["model"] == folder
    reference, other = answer["precisions"]
    assert reference["kl"] is None and other["name"] == "bfloat16" and len(other["partings"]) == 1
    assert 0 < other["kl"]["low"] < other["kl"]["value"] < other["kl"]["high"] and other["kl"]["n"] > 50
    assert other["weights_bytes"] < reference["weights_bytes"] and other["written_per_second"] > 0
    assert set(answer["written"][0]["texts"]) == {"float32", "bfloat16"}


def test_a_tasks_rows_give_flips_and_its_metric(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    rows = ("--task", "piqa", "--data", "samples", "--limit", "4", "--new-tokens", "0")
    answer = asked(capsys, "precision", "--model", folder, *PAIR, *rows)
    other = answer["precisions"][1]
    assert answer["rows"] == 4 and other["flipped"]["n"] == 4 and other["partings"] == []
    assert other["metric"]["name"] == "acc" and other["metric"]["n"] == 4


def test_a_file_is_read(capsys: pytest.CaptureFixture[str], folder: str, tmp_path: Path) -> None:
    file = tmp_path / "text.txt"
    file.write_text(STORY * 3)
    answer = asked(capsys, "precision", "--model", folder, *PAIR, "--text", str(file), "--new-tokens", "2")
    assert answer["precisions"][1]["kl"]["n"] > 100


def test_a_table_has_a_row_for_each_precision(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    assert main(["precision", "--model", folder, *PAIR, "--prompt", STORY, "--new-tokens", "2"]) == 0
    shown = capsys.readouterr()
    assert "Measured against float32" in shown.out and "bfloat16" in shown.out
    assert "One precision is in memory at a time" in shown.err


@pytest.mark.parametrize("options, words", [
    (("--prompt", "x", "--precisions", "float32"), "from 2 to 6"),
    (("--prompt", "x", "--precisions", "float32,int7"), "precision must be one of"),
    (("--prompt", " ", *PAIR), "prompt is empty"),
    (("--task", "nothing", *PAIR), "no task 'nothing'"),
    (("--prompt", "x", "--limit", "3", *PAIR), "belong to --task"),
    (("--prompt", "x", "--new-tokens", "-1", *PAIR), "--new-tokens must be"),
    (("--text", "/nowhere/text.txt", *PAIR), "text.txt"),
    (("--prompt", "x", "--precision", "int8", *PAIR), "--precisions a,b"),
])  # fmt: skip
def test_what_can_not_be_is_told(
    capsys: pytest.CaptureFixture[str], folder: str, options: tuple[str, ...], words: str
) -> None:
    assert words in refused(capsys, "precision", "--model", folder, *options)


def test_json_is_one_document(capsys: pytest.CaptureFixture[str], folder: str) -> None:
    assert main(["precision", "--model", folder, *PAIR, "--prompt", "The", "--new-tokens", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["texts"] == 1
