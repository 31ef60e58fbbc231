"""Uploaded files are read with the visitor's limits, and never stay."""

from pathlib import Path

import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadRequest
from workbench.evals.data.tables import LOCAL, PUBLIC, Limits, Table
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.host.upload import likely_columns, read_upload, read_uploaded_table


def bench_at(host: str) -> Bench:
    """A bench that serves at an address."""
    return Bench(Settings(host=host), FakeManager())  # type: ignore[arg-type]


def table_of(*columns: str) -> Table:
    """A table without rows."""
    return Table(list(columns), [], [])


def test_a_table_is_read_and_its_file_deleted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n007,NA\n", encoding="utf-8")
    assert read_uploaded_table(bench_at("127.0.0.1"), str(path)).rows == [{"text": "007", "label": "NA"}]
    assert not path.exists()


def test_a_refused_file_is_deleted_too(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\x1f\x8b not a table")
    with pytest.raises(BadRequest, match="gzip"):
        read_uploaded_table(bench_at("127.0.0.1"), str(path))
    assert not path.exists()


@pytest.mark.parametrize("host, limits", [("127.0.0.1", LOCAL), ("0.0.0.0", PUBLIC)])
def test_the_limits_are_those_of_the_address(tmp_path: Path, host: str, limits: Limits) -> None:
    path = tmp_path / "a.csv"
    path.touch()
    assert read_upload(bench_at(host), str(path), lambda _, given: given) is limits


@pytest.mark.parametrize("path", [None, "/nowhere/a.csv"])
def test_a_file_that_is_gone_is_told(path: str | None) -> None:
    with pytest.raises(BadRequest, match="Upload it again"):
        read_uploaded_table(bench_at("127.0.0.1"), path)


@pytest.mark.parametrize("columns, text, label", [
    (("id", "Sentence", "LABEL"), "Sentence", "LABEL"),
    (("label", "sms"), "sms", "label"),
    (("question", "text"), "text", None),
    (("first", "second"), "first", None),
    (("label",), "label", None),
])  # fmt: skip
def test_columns_are_guessed_by_their_names(columns: tuple[str, ...], text: str, label: str | None) -> None:
    assert likely_columns(table_of(*columns)) == (text, label)
