"""Rows that come with the project are read beside their task."""

from pathlib import Path

import pytest

from workbench.errors import BadRequest
from workbench.evals.data.shipped import shipped_rows


def test_rows_are_those_of_the_file_named_as_the_task(tmp_path: Path) -> None:
    (tmp_path / "rows").mkdir()
    (tmp_path / "rows" / "riddles.jsonl").write_text('{"text": "a", "answers": ["é"]}\n{"text": "b"}\n', "utf-8")
    assert shipped_rows(str(tmp_path / "riddles.py")) == ({"text": "a", "answers": ["é"]}, {"text": "b"})


def test_missing_rows_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"riddles\.jsonl"):
        shipped_rows(str(tmp_path / "riddles.py"))
