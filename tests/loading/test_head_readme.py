"""The model card of a head: what people and the Hub read."""

import json
import re
from pathlib import Path

import pytest

from tests.loading.saved_heads import LABELS, card_for, checkpoint, saved
from tests.text.tiny import write_checkpoint
from workbench.loading.head_readme import readme
from workbench.loading.heads import read_card
from workbench.manager import ModelManager

KINDS, METHODS = ("classify", "answer"), ("probe", "lora")
TEXTS = {"text": "The king", "question": "Who slept?", "passage": "The old king slept under a tree."}


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    """A checkpoint."""
    return checkpoint(tmp_path / "trunk")


@pytest.fixture(params=[(kind, method) for kind in KINDS for method in METHODS], ids="-".join)
def head(request: pytest.FixtureRequest, tmp_path: Path, trunk: Path) -> Path:
    """A saved head of each kind, with and without an adapter."""
    return saved(tmp_path / "mood", trunk, *request.param)


def test_the_readme_tells_the_data_the_result_and_how_to_use_it(head: Path) -> None:
    text, card = (head / "README.md").read_text(), read_card(head)
    command = "classify" if card.kind == "classify" else "answer"
    for said in ("moods.csv", "| `accuracy` | 0.75 |", card.trunk, f"python -m workbench {command}", "use_head"):
        assert said in text
    assert ("PeftModel" in text) == (card.method == "lora")
    if card.kind == "classify":
        assert "`` café | `7` ``" in text and "0. `sad`" in text


def test_the_readme_of_a_whole_model_asks_for_no_other_checkpoint() -> None:
    text = readme(card_for("f", method="full"))
    assert "--model FOLDER --head own" in text and "MODEL" not in text and "whole checkpoint" in text


def test_the_readmes_front_matter_is_yaml_that_the_hub_reads(trunk: Path, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    folder = saved(tmp_path / "mood", trunk, method="lora", trunk_name="EleutherAI/gpt-j-6b")
    data = hub.ModelCard.load(folder / "README.md").data
    assert data.base_model == "EleutherAI/gpt-j-6b" and data.pipeline_tag == "text-classification"
    assert data.tags == ["gptj", "text-classification", "lora"] and data.library_name == "peft"


def test_odd_names_break_neither_the_readme_nor_the_folder(trunk: Path, tmp_path: Path) -> None:
    odd = "a\n---\n| `<script>` \u2028 \0"
    data = {odd: Path("moods-\udcff.csv")}
    folder = saved(tmp_path / "mood", trunk, name=odd, labels=(odd, *LABELS), trunk_name="../" + odd, data=data)
    assert read_card(folder).labels[0] == odd and read_card(folder).data == {odd: "moods-?.csv"}
    text = (folder / "README.md").read_text()
    assert text.count("\n---\n") == 1 and "base_model" not in text and "\n| `<script>`" not in text


@pytest.mark.parametrize("kind", KINDS)
def test_its_python_runs_as_it_stands(tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    trunk = write_checkpoint(tmp_path / "trunk")
    folder = saved(tmp_path / "mood", trunk, kind)
    code = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.S)[0]
    names: dict[str, object] = dict(TEXTS)
    exec(code.replace('"MODEL"', json.dumps(str(trunk))).replace('"FOLDER"', json.dumps(str(folder))), names)
    manager = names["manager"]
    assert isinstance(manager, ModelManager)
    manager.close()
    assert ("Span(" if kind == "answer" else "(") in capsys.readouterr().out


def table_rows(**changes: object) -> list[str]:
    """The rows of a made-up card's tables."""
    return [line for line in readme(card_for("f", **changes)).splitlines() if line.startswith("| `")]


def test_the_tables_show_lists_and_answers_in_words_and_leave_out_what_is_empty() -> None:
    settings = {"targets": ("fc_in", "q"), "full": True, "tied": False, "rank": 0, "precision": None, "shots": []}
    rows = table_rows(data={}, metrics={}, settings=settings)
    assert rows == ["| `targets` | `fc_in`, q |", "| `full` | yes |", "| `tied` | no |", "| `rank` | 0 |"]


def test_an_inner_dictionary_has_a_row_for_each_of_its_values() -> None:
    data = {"validation": {"file": "more.csv", "rows": 3}, "dropped": {}}
    rows = table_rows(data=data, metrics={}, settings={})
    assert rows == ["| `validation.file` | more.csv |", "| `validation.rows` | 3 |"]


def test_names_are_code_and_nothing_is_escaped_but_bars_in_cells() -> None:
    text = readme(card_for("f", name="my_head", data={"a_b": "c_d|e"}, metrics={"macro_f1": 0.5}))
    assert "# `my_head`" in text and "| `macro_f1` | 0.5 |" in text and "| `a_b` | `c_d\\|e` |" in text
    assert "\\_" not in text


def test_a_table_with_nothing_in_it_is_left_out() -> None:
    assert "## Data" not in readme(card_for("f", data={"dropped": {}}))
