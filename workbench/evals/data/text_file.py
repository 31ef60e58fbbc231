"""A file somebody brought, as text: bounded in size and time, UTF-8 and nothing else, never decompressed."""

import os
import re
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

from workbench import profiles
from workbench.errors import BadRequest
from workbench.profiles import Limits

__all__ = ["LOCAL", "PUBLIC", "Limits", "TextFile", "open_text", "shown"]

SHOWN_CHARACTERS = 80

_MARKS = (
    (b"\x1f\x8b", "is compressed (gzip)"),
    (b"PK\x03\x04", "is a zip archive or a spreadsheet (xlsx, ods)"),
    (b"PK\x05\x06", "is an empty zip archive"),
    (b"\xfd7zXZ\x00", "is compressed (xz)"),
    (b"BZh", "is compressed (bzip2)"),
    (b"\x28\xb5\x2f\xfd", "is compressed (Zstandard)"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7-Zip archive"),
    (b"Rar!\x1a\x07", "is a RAR archive"),
    (b"PAR1", "is a Parquet file"),
    (b"ARROW1", "is an Arrow file"),
    (b"\xd0\xcf\x11\xe0", "is an old spreadsheet or document (xls, doc)"),
    (b"SQLite format 3\x00", "is an SQLite database"),
    (b"%PDF-", "is a PDF document"),
    (b"\x80\x02", "is a Python pickle"),
    (b"\x80\x03", "is a Python pickle"),
    (b"\x80\x04", "is a Python pickle"),
    (b"\x80\x05", "is a Python pickle"),
    (b"\xff\xfe\x00\x00", "is in UTF-32"),
    (b"\x00\x00\xfe\xff", "is in UTF-32"),
    (b"\xff\xfe", "is in UTF-16"),
    (b"\xfe\xff", "is in UTF-16"),
)
"""First bytes of what is taken for a table by mistake, the longer of two that begin alike first."""
_TEXTUAL_MARKS = {
    b"BZh": re.compile(rb"BZh[1-9](1AY&SY|\x17rE8P\x90)"),
    b"PAR1": re.compile(rb"PAR1.*PAR1\Z", re.DOTALL),
}
"""Marks that a table's first column could be named after, with what else such a file has."""


PUBLIC = profiles.PUBLIC.files
"""For strangers on a shared machine."""
LOCAL = profiles.LOCAL.files
"""For somebody on a machine of their own."""


@dataclass(frozen=True)
class TextFile:
    """A file's text while it is parsed, with its clock."""

    name: str
    text: str
    limits: Limits
    deadline: float = field(repr=False)
    """Of the monotonic clock."""

    def refused(self, position: int, reason: str) -> BadRequest:
        """The error for something in the file, with its line, its column and what stands there."""
        line_start = max(self.text.rfind("\n", 0, position), self.text.rfind("\r", 0, position)) + 1
        where = f"line {self.lines(0, position) + 1}, column {position - line_start + 1}"
        found = shown(self.text[position : position + SHOWN_CHARACTERS])
        there = f" There stands: {found}" if found else " The file ends there."
        return BadRequest(f"{shown(self.name)}, {where}: {reason}.{there}")

    def lines(self, start: int, end: int) -> int:
        """How many lines end in this range of characters."""
        text = self.text
        return text.count("\n", start, end) + text.count("\r", start, end) - text.count("\r\n", start, end)

    def check_time(self, position: int) -> None:
        """Raises BadRequest when the time to read the file is over."""
        if time.monotonic() > self.deadline:
            reason = f"reading took longer than {self.limits.seconds:g} seconds and was stopped. Split the file"
            raise self.refused(position, reason)


def open_text(path: Path | str, limits: Limits) -> TextFile:
    """Reads a file that may be anything.

    Raises:
        BadRequest: no such file, too large, empty, not UTF-8, or holding a NUL; the message says what it is instead.
    """
    path = Path(path)
    began = time.monotonic()
    data = _read(path, limits.bytes)
    for mark, kind in _MARKS:
        pattern = _TEXTUAL_MARKS.get(mark)
        if data.startswith(mark) and (pattern is None or pattern.match(data)):
            raise BadRequest(f"{shown(path.name)} {kind}. Save it as plain text in UTF-8 (CSV, TSV or JSON lines).")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"{shown(path.name)} is not UTF-8: the byte 0x{data[error.start]:02x} at offset {error.start:,} begins no "
            "character. Save the file as UTF-8."
        ) from error
    file = TextFile(path.name, text.removeprefix("\ufeff"), limits, began + limits.seconds)
    if "\0" in file.text:
        reason = "a NUL character, which no text has. Save the table as plain text in UTF-8"
        raise file.refused(file.text.index("\0"), reason)
    if not file.text.strip():
        raise BadRequest(f"{shown(path.name)} is empty.")
    return file


def _read(path: Path, most: int) -> bytes:
    """The bytes of a plain file that is small enough."""
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            raise BadRequest(f"{shown(path.name)} is not a file.")
        size = status.st_size
        if size <= most:
            with path.open("rb") as stream:
                data = stream.read(size)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise BadRequest(f"{shown(path.name)} can't be read: {reason}.") from error
    if size > most:
        raise BadRequest(f"{shown(path.name)} has {size:,} bytes; at most {most:,} are taken. Split the file.")
    return data


def shown(text: str) -> str:
    """A piece of somebody's text, fit for one line of a message: escaped, and cut to 80 characters."""
    return repr(text[:SHOWN_CHARACTERS])[1:-1][:SHOWN_CHARACTERS]
