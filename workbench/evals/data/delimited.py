"""Rows of a CSV or TSV text: what Python's csv module writes, read strictly and within bounds.

The rules are RFC 4180's, as csv.reader(strict=True) has them: a cell that begins with a quote ends with one, a quote
inside it is doubled, and a quote later in an unquoted cell is a character like any other. Reading here instead of
there, an over-wide row is refused before it is built, and every error knows its place.
"""

import re
from collections.abc import Iterator

from workbench.evals.data.text_file import TextFile

_LINE, _LINE_END, _LINE_ENDS = re.compile(r"[^\r\n]*"), re.compile(r"\r\n|\r|\n|\Z"), re.compile(r"[\r\n]*")


def rows(file: TextFile, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row's place in the text and its cells, the header's too; empty lines are left out.

    All rows must have as many cells as the first.

    Raises:
        BadRequest: malformed, or beyond the file's limits.
    """
    plain = re.compile(f"[^{delimiter}\r\n]*")
    longest, columns = file.limits.cell_characters, 0
    position = _end(_LINE_ENDS, file.text, 0)
    while position < len(file.text):
        file.check_time(position)
        start = position
        line = file.text[start : _end(_LINE, file.text, start)]
        if columns and '"' not in line and line.count(delimiter) + 1 == columns and len(line) <= longest:
            cells, position = line.split(delimiter), start + len(line)  # most rows, and many times as fast
        else:
            cells, position = _row(file, start, delimiter, plain, columns)
        columns = columns or len(cells)
        yield start, cells
        position = _end(_LINE_ENDS, file.text, position)


def _end(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Where the pattern, which always matches, ends."""
    match = pattern.match(text, start)
    return match.end() if match else start


def _row(file: TextFile, start: int, delimiter: str, plain: re.Pattern[str], columns: int) -> tuple[list[str], int]:
    """The cells of the row that begins here, and where its last one ends; `columns` is 0 for the header."""
    text, position = file.text, start
    cells: list[str] = []
    while True:
        begin = position
        cell, position = _quoted(file, begin) if text.startswith('"', begin) else _plain(plain, text, begin)
        if len(cell) > file.limits.cell_characters:
            reason = f"a cell of {len(cell):,} characters; at most {file.limits.cell_characters:,} are taken"
            raise file.refused(begin, reason)
        cells.append(cell)
        _check_width(file, len(cells), columns, begin)
        if _LINE_END.match(text, position):
            break
        if not text.startswith(delimiter, position):
            reason = "text after a cell's closing quote. Inside quotes, a quote is written twice"
            raise file.refused(position, reason)
        position += len(delimiter)
    if len(cells) < columns:
        raise file.refused(start, f"the row has {len(cells)} of {columns} cells")
    return cells, position


def _plain(plain: re.Pattern[str], text: str, begin: int) -> tuple[str, int]:
    """A cell without quotes, and where it ends."""
    end = _end(plain, text, begin)
    return text[begin:end], end


def _quoted(file: TextFile, begin: int) -> tuple[str, int]:
    """A cell in quotes, and where it ends."""
    text, end = file.text, begin + 1
    while True:
        end = text.find('"', end)
        if end < 0:
            raise file.refused(begin, "the quote that opens here is never closed")
        if not text.startswith('""', end):
            return text[begin + 1 : end].replace('""', '"'), end + 1
        end += 2


def _check_width(file: TextFile, cells: int, columns: int, position: int) -> None:
    if columns and cells > columns:
        raise file.refused(
            position, f"the row has more cells than the {columns} of the header. Quote cells with commas"
        )
    if cells > file.limits.columns:
        raise file.refused(position, f"the header has more than {file.limits.columns} columns")
