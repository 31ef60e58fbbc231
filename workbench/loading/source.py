"""Where a checkpoint comes from: a folder on this machine, or a repository of the Hugging Face Hub."""

import os
import re
from pathlib import Path

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError

from workbench.errors import BadRequest, CheckpointNotFound

HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
REVISION = re.compile(r"[A-Za-z0-9_][\w./-]*")
SMALL_FILES = ["*.json", "merges.txt", "vocab.txt", "*.model", "LICENSE*"]
SAFETENSORS = ["model.safetensors", "model-*.safetensors"]
PICKLES = ["pytorch_model.bin", "pytorch_model-*.bin"]
CONNECT_SECONDS = 5.0
HUB_ERRORS: tuple[type[Exception], ...] = (OSError, ValueError, *HfHubHTTPError.__bases__)  # type: ignore[assignment]
"""What the Hub's client raises: its own errors, and those of the HTTP library it is built on."""


def resolve(folder_or_hub_id: str | os.PathLike[str], revision: str | None = None) -> Path:
    """The local folder of a checkpoint, downloaded from the Hub if need be.

    From the Hub come the configuration, the tokenizer's files and one set of weights: safetensors where the
    repository has them. What an earlier download left in the local cache is used when the Hub can't be reached.

    Args:
        folder_or_hub_id: a folder, or an id like "EleutherAI/gpt-j-6b".
        revision: a branch, tag or commit of the repository; None is its main branch. Folders have none.

    Raises:
        CheckpointNotFound: there is no such folder or repository, or the Hub does not answer.
        BadRequest: a file in place of a folder.
    """
    text = os.fspath(folder_or_hub_id)
    if not text.strip() or "\0" in text:
        raise BadRequest(f"a checkpoint must be a folder or a Hub id like EleutherAI/gpt-j-6b; got {text!r}.")
    path = Path(text).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise BadRequest(f"{text} is a file; give the folder that holds config.json and the weights: {path.parent}")
    if not HUB_ID.fullmatch(text) or ".." in text:
        raise CheckpointNotFound(f"There is no folder {text}, and it is not a Hub id like EleutherAI/gpt-j-6b.")
    if revision is not None and (not REVISION.fullmatch(revision) or ".." in revision):
        raise BadRequest(f"revision must be a branch, a tag or a commit; got {revision!r}.")
    return _from_hub(text, revision)


def _from_hub(hub_id: str, revision: str | None) -> Path:
    if constants.HF_HUB_OFFLINE:
        return _cached(hub_id, revision, "HF_HUB_OFFLINE is set")
    try:
        # One bounded question first: the download itself would try again and again without a word.
        info = huggingface_hub.HfApi().model_info(hub_id, revision=revision, timeout=CONNECT_SECONDS)
        files = {sibling.rfilename for sibling in info.siblings or [] if "/" not in sibling.rfilename}
        weights = SAFETENSORS if any(file.endswith(".safetensors") for file in files) else PICKLES
        found = huggingface_hub.snapshot_download(
            hub_id, revision=revision, allow_patterns=[*SMALL_FILES, *weights], ignore_patterns=["*/*"]
        )
    except HUB_ERRORS as error:
        return _cached(hub_id, revision, _first_line(error))
    return Path(found)


def _cached(hub_id: str, revision: str | None, reason: str) -> Path:
    try:
        found = Path(huggingface_hub.snapshot_download(hub_id, revision=revision, local_files_only=True))
    except HUB_ERRORS as error:
        at = f" at revision {revision}" if revision else ""
        raise CheckpointNotFound(
            f"There is no folder {hub_id}, it is not in the local cache{at}, and the Hub did not give it ({reason}). "
            "Check the id and the connection, or give a folder."
        ) from error
    return found


def _first_line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
