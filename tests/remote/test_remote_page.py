"""A server's model on the page and the command line: its card, its plan, its line, and an unknown probability."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.serving import NAME, served
from tests.remote.far import CONTEXT_TOKENS, tiny_folder
from workbench.cli import main
from workbench.loading.loaded import LoadedModel
from workbench.loading.names import LoadReport
from workbench.loading.spec import ModelSpec
from workbench.text.requests import Generate, Generated, TokenText
from workbench.ui.lens.lens import LensLines
from workbench.ui.models.memory_view import cards_markup

FAR = LoadedModel(ModelSpec("http://host/v1#<m>"), [], 1.0, LoadReport(), served_by="http://host")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tiny_folder(tmp_path_factory.mktemp("tiny"))
    with served(context_tokens=CONTEXT_TOKENS) as api, pytest.MonkeyPatch.context() as patch:
        patch.setenv("WORKBENCH_REMOTE_TOKENIZERS", str(folder))
        yield f"{api.url}/v1#{NAME}"


def test_its_card_says_where_it_is_and_can_be_unloaded() -> None:
    card = cards_markup([FAR])
    assert "http://host, decides" in card and 'class="unload"' in card and "<m>" not in card


def test_a_probability_that_nobody_told_is_unknown_in_the_lens() -> None:
    snapshot = Generated(" a", [TokenText(5, " a", math.nan, (), 0)])
    lines = LensLines("far", Generate("Once")).text(snapshot).splitlines()
    assert json.loads(lines[1])[2] is None


def test_generate_on_the_command_line_streams_from_a_server(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--model", address, "--prompt", "Once", "--max-new-tokens", "5", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["completion_tokens"] == 5


def test_classify_on_the_command_line_scores_labels_on_a_server(
    address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["classify", "--model", address, "--text", "A good day", "--labels", "bad,good", "--json"]) == 0
    assert set(json.loads(capsys.readouterr().out)["scores"]) == {"bad", "good"}


def test_a_benchmark_on_a_server_is_a_run_that_goes_on(
    address: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["evaluate", "--model", address, "--tasks", "piqa", "--data", "piqa=samples", "--out", str(tmp_path)]
    found = []
    for _ in range(2):
        assert main([*asked, "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out)["runs"][0])
    assert found[0]["run"] == found[1]["run"] and found[0]["metrics"] == found[1]["metrics"]
    assert found[0]["model"]["checkpoint"] == address and found[0]["errors"] == 0


def test_a_plan_on_the_command_line_needs_no_memory(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", "--model", address, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["total_bytes"], told["fits"]) == (0, True)


def test_a_server_that_is_down_is_one_sentence_and_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "--model", "http://127.0.0.1:9/v1#m", "--prompt", "Once"]) == 2
    told = capsys.readouterr().err
    assert "can't be reached" in told and "Traceback" not in told
