"""What a visitor may do with runs: find, finish, ask again on another model, delete; and take them home as files."""

from pathlib import Path

import pytest

from tests.ui.fake_runs import asked, bench, finished, stopped
from workbench.errors import BadRequest
from workbench.evaluating import SAMPLES
from workbench.ui.runs.run_actions import delete_runs, found_runs, same_on_another, what_finishes
from workbench.ui.runs.run_details import protocol_markup, run_downloads


@pytest.mark.parametrize("name", ["", "..", "../outside", "/etc", "piqa"])
def test_only_a_runs_very_name_finds_it(tmp_path: Path, name: str) -> None:
    finished(tmp_path / "runs", asked())
    finished(tmp_path / "outside", asked())
    with pytest.raises(BadRequest, match="no run"):
        found_runs(bench(tmp_path / "runs"), [name])


def test_a_damaged_run_is_told_as_damaged(tmp_path: Path) -> None:
    run = finished(tmp_path, asked())
    (run.folder / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(BadRequest, match="damaged"):
        found_runs(bench(tmp_path), [run.name])


def test_an_unfinished_run_is_finished_by_what_began_it(tmp_path: Path) -> None:
    evaluation = asked("copa", "int8", shots=1, limit=4)
    run = stopped(tmp_path, evaluation)
    again = what_finishes(bench(tmp_path), run.name)
    assert (again.task.name, again.spec.precision, again.options, again.data) == (
        "copa", "int8", evaluation.options, SAMPLES,
    )  # fmt: skip
    assert finished(tmp_path, again).name == run.name


def test_the_same_on_another_precision_changes_nothing_else(tmp_path: Path) -> None:
    runs = [finished(tmp_path, asked(shots=2)), finished(tmp_path, asked(precision="int8", shots=2))]
    (again,) = same_on_another(bench(tmp_path), runs, "demo", "nf4")
    assert again.spec.precision == "nf4" and again.options.shots == 2 and again.task.name == "piqa"
    with pytest.raises(BadRequest, match="No run is open"):
        same_on_another(bench(tmp_path), [], "demo", "")


def test_deleting_takes_the_folder_and_no_other(tmp_path: Path) -> None:
    gone, kept = finished(tmp_path, asked()), finished(tmp_path, asked("copa"))
    delete_runs(bench(tmp_path), [gone.name])
    assert not gone.folder.exists() and kept.folder.exists()


def test_a_public_page_deletes_nothing(tmp_path: Path) -> None:
    run = finished(tmp_path, asked())
    with pytest.raises(BadRequest, match="on its machine only"):
        delete_runs(bench(tmp_path, host="0.0.0.0"), [run.name])
    assert run.folder.exists()


def test_a_run_goes_home_in_every_format(tmp_path: Path) -> None:
    runs = [finished(tmp_path, asked()), stopped(tmp_path, asked("copa"))]
    files = [Path(path) for path in run_downloads(runs, str(tmp_path / "cache"))]
    endings = {"".join(path.suffixes[-1:]) for path in files}
    assert {".csv", ".tex", ".md", ".json", ".jsonl", ".parquet"} <= endings and all(path.is_file() for path in files)
    assert sum(path.name.startswith("results_") for path in files) == 1


def test_without_a_run_there_is_nothing_to_take(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="No run is open"):
        run_downloads([], str(tmp_path))


def test_protocols_beside_each_other_mark_where_they_differ(tmp_path: Path) -> None:
    runs = [finished(tmp_path, asked(precision=precision)) for precision in ("float32", "int8")]
    shown = protocol_markup(runs)
    assert '<tr class="other"><th scope="row">model.precision' in shown
    assert '<tr class="other"><th scope="row">task.name' not in shown
    assert protocol_markup([]) == ""
