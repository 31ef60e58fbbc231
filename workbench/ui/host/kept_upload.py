"""A file that was uploaded for a run is kept beside the runs: one that stopped may have to read it again."""

import hashlib
import os
import shutil
from pathlib import Path

from workbench.errors import BadRequest
from workbench.evaluating import DATA_FOLDER
from workbench.settings import Settings

PART = ".part"
"""Of a copy that is not whole yet."""


def kept_upload(path: str | None, settings: Settings) -> Path:
    """Copies an uploaded file to where runs find it, in a folder named by the SHA-256 of its bytes.

    Raises:
        BadRequest: the page is a public one, the file is gone or too large, or there is no room for it.
    """
    if not settings.serves_locally:
        raise BadRequest(
            "Runs on this page can be read by everybody, and so could your file. Evaluate it on your own machine."
        )
    if path is None or not Path(path).is_file():
        raise BadRequest("The file is not here any more. Upload it again.")
    limits = settings.profile.files
    source = Path(path)
    try:
        if source.stat().st_size > limits.bytes:
            raise BadRequest(f"The file has {source.stat().st_size:,} bytes; at most {limits.bytes:,} are taken.")
        with source.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        folder = settings.runs_folder / DATA_FOLDER / digest
        folder.mkdir(parents=True, exist_ok=True)
        # The same bytes under another name are the same rows, and the run has its file's name in its record.
        kept = next((path for path in folder.iterdir() if path.suffix != PART), folder / source.name)
        if not kept.exists():
            shutil.copyfile(source, folder / f"copy{PART}")
            os.replace(folder / f"copy{PART}", kept)
    except OSError as error:
        raise BadRequest(f"The file can't be kept beside the runs: {error.strerror or error}. Make room.") from error
    return kept
