"""A run of a benchmark as it lies in its folder: how it was done, each prediction, what they come to, what it cost.

`run.json` is the protocol and the results; `predictions.jsonl` a line for each example, in the data's order once the
run is done and in the order of computing until then; `cost.json` what is not the same every time.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from workbench.errors import BadRequest
from workbench.evals.metrics.metric import Estimate
from workbench.evals.prediction import Prediction
from workbench.evals.runs.cost import Cost, read_cost
from workbench.evals.runs.files import PREDICTIONS, RUN_FILE, is_written_to, predictions_in, read_predictions
from workbench.evals.runs.protocol import FORMAT, PARTS, Protocol

RUNNING, DONE = "running", "done"
State = Literal["running", "stopped", "done"]
_DAMAGED = "Delete the folder and run the same again; a command does both with --fresh."


@dataclass(frozen=True)
class Run:
    """A run's folder, read only."""

    folder: Path
    record: Mapping[str, Any] = field(repr=False)
    """run.json as it is."""

    @classmethod
    def open(cls, folder: Path) -> "Run":
        """The run in a folder; its predictions are read when they are first asked for.

        Raises:
            BadRequest: there is none, it is damaged, or a newer workbench wrote it.
        """
        try:
            content = (folder / RUN_FILE).read_bytes()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise BadRequest(f"{folder} is not the folder of a run: {RUN_FILE} can't be read ({reason}).") from error
        try:
            record = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"{folder / RUN_FILE} is damaged: it is no JSON ({error}). {_DAMAGED}") from error
        _check(record, folder / RUN_FILE)
        return cls(folder, record)

    @property
    def name(self) -> str:
        """The folder's own name, by which it is found again."""
        return self.folder.name

    @property
    def task(self) -> str:
        """The task's name."""
        name: str = self.record["task"]["name"]
        return name

    @property
    def model(self) -> str:
        """The model's name, with its precision and head."""
        about = self.record["model"]
        head = about.get("head")
        return f"{about['checkpoint']} {about['precision']}" + (f" + {head['name']}" if head else "")

    @property
    def protocol(self) -> Protocol:
        """How it was done."""
        return Protocol(**{part: self.record[part] for part in PARTS})

    @property
    def is_done(self) -> bool:
        """Whether all examples are there, and the results."""
        return bool(self.record["status"] == DONE)

    @property
    def state(self) -> State:
        """ "running" while a process writes to it, "stopped" when none does and it is not done."""
        if self.is_done:
            return "done"
        return "running" if is_written_to(self.folder) else "stopped"

    @property
    def rows(self) -> int:
        """Examples that it has once it is done."""
        count: int = self.record["data"]["rows"]
        return count

    @property
    def n(self) -> int:
        """Examples that it has now."""
        return int(self.record["n"]) if self.is_done else len(self.predictions)

    @property
    def errors(self) -> int:
        """Examples that came to nothing; 0 until it is done."""
        return int(self.record.get("errors", 0))

    @property
    def truncated(self) -> int:
        """Examples for a part of whose prompt the model's context had no room; 0 until it is done."""
        return int(self.record.get("truncated", 0))

    @property
    def metrics(self) -> dict[str, Estimate]:
        """By name, the one to look at first in front; empty until it is done, and without those nothing counts for."""
        return {
            name: Estimate(about["value"], about["stderr"], about["n"])
            for name, about in self.record.get("metrics", {}).items()
            if about["value"] is not None
        }

    @property
    def cost(self) -> Cost:
        """What it took."""
        return read_cost(self.folder)

    @cached_property
    def predictions(self) -> tuple[Prediction, ...]:
        """One for each example: all, in the data's order, once it is done; those there are until then.

        Raises:
            BadRequest: the run is done, and its predictions are not the ones that it was done with.
        """
        if not self.is_done:
            found = {one.row: one for one in reversed(predictions_in(self.folder))}
            return tuple(found[row] for row in sorted(found))
        path = self.folder / PREDICTIONS
        try:
            content = path.read_bytes()
        except OSError as error:
            raise BadRequest(f"{path} can't be read ({error.strerror or error}). {_DAMAGED}") from error
        if hashlib.sha256(content).hexdigest() != self.record["predictions_sha256"]:
            raise BadRequest(f"{path} was changed or cut off after the run: its SHA-256 is another one. {_DAMAGED}")
        return tuple(read_predictions(content).predictions)


def _check(record: Any, path: Path) -> None:
    """Refuses a record that this code would misread."""
    if isinstance(record, dict) and isinstance(record.get("format"), int) and record["format"] > FORMAT:
        raise BadRequest(
            f"{path} has format {record['format']}, and this workbench reads up to {FORMAT}. Update the workbench."
        )
    wanted: dict[str, Any] = {**dict.fromkeys(PARTS, dict), "format": int, "limit": (int, type(None)), "status": str}
    if isinstance(record, dict) and record.get("status") == DONE:
        wanted |= {"n": int, "errors": int, "truncated": int, "predictions_sha256": str, "metrics": dict}
    _check_kinds(record, wanted, path)
    inner: dict[str, dict[str, Any]] = {
        "task": {"name": str},
        "data": {"rows": int},
        "shots": {"count": int},
        "model": {"checkpoint": str, "precision": str, "head": (dict, type(None))},
    }
    for part, fields in inner.items():
        _check_kinds(record[part], fields, path, f"{part}.")
    number = (int, float, type(None))
    for name, about in record.get("metrics", {}).items():
        _check_kinds(about, {"value": number, "stderr": number, "n": int}, path, f"metrics.{name}.")


def _check_kinds(record: Any, wanted: Mapping[str, Any], path: Path, within: str = "") -> None:
    """Refuses a record whose fields are missing or of other kinds."""
    for name, kind in wanted.items():
        if not isinstance(record, dict) or not isinstance(record.get(name, ...), kind):
            raise BadRequest(f"{path} is damaged: {within}{name} is missing or is something else. {_DAMAGED}")
