"""What a training run keeps on disk: the state that it goes on from after a kill, and its log."""

import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from workbench.errors import BadCheckpoint, NotSaved

STATE_FILE = "training-state.pt"
BEST_FILE = "training-best.pt"
"""The weights that did best in validation so far."""
LOG_FILE = "training-log.jsonl"
DAMAGED = (
    *(OSError, EOFError, RuntimeError, ValueError, LookupError, TypeError, AttributeError),
    pickle.UnpicklingError,
)
"""What reading a state that is empty, cut off or something else entirely is known to raise."""


def read_state(folder: Path, name: str = STATE_FILE) -> dict[str, Any]:
    """The state in a folder, on the CPU.

    Raises:
        BadCheckpoint: the file is missing or damaged.
    """
    try:
        state = torch.load(folder / name, weights_only=True, map_location="cpu")
    except DAMAGED as error:
        raise damaged(folder, error) from error
    if not isinstance(state, dict):
        raise damaged(folder, TypeError(f"it holds a {type(state).__name__}"))
    return state


def shards_folder(folder: Path) -> Path:
    """Where a run whose weights are spread over processes keeps them: beside the head's folder, each its part."""
    return folder.with_name(folder.name + ".training")


def damaged(folder: Path, error: Exception) -> BadCheckpoint:
    """The error for a state file that can't be gone on from."""
    reason = str(error).strip().split("\n")[0].rstrip(".") or type(error).__name__
    return BadCheckpoint(
        str(folder / STATE_FILE),
        f"not a readable training state ({reason})",
        "Delete this folder, or choose another one, to train from the first step.",
    )


def write_state(folder: Path, state: dict[str, Any], name: str = STATE_FILE) -> None:
    """Writes the state beside the old one, then puts it in its place.

    Raises:
        NotSaved: the disk is full, or the folder can't be written; the old state is still there.
    """
    fresh = folder / (name + ".part")
    try:
        with fresh.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # else a power cut could leave the new name with no content
        os.replace(fresh, folder / name)
    except (OSError, RuntimeError) as error:  # torch tells a full disk as a RuntimeError of its own
        fresh.unlink(missing_ok=True)
        reason = error.strerror if isinstance(error, OSError) else "most likely the disk is full"
        raise NotSaved(
            f"{folder / name} can't be written ({reason}); the state saved before it, if any, is as it was. "
            "Make room, then give the same command again: it goes on from there."
        ) from error


def trim_log(folder: Path, step: int) -> None:
    """Takes the lines past a step out of the log: those steps are trained, and logged, once more."""
    path = folder / LOG_FILE
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    kept = [line for line in lines if 0 < _logged_step(line) <= step]
    if kept != lines:
        fresh = path.with_name(LOG_FILE + ".part")
        fresh.write_text("".join(kept), encoding="utf-8")
        os.replace(fresh, path)


def _logged_step(line: str) -> int:
    """The step of a line of the log; 0 for one that a kill cut off."""
    try:
        step = json.loads(line)["step"] if line.endswith("\n") else 0
    except (ValueError, LookupError, TypeError):
        return 0
    return step if isinstance(step, int) else 0
