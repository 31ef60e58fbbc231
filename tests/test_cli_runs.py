"""compare and runs on the command line: what they print, what they write, and what they refuse."""

from pathlib import Path

import pytest

from tests.test_cli_evaluate import PIQA, SAMPLES, asked, refused
from tests.text.tiny import write_checkpoint
from workbench.cli import main
from workbench.evals.runs.run import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny checkpoint."""
    return str(write_checkpoint(tmp_path_factory.mktemp("tiny"), n_positions=2000))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, folder: str) -> Path:
    """The runs of piqa and winogrande, zero-shot, and of piqa once more with two worked examples."""
    out = tmp_path_factory.mktemp("runs")
    data = ("--data", "piqa=samples", "--data", "winogrande=samples")
    assert main(["evaluate", "--model", folder, "--tasks", "piqa,winogrande", *data, "--out", str(out)]) == 0
    assert main([*PIQA, "--model", folder, "--shots", "2", "--out", str(out)]) == 0
    return out


def piqa_runs(runs: Path) -> list[str]:
    """The folders of piqa's two runs: zero-shot, then two shots."""
    found = [Run.open(path) for path in runs.glob("piqa-*")]
    return [str(run.folder) for run in sorted(found, key=lambda run: int(run.record["shots"]["count"]))]


def test_compare_gives_the_difference_its_interval_and_the_flips(
    capsys: pytest.CaptureFixture[str], runs: Path
) -> None:
    answer = asked(capsys, "compare", *piqa_runs(runs))
    assert answer["metric"] == "acc" and answer["n"] == SAMPLES and 0 <= answer["p_value"] <= 1
    assert answer["low"] <= answer["difference"] <= answer["high"]
    assert sum(answer[name] for name in ("a_only", "b_only", "both", "neither")) == SAMPLES
    assert len(answer["flips"]["a_only"]) == answer["a_only"]


def test_compare_by_another_metric_than_right_or_wrong_counts_no_flips(
    capsys: pytest.CaptureFixture[str], runs: Path
) -> None:
    answer = asked(capsys, "compare", *piqa_runs(runs), "--metric", "brier_score")
    assert answer["a_only"] is None and answer["test"] == "bootstrap" and answer["p_value"] is not None


def test_compare_as_a_table_tells_which_way_round_it_is(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    assert main(["compare", *piqa_runs(runs)]) == 0
    assert "A less B" in capsys.readouterr().out


def test_three_runs_are_compared_in_pairs_with_their_agreement(
    capsys: pytest.CaptureFixture[str], runs: Path, folder: str
) -> None:
    (third,) = asked(capsys, *PIQA, "--model", folder, "--shots", "1", "--out", str(runs.parent / "third"))["runs"]
    answer = asked(capsys, "compare", *piqa_runs(runs), third["run"])
    assert len(answer["pairs"]) == 3 and len(answer["agreement"]["share"]) == 3
    assert all("p_holm" in pair for pair in answer["pairs"])


def test_runs_that_cannot_be_compared_are_told(capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path) -> None:
    one, other = piqa_runs(runs)
    (different,) = map(str, runs.glob("winogrande-*"))
    (tmp_path / "run.json").write_text("{")
    for names, said in [
        ([one, different], "different tasks"),
        ([one, one], "named twice"),
        ([one], "at least two"),
        ([one, str(tmp_path / "nowhere")], "There is no run"),
        ([one, str(tmp_path / "nowhere")], "evaluate` makes one"),
        ([one, str(tmp_path)], "is damaged"),
        ([one, other, "--metric", "bleu"], "no metric 'bleu'. There are: acc"),
    ]:
        assert said in refused(capsys, "compare", *names)


def test_runs_stand_beside_published_scores_with_their_protocol(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    assert main(["runs", str(runs), "--task", "winogrande"]) == 0
    shown = capsys.readouterr().out
    assert "0.6530" in shown and "GPT-J-6B" in shown and "mesh-transformer-jax" in shown and "piqa" not in shown
    assert "samples" in shown
    answer = asked(capsys, "runs", str(runs))
    assert len(answer["runs"]) == 3 and any(one["model"] == "GPT-J-6B" for one in answer["published"])


@pytest.mark.parametrize(
    "shown_as, holds", [("csv", '"run","task","model"'), ("latex", r"\toprule"), ("json", '"stderr"')]
)
def test_runs_are_written_for_other_programs(
    capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path, shown_as: str, holds: str
) -> None:
    assert main(["runs", str(runs), "--format", shown_as]) == 0
    assert holds in capsys.readouterr().out
    file = tmp_path / f"results.{ {'latex': 'tex'}.get(shown_as, shown_as) }"
    (written,) = asked(capsys, "runs", str(runs), "--format", shown_as, "--out", str(file))["files"]
    assert holds in Path(written).read_text()


def test_runs_in_lm_evals_format_are_two_files_each(
    capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path
) -> None:
    files = asked(capsys, "runs", str(runs), "--format", "lm-eval", "--out", str(tmp_path))["files"]
    assert len(files) == 6 and all(Path(file).is_file() for file in files)


@pytest.mark.parametrize(
    "options, said",
    [(["--format", "lm-eval"], "Give --out DIR"), (["--format", "csv", "--out", "x.tex"], "ends in .csv")],
)
def test_an_export_that_has_no_place_is_told(
    capsys: pytest.CaptureFixture[str], runs: Path, options: list[str], said: str
) -> None:
    assert said in refused(capsys, "runs", str(runs), *options)


def test_a_file_that_was_written_is_named(capsys: pytest.CaptureFixture[str], runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "results.csv"
    assert main(["runs", str(runs), "--format", "csv", "--out", str(file)]) == 0
    assert capsys.readouterr().out.strip() == str(file)


def test_a_run_of_another_task_than_the_one_meant_is_told(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    assert "is a run of piqa, not of sst2" in refused(capsys, "runs", piqa_runs(runs)[0], "--task", "sst2")


def test_a_folder_without_runs_says_how_to_make_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert "evaluate` makes one" in refused(capsys, "runs", str(tmp_path))
