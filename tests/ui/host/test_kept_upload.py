"""An uploaded file of a benchmark stays beside the runs, under its bytes' digest, and a run finds it again."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.fake_runs import asked, bench, finished
from workbench.errors import BadRequest
from workbench.evaluating import asked_again
from workbench.settings import Settings
from workbench.ui.host.kept_upload import kept_upload


@pytest.fixture
def upload(tmp_path: Path) -> Path:
    """Rows of piqa as a browser left them."""
    path = tmp_path / "cache" / "mine.jsonl"
    path.parent.mkdir()
    path.write_text("".join(json.dumps(row) + "\n" for row in asked().task.samples), encoding="utf-8")
    return path


def test_it_is_copied_to_a_folder_named_by_its_bytes(upload: Path, tmp_path: Path) -> None:
    digest = hashlib.sha256(upload.read_bytes()).hexdigest()
    kept = kept_upload(str(upload), Settings(runs_folder=tmp_path / "runs"))
    assert kept == tmp_path / "runs" / "data" / digest / "mine.jsonl" and kept.read_bytes() == upload.read_bytes()


def test_the_same_bytes_are_kept_once(upload: Path, tmp_path: Path) -> None:
    other = upload.with_name("other.jsonl")
    other.write_bytes(upload.read_bytes())
    settings = Settings(runs_folder=tmp_path / "runs")
    assert kept_upload(str(upload), settings) == kept_upload(str(other), settings)


def test_a_run_of_it_can_be_asked_again(upload: Path, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    kept = kept_upload(str(upload), Settings(runs_folder=runs))
    run = finished(runs, replace(asked(), data=kept))
    assert asked_again(run, runs).data == kept and [one.name for one in bench(runs).runs.runs()] == [run.name]
    kept.unlink()
    with pytest.raises(BadRequest, match=r"mine.jsonl.*not kept here"):
        asked_again(run, runs)


def test_a_public_page_keeps_nobodys_file(upload: Path, tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="your own machine"):
        kept_upload(str(upload), Settings(runs_folder=tmp_path, host="0.0.0.0"))


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="Upload it again"):
        kept_upload(str(tmp_path / "nothing"), Settings(runs_folder=tmp_path))
