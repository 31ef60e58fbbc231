"""evaluate in processes of its own: stopped by a key, and shared by two."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tasks import winogrande
from tests.text.tiny import write_checkpoint
from workbench.cli import main
from workbench.evals.runs.run import Run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny checkpoint."""
    return str(write_checkpoint(tmp_path_factory.mktemp("tiny"), n_positions=2000))


def _rows(count: int) -> list[dict[str, Any]]:
    """So many rows of winogrande."""
    samples = winogrande.TASK.samples
    return [{**samples[number % len(samples)], "number": number} for number in range(count)]


def heed_the_key() -> None:
    """For a child: who starts the tests in the background makes them deaf to Ctrl-C, and all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_a_key_that_stops_it_keeps_what_is_done_and_says_how_to_go_on(folder: str, tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in _rows(3000)))
    command = [sys.executable, "-m", "workbench", "evaluate", "--tasks", "winogrande", "--model", folder]
    command += ["--data", f"winogrande={file}", "--out", str(tmp_path / "out")]
    running = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}, preexec_fn=heed_the_key
    )
    deadline = time.monotonic() + 60
    while not any(path.stat().st_size for path in (tmp_path / "out").glob("*/predictions.jsonl")):
        assert running.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    (run,) = (Run.open(path) for path in (tmp_path / "out").iterdir())
    assert running.returncode == 1 and "the same command goes on" in said and "Traceback" not in said
    assert run.state == "stopped" and 0 < run.n < 3000


def test_two_processes_merge_to_the_bytes_of_one(folder: str, tmp_path: Path) -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    evaluation = ["-m", "workbench", "evaluate", "--tasks", "piqa,wikitext", "--model", folder, "--json"]
    evaluation += ["--data", "piqa=samples", "--data", "wikitext=samples"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node", "2"]
    both = subprocess.run(
        [*launch, *evaluation, "--out", str(tmp_path / "both")],
        capture_output=True, text=True, env=environment, timeout=120,
    )  # fmt: skip
    assert both.returncode == 0, both.stderr
    assert len(json.loads(both.stdout)["runs"]) == 2
    assert main([*evaluation[2:], "--out", str(tmp_path / "one")]) == 0
    for alone in (tmp_path / "one").iterdir():
        shared = tmp_path / "both" / alone.name
        assert {path.name for path in shared.iterdir()} == {"run.json", "predictions.jsonl", "cost.json"}
        for name in ("run.json", "predictions.jsonl"):
            assert (shared / name).read_bytes() == (alone / name).read_bytes()
