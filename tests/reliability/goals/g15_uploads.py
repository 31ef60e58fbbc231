"""G15: a table somebody brings comes back as it was written, or is refused with the place of what is wrong."""

import csv
import io
import json
import random
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from unittest import mock

from tests.reliability.goal import Goal, Mutant, Outcome
from workbench.errors import BadRequest
from workbench.evals.data import tables
from workbench.evals.data.tables import PUBLIC, read_table

MOST_SECONDS = 2.0
CELLS = (
    "NA", "None", "null", "nan", "007", "1e5", "-5", "", " x ", '"', '""', ",", "\t", "a\nb", "a\r\nb", "=1+1",
    "@SUM(A1)", "\U0001f984", "naïve", "<b>x</b>", "{}", "\u202eabc", "9" * 5000, "x" * 7000,
)  # fmt: skip
"""What other readers change: each must come back as it is."""
HOSTILE: tuple[tuple[str, bytes], ...] = (
    ("wide.csv", b"a," * 200_000 + b"b\n1\n"),
    ("gz.csv", b"\x1f\x8b\x08\x00" + bytes(100)),
    ("zip.csv", b"PK\x03\x04" + bytes(100)),
    ("utf16.csv", "text,label\na,b\n".encode("utf-16")),
    ("nul.csv", b"text,label\na\0b,c\n"),
    ("open.csv", b'text,label\n"never closed,b\n'),
    ("twice.csv", b"text,text\na,b\n"),
    ("unnamed.csv", b"text,\na,b\n"),
    ("short.csv", b"text,label\na\n"),
    ("empty.csv", b""),
    ("latin.csv", "text\nnaïve\n".encode("latin-1")),
    ("twice.jsonl", b'{"text": "a", "text": "b"}\n'),
    ("deep.jsonl", b'{"text": ' + b"[" * 200_000 + b"\n"),
    ("nan.jsonl", b'{"text": NaN}\n'),
    ("large.jsonl", b'{"text": ' + b"9" * 5000 + b"}\n"),
    ("surrogate.jsonl", b'{"text": "\\ud800"}\n'),
    ("list.jsonl", b'["text"]\n'),
)


def check(size: int, seed: int) -> Outcome:
    """So many tables of all that other readers change, some with bytes changed; and the listed hostile files."""
    rng, failures, refused = random.Random(seed), list[str](), 0
    with tempfile.TemporaryDirectory() as folder:
        for name, data in HOSTILE:
            said, was_refused = _tried(Path(folder, name), data, None)
            refused += was_refused
            failures += [f"{name}: {said or 'it was read'}"] if said or not was_refused else []
        for number in range(size):
            name, data, rows = _table(rng)
            spoilt = rng.random() < 0.4
            data = _changed(data, rng) if spoilt else data
            said, was_refused = _tried(Path(folder, name), data, None if spoilt else rows)
            refused += was_refused
            failures += [f"file {number} ({name}): {said}"] if said else []
    level = (
        f"{size + len(HOSTILE):,} files: {refused} refused with the place of what is wrong, all others came back as "
        f"written; none took {MOST_SECONDS:g} seconds"
    )
    return Outcome(level, {"files": size + len(HOSTILE), "refused": refused}, tuple(failures))


def _tried(path: Path, data: bytes, rows: list[dict[str, str]] | None) -> tuple[str, bool]:
    """What was wrong, and whether the file was refused."""
    path.write_bytes(data)
    began = time.process_time()
    try:
        read = [dict(row) for row in read_table(path, PUBLIC).rows]
    except BadRequest as error:
        return ("" if rows is None and path.stem in str(error) else f"refused: {error}"), True
    except Exception as error:
        return repr(error)[:200], False
    if time.process_time() - began > MOST_SECONDS:
        return "too slow", False
    return ("" if rows is None or read == rows else "other texts than were written"), False


def _table(rng: random.Random) -> tuple[str, bytes, list[dict[str, str]]]:
    columns = rng.sample(["text", "label", "id", "naïve name", "a,b"], rng.randint(1, 4))
    rows = [{column: rng.choice(CELLS) for column in columns} for _ in range(rng.randint(1, 6))]
    if rng.random() < 0.4:
        return "table.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode(), rows
    stream = io.StringIO(newline="")
    writer = csv.DictWriter(stream, columns, quoting=csv.QUOTE_ALL)
    writer.writeheader()
    writer.writerows(rows)
    return "table.csv", stream.getvalue().encode(), rows


def _changed(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed[: rng.randrange(1, len(changed) + 1)])


def guessing() -> AbstractContextManager[object]:
    """Cells that look like numbers or nothing are taken for such."""
    read = tables.read_table

    def guessed(path: Path, limits: tables.Limits) -> tables.Table:
        table = read(path, limits)
        for row in table.rows:
            row.update({name: cell.lstrip("0") or cell for name, cell in row.items() if isinstance(cell, str)})
        return table

    return mock.patch(f"{__name__}.read_table", guessed)


def escaping() -> AbstractContextManager[object]:
    """What is wrong with a file reaches people as whatever error it came to."""
    return mock.patch(f"{__name__}.BadRequest", ZeroDivisionError)


GOAL = Goal(
    name="G15",
    promise="An uploaded table comes back as it was written, or is refused with the place of what is wrong",
    peer="none; pandas turns `NA` into nothing and `007` into 7",
    unit="files",
    short=200,
    full=300,
    check=check,
    mutants=(
        Mutant("cells are guessed to be numbers", guessing, 60),
        Mutant("refusals are no BadRequest", escaping, 10),
    ),
)
