"""What is taken away: nothing a spreadsheet would run in the CSV, every text as it is in the JSON lines."""

import csv
import json
import math
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.evals.data.tables import LOCAL, read_table
from workbench.evals.exports import predictions as exports
from workbench.evals.exports.predictions import frame, prepare_folder, safe_cell, write_predictions
from workbench.evals.methods.labels import ClassPrediction

in_a_folder = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
FORMULAS = ("=1+1", "+cmd|'/C calc'!A0", "-2+3", "@SUM(A1)", "|x", "%0A", "\uff1d1+1", "\uff0b1", "\uff0dx", "\uff20x")
HIDDEN = ("", " ", "\t", "\r\n", "\ufeff", "\u200b", "\x00", "\u202e ", "\u3000")
ONE = ClassPrediction("007", "NA", "spam", {"spam": 0.75, "ham": 0.25}, {"spam": -1.5, "ham": -2.5}, "ham")


def runs(cell: str) -> bool:
    """An independent checker: would a spreadsheet take this for a formula?"""
    bare = cell.strip().lstrip("\ufeff\u200b\u202e\u3000 \t\r\n\x00").strip()
    try:
        return not math.isfinite(float(bare))
    except ValueError:
        return bare[:1] in {*"=+-@|%", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\uff5c", "\uff05"}


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_gets_an_apostrophe(formula: str, hidden: str) -> None:
    assert safe_cell(hidden + formula) == "'" + hidden + formula


@pytest.mark.parametrize("number", ["-5", "+1.5", "-.5e-3", " -7 ", "-0", "+1."])
def test_a_number_stays_as_it_is(number: str) -> None:
    assert safe_cell(number) == number


@pytest.mark.parametrize("text", ["-inf", "+nan", "-1e999", "-1_000", "-5%", "+\u0661"])
def test_what_is_no_finite_number_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == "'" + text


@pytest.mark.parametrize("text", ["", "a=1", "'x", "NA", "007", "\U0001f984", "1-2", " "])
def test_a_harmless_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


texts = st.lists(st.sampled_from([*FORMULAS, *HIDDEN, "a", "-1", '"', ",", "\n", "\U0001f984", "\ud800"]), max_size=4)


@in_a_folder
@given(pieces=st.lists(texts.map("".join), min_size=3, max_size=3))
def test_no_cell_of_the_csv_runs_and_the_json_lines_are_verbatim(tmp_path: Path, pieces: list[str]) -> None:
    text, label, gold = pieces
    prediction = replace(ONE, text=text, label=label, gold=gold, scores={label: 1.0})
    table, lines = write_predictions([prediction], tmp_path)
    with table.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(stream, strict=True))
    assert len(rows) == 2
    assert not any(runs(cell) for row in rows for cell in row)
    assert rows[1][1].removeprefix("'") == text.removeprefix("'").replace("\ud800", "\\ud800")
    (read,) = [json.loads(line) for line in lines.read_text(encoding="utf-8").split("\n")[:-1]]
    assert read == asdict(prediction)


def test_the_csv_is_quoted_throughout_and_reads_back(tmp_path: Path) -> None:
    path, _ = write_predictions([ONE, replace(ONE, text="", error="empty", scores={})], tmp_path / "new")
    assert path.read_text(encoding="utf-8").startswith('"id","text","label","scores.spam"')
    table = read_table(path, LOCAL)
    assert table.column("id") == ["007", "007"]
    assert table.column("text") == ["NA", ""]
    assert table.column("scores.spam") == ["0.75", ""]
    assert table.column("error") == ["", "empty"]


def test_columns_that_are_empty_throughout_are_left_out() -> None:
    assert list(frame([ONE]).columns) == [
        *(
            "id",
            "text",
            "label",
            "scores.spam",
            "scores.ham",
            "loglikelihoods.spam",
            "loglikelihoods.ham",
            "gold",
            "unseen_tokens",
        )
    ]


def test_numbers_stay_numbers_in_the_frame() -> None:
    assert frame([ONE])["scores.spam"].tolist() == [0.75]


@dataclass(frozen=True)
class Nested:
    """A prediction with what a cell can't hold."""

    id: str
    n_best: tuple[ClassPrediction, ...]
    score: float


def test_nested_values_become_json_and_numbers_json_lacks_null(tmp_path: Path) -> None:
    one = Nested("1", (ONE,), math.nan)
    assert json.loads(frame([one])["n_best"][0])[0]["text"] == "NA"
    _, lines = write_predictions([one], tmp_path)
    assert json.loads(lines.read_text(encoding="utf-8"))["score"] is None


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_predictions([ONE], tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for broken in ("write_csv", "asdict"):
        with monkeypatch.context() as patch:
            patch.setattr(exports, broken, lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                write_predictions([replace(ONE, id="2", loglikelihoods={})] * 3, tmp_path)
        if broken == "write_csv":
            assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(before)
    assert (tmp_path / exports.JSONL_NAME).read_bytes() == before[exports.JSONL_NAME]


def test_a_folder_that_can_not_be_made_is_a_bad_request(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for folder in (tmp_path / "file", tmp_path / "file" / "deeper", Path("/proc/nowhere"), Path("a\0b")):
        with pytest.raises(BadRequest, match="can't be written to"):
            prepare_folder(folder)


def test_preparing_a_folder_leaves_it_empty(tmp_path: Path) -> None:
    prepare_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_a_whole_number_above_an_empty_cell_stays_whole(tmp_path: Path) -> None:
    exports.write_csv(pd.DataFrame([{"limit": 10}, {"limit": None}], dtype=object), tmp_path / "runs.csv")
    assert (tmp_path / "runs.csv").read_text().split() == ['"limit"', '"10"', '""']
