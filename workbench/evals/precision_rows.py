"""The reference's distributions, kept in a file while the other precisions are computed one after another.

So two models never need to fit into memory together: a distribution of GPT-J's 50,400 columns takes 202 kB, and 8,192
of them 1.65 GB on disk, of which a few MB are in memory at a time.
"""

import shutil
import tempfile
from contextlib import ExitStack
from typing import IO

import numpy as np
from numpy.typing import NDArray

from workbench.errors import BadRequest, NotSaved

_BYTES = np.dtype(np.float32).itemsize
_LEFT_FREE_BYTES = 2**28
"""Of the disk, for everybody else."""


class KeptRows:
    """Rows of float32 in a temporary file that nobody else sees; written once, then read from the beginning again.

    The file is gone once it is closed.

    Args:
        rows: that will be written, so that a disk without room is known at the first.
    """

    def __init__(self, rows: int):
        self._rows, self._columns = rows, 0
        with ExitStack() as files:
            self._file: IO[bytes] = files.enter_context(tempfile.TemporaryFile())
            self._files = files.pop_all()

    def write(self, rows: NDArray[np.float32]) -> None:
        """Adds rows (T, V).

        Raises:
            BadRequest: the disk has no room for all that will come. NotSaved: it became full.
        """
        if not self._columns:
            self._columns = rows.shape[1]
            check_room(self._rows, self._columns)
        try:
            self._file.write(np.ascontiguousarray(rows, dtype=np.float32).data)
        except OSError as error:
            raise NotSaved(
                f"The reference's distributions can't be kept in {tempfile.gettempdir()}: {error.strerror or error}. "
                "Make room there, set TMPDIR to another folder, or measure fewer tokens."
            ) from error

    @property
    def bytes(self) -> int:
        """What the file holds once all is written."""
        return kept_bytes(self._rows, self._columns)

    def close(self) -> None:
        """Gives the room back."""
        self._files.close()

    def rewind(self) -> None:
        """The next rows that are read are the first."""
        self._file.seek(0)

    def read(self, count: int) -> NDArray[np.float32]:
        """The next rows, (count, V)."""
        content = self._file.read(count * self._columns * _BYTES)
        return np.frombuffer(content, dtype=np.float32).reshape(count, self._columns)


def kept_bytes(rows: int, columns: int) -> int:
    """What so many distributions take on disk."""
    return rows * columns * _BYTES


def check_room(rows: int, columns: int) -> None:
    """Raises BadRequest unless the folder for temporary files has room for so many distributions."""
    folder, needed = tempfile.gettempdir(), kept_bytes(rows, columns)
    free = shutil.disk_usage(folder).free
    if needed + _LEFT_FREE_BYTES > free:
        raise BadRequest(
            f"The reference's {rows:,} distributions of {columns:,} columns take {needed / 2**30:.1f} GiB in {folder}, "
            f"which has {free / 2**30:.1f} GiB free. Measure fewer tokens or rows, or set TMPDIR to a folder with more."
        )
