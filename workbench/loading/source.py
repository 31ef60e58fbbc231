"""Where a checkpoint comes from: a folder on this machine, or a repository of the Hugging Face Hub."""

import os
import re
from fnmatch import fnmatch
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from workbench.errors import BadCheckpoint, BadRequest, CheckpointNotFound
from workbench.loading.checkpoint import find_weights, shard_paths
from workbench.loading.config_file import CONFIG

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
REVISION = re.compile(r"[A-Za-z0-9_][\w./-]*")
SMALL_FILES = ["*.json", "merges.txt", "vocab.txt", "*.model", "LICENSE*"]
WEIGHTS = [
    ["model.safetensors", "model-*.safetensors"],
    ["pytorch_model.bin", "pytorch_model-*.bin"],
    ["flax_model.msgpack", "flax_model-*.msgpack"],
    ["tf_model.h5", "tf_model-*.h5"],
    ["ggml-model.bin", "ggml-model-*.bin"],
]
"""The files of each format, in the order in which one of them is chosen; their indexes are among the small files."""
CONNECT_SECONDS = 5.0
HUB_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, *HfHubHTTPError.__bases__)  # type: ignore[assignment]
"""What the Hub's client raises: its own errors, and those of the HTTP library it is built on."""


def resolve(folder_or_hub_id: str | os.PathLike[str], revision: str | None = None, weights: bool = True) -> Path:
    """The local folder of a checkpoint, downloaded from the Hub if need be.

    From the Hub come the configuration, the tokenizer's files and one set of weights: safetensors where the
    repository has them, else the first of the older formats. An earlier download in the local cache is used when the
    Hub can't be reached, if it is whole.

    Args:
        folder_or_hub_id: a folder, or an id like "EleutherAI/gpt-j-6b".
        revision: a branch, tag or commit of the repository; None is its main branch. Folders have none.
        weights: False leaves the weights on the Hub: a plan and a tokenizer need none.

    Raises:
        CheckpointNotFound: there is no such folder or repository, or the Hub does not answer.
        BadRequest: a file in place of a folder.
    """
    text = os.fspath(folder_or_hub_id)
    if not text.strip() or "\0" in text:
        raise BadRequest(f"a checkpoint must be a folder or a Hub id like EleutherAI/gpt-j-6b; got {text!r}.")
    try:
        path = Path(text).expanduser()
        if path.is_dir():
            return path
        if path.exists():
            raise BadRequest(f"{text} is a file; give the folder that holds config.json and the weights: {path.parent}")
    except (OSError, RuntimeError) as error:
        # A name too long for any folder, a folder that may not be looked into, "~" of a user who is not there.
        reason = error.strerror if isinstance(error, OSError) else error
        raise CheckpointNotFound(f"There is no folder {text[:100]} that can be opened ({reason}).") from error
    if not HUB_ID.fullmatch(text) or ".." in text:
        raise CheckpointNotFound(f"There is no folder {text}, and it is not a Hub id like EleutherAI/gpt-j-6b.")
    if revision is not None and (not REVISION.fullmatch(revision) or ".." in revision):
        raise BadRequest(f"revision must be a branch, a tag or a commit; got {revision!r}.")
    return _from_hub(text, revision, weights)


def local_folder(text: str) -> Path | None:
    """The absolute path, without links, of what names a folder on this machine; None for a Hub id or no name."""
    try:
        path = Path(text).expanduser()
        return path.resolve() if path.is_absolute() or path.is_dir() else None
    except (OSError, RuntimeError, ValueError):
        return None


def holds_weights(folder: Path) -> bool:
    """Whether a folder has all files of a set of weights, every shard that the index names included."""
    try:
        _, path = find_weights(folder)
        if path.name.endswith(".index.json"):
            return bool(shard_paths(path))
    except BadCheckpoint:
        return False
    return path.exists()


def _from_hub(hub_id: str, revision: str | None, weights: bool) -> Path:
    if constants.HF_HUB_OFFLINE:
        return _cached(hub_id, revision, weights, "HF_HUB_OFFLINE is set")
    try:
        # One bounded question first: the download itself would try again and again without a word.
        info = huggingface_hub.HfApi().model_info(hub_id, revision=revision, timeout=CONNECT_SECONDS)
        files = {sibling.rfilename for sibling in info.siblings or [] if "/" not in sibling.rfilename}
        held = (one for one in WEIGHTS if any(fnmatch(file, pattern) for file in files for pattern in one))
        patterns = [*SMALL_FILES, *next(held, WEIGHTS[0])] if weights else SMALL_FILES
        return _snapshot(hub_id, revision, patterns)
    except HUB_ERRORS as error:
        return _cached(hub_id, revision, weights, _first_line(error))


def _cached(hub_id: str, revision: str | None, weights: bool, reason: str) -> Path:
    """What the local cache has, if nothing of it is missing."""
    partly = False
    for wanted in WEIGHTS if weights else [[]]:
        try:
            found = _snapshot(hub_id, revision, [*SMALL_FILES, *wanted], local_files_only=True)
        except HUB_ERRORS as error:
            partly = partly or hasattr(error, "snapshot_path")  # so newer clients tell of an incomplete snapshot
            continue
        if (found / CONFIG).is_file() and (not weights or holds_weights(found)):
            return found
        partly = True
    at = f" at revision {revision}" if revision else ""
    if partly:
        raise CheckpointNotFound(
            f"Only a part of {hub_id}{at} is in the local cache, and the connection to the Hub failed, or is "
            f"switched off, before the rest was there ({reason}). Try again when there is one; what arrived is kept."
        )
    raise CheckpointNotFound(
        f"There is no folder {hub_id}, it is not in the local cache{at}, and the Hub did not give it ({reason}). "
        "Check the id and the connection, or give a folder."
    )


def _snapshot(hub_id: str, revision: str | None, patterns: list[str], local_files_only: bool = False) -> Path:
    found = huggingface_hub.snapshot_download(
        hub_id,
        revision=revision,
        allow_patterns=patterns,
        ignore_patterns=["*/*"],
        local_files_only=local_files_only,
    )
    return Path(found)


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
