"""Writes a run so that it is valid at every moment, whenever the process is killed, and goes on where one was.

Each prediction is a line that the kernel has as soon as it is there, so that a kill costs no more than what was under
way; the disk has it about a second later. At the end the lines are written anew in the data's order, then the results:
what comes out depends on the predictions alone, not on how often the way there was cut off.
"""

import hashlib
import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.prediction import Prediction
from workbench.evals.runs.cost import cost_name, merged, read_cost, write_cost
from workbench.evals.runs.files import (
    PREDICTIONS,
    RUN_FILE,
    json_bytes,
    line_of,
    lock,
    make_folder,
    not_saved,
    prediction_files,
    predictions_name,
    read_predictions,
    write_whole,
)
from workbench.evals.runs.process import Process
from workbench.evals.runs.protocol import Protocol, differences
from workbench.evals.runs.run import DONE, RUNNING, Run

SYNC_SECONDS = 1.0
_OURS = re.compile(r"run\.json|(predictions|cost)(\.\d+)?\.jsonl?|\..*\.part")

Names = Mapping[int, tuple[str, str]]
"""Of each row: the example's id, and its content's digest."""


class RunWriter:
    """The one process that writes to a run, or to its own part of one that several share. Close it.

    Args:
        folder: the run's own, made if need be.
        fresh: leave what an earlier process wrote unread.

    Raises:
        BadRequest: the folder can't be written, or holds something else. Busy: another process writes to it.
    """

    def __init__(self, folder: Path, protocol: Protocol, process: Process, fresh: bool = False):
        self.folder, self.protocol, self.process = folder, protocol, process
        self.finished: Run | None = None
        """The run, if it was done before; there is nothing to write then."""
        self.broken = 0
        """Lines of earlier processes that are no predictions of this run; their examples are asked again."""
        self._open_files: list[int] = []
        self._lines, self._size, self._synced = -1, 0, time.monotonic()
        make_folder(folder)
        try:
            self._begin(fresh)
        except OSError as error:
            self.close()
            reason = error.strerror or error
            raise BadRequest(f"{folder} can't be written ({reason}). Choose another folder.") from error
        except BaseException:
            self.close()
            raise

    def kept(self, names: Names) -> dict[int, Prediction]:
        """What earlier processes, and the others, computed for these rows."""
        found: dict[int, Prediction] = {}
        self.broken = 0
        for path in prediction_files(self.folder):
            with suppress(FileNotFoundError):
                lines = read_predictions(path.read_bytes())
                ours = [one for one in lines.predictions if names.get(one.row) == (one.id, one.digest)]
                self.broken += lines.broken + len(lines.predictions) - len(ours)
                for one in ours:
                    found.setdefault(one.row, one)
        return found

    def append(self, prediction: Prediction) -> None:
        """One more line.

        Raises:
            NotSaved: the disk is full, or the folder is gone; what was appended before is whole.
        """
        line = line_of(prediction)
        try:
            written = 0
            while written < len(line):
                written += os.write(self._lines, line[written:])
            self._size += len(line)
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                os.fsync(self._lines)
                self._synced = time.monotonic()
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._lines, self._size)
            raise not_saved(self.folder / predictions_name(self.process.rank), error) from error

    def finish(self, predictions: Iterable[Prediction], results: Mapping[str, Any]) -> Run:
        """Writes all predictions, in the order given, and what they come to; the other processes' files go.

        Raises:
            NotSaved: the disk is full, or the folder can't be written.
        """
        lines = [line_of(one) for one in predictions]
        write_whole(self.folder / PREDICTIONS, lines)
        try:
            self._take_over()
        except OSError as error:
            raise not_saved(self.folder, error) from error
        digest = hashlib.sha256()
        for line in lines:
            digest.update(line)
        record = self.protocol.record | {"status": DONE, "predictions_sha256": digest.hexdigest()} | dict(results)
        write_whole(self.folder / RUN_FILE, [json_bytes(record)])
        return Run.open(self.folder)

    def close(self) -> None:
        """What was appended reaches the disk, and others may write."""
        if self._lines >= 0:
            with suppress(OSError):
                os.fsync(self._lines)
        self._lines = -1
        for descriptor in self._open_files:
            os.close(descriptor)
        self._open_files = []

    def _begin(self, fresh: bool) -> None:
        """Holds what this process writes to, and brings the folder into the state it goes on from."""
        if self.process.is_first:
            self._open_files.append(lock(self.folder))
        earlier = self._earlier(fresh)
        if earlier is not None and earlier.is_done and not fresh:
            self.finished = earlier
            return
        if self.process.is_first and (earlier is None or fresh):
            write_whole(self.folder / RUN_FILE, [json_bytes(self.protocol.record | {"status": RUNNING})])
        if fresh:
            self._empty()
        own = self.folder / predictions_name(self.process.rank)
        self._lines = os.open(own, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        self._open_files.append(self._lines)
        if not self.process.is_first:
            self._open_files.append(lock(own))
        content = own.read_bytes()
        self._size = read_predictions(content).whole_bytes
        if self._size < len(content):
            os.ftruncate(self._lines, self._size)

    def _earlier(self, fresh: bool) -> Run | None:
        """The run that the folder holds; none where it is damaged and will be computed anew anyway.

        Raises:
            BadRequest: it holds something else.
        """
        names = {path.name for path in self.folder.iterdir()}
        if RUN_FILE in names:
            try:
                earlier = Run.open(self.folder)
            except BadRequest:
                if fresh:
                    return None
                raise
            others = differences(self.protocol.deciding, earlier.protocol.deciding)
            if others:
                raise BadRequest(f"{self.folder} holds another run: {', '.join(others)} differ. Choose another folder.")
            return earlier
        foreign = sorted(name for name in names if not _OURS.fullmatch(name))
        if foreign:
            raise BadRequest(
                f"{self.folder} holds other files ({', '.join(foreign)[:200]}) and no run. Choose another folder."
            )
        return None

    def _empty(self) -> None:
        """Takes what earlier processes computed away."""
        for path in list(self.folder.iterdir()):
            if path.name != RUN_FILE and _OURS.fullmatch(path.name):
                path.unlink()

    def _take_over(self) -> None:
        """The other processes' costs come into this one's file, and their files go: all predictions are in ours."""
        ranks = [int(path.name.split(".")[1]) for path in prediction_files(self.folder)[1:]]
        if ranks:
            costs = [read_cost(self.folder, cost_name(rank)) for rank in (0, *ranks)]
            write_cost(self.folder, merged(costs))
        for rank in ranks:
            (self.folder / cost_name(rank)).unlink(missing_ok=True)
            (self.folder / predictions_name(rank)).unlink(missing_ok=True)
