"""How the processes of a run wait for each other: by the files of its folder and the locks on them, nothing else."""

import time
from collections.abc import Callable
from pathlib import Path

from workbench.errors import Cancelled
from workbench.evals.runs.files import RUN_FILE, is_written_to, prediction_files, predictions_name
from workbench.evals.runs.process import Process
from workbench.evals.runs.run import Run

PATIENCE_SECONDS = 600.0
"""For a process that holds no lock: it may still be loading its model; after that it is given up."""
POLL_SECONDS = 0.2


def wait_for_others(
    folder: Path, process: Process, is_complete: Callable[[], bool], patience_seconds: float = PATIENCE_SECONDS
) -> None:
    """Until the other processes have computed their shares; as long as one holds its lock it may take its time.

    Raises:
        Cancelled: one is gone without having done its share.
    """
    deadline, seen = time.monotonic() + patience_seconds, None
    while True:
        busy = [rank for rank in range(1, process.count) if is_written_to(folder / predictions_name(rank))]
        sizes = tuple(path.stat().st_size for path in prediction_files(folder) if path.exists())
        if not busy and sizes != seen and is_complete():
            return
        if not busy:
            seen = sizes
        if busy:
            deadline = time.monotonic() + patience_seconds
        elif time.monotonic() > deadline:
            raise _gone(folder, "Another process of this run is gone, or sees another folder")
        time.sleep(POLL_SECONDS)


def wait_for_first(folder: Path, patience_seconds: float = PATIENCE_SECONDS) -> Run:
    """The run, once the first process has put it together.

    Raises:
        Cancelled: that process is gone.
    """
    deadline = time.monotonic() + patience_seconds
    while True:
        if (folder / RUN_FILE).exists():
            run = Run.open(folder)
            if run.is_done:
                return run
        if is_written_to(folder):
            deadline = time.monotonic() + patience_seconds
        elif time.monotonic() > deadline:
            raise _gone(folder, "The first process of this run is gone, or sees another folder")
        time.sleep(POLL_SECONDS)


def _gone(folder: Path, what: str) -> Cancelled:
    return Cancelled(
        f"{what}. What was computed is kept in {folder}. Start all processes again with the same command: they go on."
    )
