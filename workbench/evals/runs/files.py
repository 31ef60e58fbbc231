"""The files of a run's folder: how a prediction becomes a line, how a file is replaced whole, and who may write."""

import fcntl
import json
import math
import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from workbench.errors import BadRequest, Busy, NotSaved
from workbench.evals.prediction import Prediction
from workbench.json_values import json_value

RUN_FILE, PREDICTIONS, COST_FILE = "run.json", "predictions.jsonl", "cost.json"
PART = ".part"
"""How the name ends of a file that is being written and will take another's place."""
_FIELDS = {field.name for field in fields(Prediction)}
_KINDS: dict[str, Any] = {
    "prompt": str,
    "prefix": (str, type(None)),
    "scores": dict,
    "detail": dict,
    "unseen_tokens": int,
    "error": (str, type(None)),
    "id": str,
    "row": int,
    "digest": str,
}
_LOCK_TRIES, _LOCK_PAUSE_SECONDS = 10, 0.05
"""Who looks whether a folder is written to holds the lock for a moment."""


@dataclass(frozen=True)
class Lines:
    """What a file of predictions holds."""

    predictions: list[Prediction]
    broken: int = 0
    """Whole lines that are no predictions."""
    whole_bytes: int = 0
    """Up to the end of the last whole line; what follows was cut off."""


def predictions_name(rank: int = 0) -> str:
    """The file that a process appends to."""
    return PREDICTIONS if rank == 0 else f"predictions.{rank}.jsonl"


def line_of(prediction: Prediction) -> bytes:
    """A prediction as a line of JSON. A number that JSON does not have stands as its name among the scores.

    Worked examples stand in it only where they are not the run's own.
    """
    record = json_value(vars(prediction))
    if prediction.prefix is None:
        del record["prefix"]
    record["scores"] = {name: _score(value) for name, value in prediction.scores.items()}
    # What UTF-8 can't hold, half of a surrogate pair, becomes the escape that JSON has for it.
    return (json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n").encode("utf-8", "backslashreplace")


def read_line(line: bytes) -> Prediction:
    """A line's prediction.

    Raises:
        ValueError: it is none.
    """
    record = json.loads(line)
    if not isinstance(record, dict) or {"prefix": None, **record}.keys() != _FIELDS:
        raise ValueError("other fields")
    if not all(isinstance(record.get(name), kind) for name, kind in _KINDS.items()):
        raise ValueError("a field is something else")
    record["scores"] = {name: float(value) for name, value in record["scores"].items()}
    return Prediction(**record)


def read_predictions(content: bytes) -> Lines:
    """The predictions of a file, as far as its lines are whole."""
    whole = content.rfind(b"\n") + 1
    found: list[Prediction] = []
    broken = 0
    for line in content[:whole].split(b"\n")[:-1]:
        try:
            found.append(read_line(line))
        except (ValueError, TypeError, RecursionError):
            broken += 1
    return Lines(found, broken, whole)


def prediction_files(folder: Path) -> list[Path]:
    """Those of every process that ever had a part in the run; the first process's own first."""
    names = [path for path in folder.glob("predictions.*.jsonl") if path.name.split(".")[1].isdigit()]
    return [folder / PREDICTIONS, *sorted(names, key=lambda path: int(path.name.split(".")[1]))]


def predictions_in(folder: Path) -> list[Prediction]:
    """All that stand in a folder; an example may be among them twice."""
    found: list[Prediction] = []
    for path in prediction_files(folder):
        with suppress(FileNotFoundError):
            found.extend(read_predictions(path.read_bytes()).predictions)
    return found


def write_whole(path: Path, pieces: Iterable[bytes]) -> None:
    """Writes a file beside the one there is, then puts it in its place: no reader and no kill sees half of it.

    Raises:
        NotSaved: the disk is full, or the folder can't be written; the earlier file stays as it was.
    """
    fresh = path.with_name(f".{path.name}{PART}")
    try:
        with fresh.open("wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the new name with no content
        os.replace(fresh, path)
        sync_folder(path.parent)
    except OSError as error:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise not_saved(path, error) from error


def json_bytes(record: Any) -> bytes:
    """A record as a file of JSON."""
    text = json.dumps(json_value(record), ensure_ascii=False, indent=2, allow_nan=False) + "\n"
    return text.encode("utf-8", "backslashreplace")


def sync_folder(folder: Path) -> None:
    """Names that were given or taken in a folder reach the disk."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def not_saved(path: Path, error: OSError) -> NotSaved:
    """The error for a file of a run that could not be written."""
    return NotSaved(
        f"{path} can't be written ({error.strerror or error}). What was computed before is kept in {path.parent}. "
        "Make room, or make the folder writable, and run the same command again: it goes on from there."
    )


def lock(path: Path) -> int:
    """An open descriptor of a file or folder that no other process writes to; closing it ends the lock.

    Raises:
        Busy: another process does. OSError: it can't be opened.
    """
    descriptor = os.open(path, os.O_RDONLY)
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_SECONDS)
        except OSError:
            return descriptor  # a file system without locks: two writers are up to the person
    os.close(descriptor)
    raise Busy(f"Another process is writing to {path}. Wait for its end, or stop it.")


def is_written_to(path: Path) -> bool:
    """Whether a process holds the lock of a file or folder."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def make_folder(folder: Path) -> None:
    """A run's folder.

    Raises:
        BadRequest: it can't be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BadRequest(f"{folder} can't be made ({reason}). Choose another folder for the runs.") from error


def _score(value: float) -> float | str:
    return value if math.isfinite(value) else str(float(value))
