"""Files that somebody brought: what is plainly right comes back as it is, all else is refused with its place."""

import csv
import io
import json
import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.errors import BadRequest
from workbench.evals.data.tables import LOCAL, PUBLIC, Table, read_json, read_records, read_table

SMALL = replace(PUBLIC, rows=3, columns=4, cell_characters=20)
in_a_folder = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
names = texts.map(str.strip).filter(bool)
cells = texts | st.sampled_from(["NA", "007", "", "null", "1e5", '"', '""', ",", "\r\n", "\U0001f984", "=1+1", " x "])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    columns = draw(st.lists(names, min_size=1, max_size=5, unique=True))
    rows = st.lists(cells, min_size=len(columns), max_size=len(columns))
    return columns, draw(st.lists(rows, min_size=1, max_size=5))


def given_file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return path


DIALECTS = [(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\r\n"), (csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r")]


@in_a_folder
@given(table=tables(), ending=st.sampled_from([".csv", ".tsv"]), dialect=st.sampled_from(DIALECTS), mark=st.booleans())
def test_what_pythons_csv_writes_comes_back(
    tmp_path: Path, table: tuple[list[str], list[list[str]]], ending: str, dialect: tuple[Any, str], mark: bool
) -> None:
    columns, rows = table
    stream = io.StringIO(newline="")
    delimiter, (quoting, newline) = ("\t" if ending == ".tsv" else ","), dialect
    csv.writer(stream, delimiter=delimiter, quoting=quoting, lineterminator=newline).writerows([columns, *rows])
    read = read_table(given_file(tmp_path, "table" + ending, "\ufeff" * mark + stream.getvalue()), LOCAL)
    assert read.columns == columns
    assert [list(row.values()) for row in read.rows] == rows


@in_a_folder
@given(table=tables(), escaped=st.booleans())
def test_what_pythons_json_writes_comes_back(
    tmp_path: Path, table: tuple[list[str], list[list[str]]], escaped: bool
) -> None:
    columns, rows = table
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    lines = "\n".join(json.dumps(record, ensure_ascii=escaped) for record in records)
    read = read_table(given_file(tmp_path, "table.jsonl", lines), LOCAL)
    assert (read.columns, read.rows) == (columns, records)
    assert read.lines == list(range(1, len(rows) + 1))


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


@in_a_folder
@given(value=values, indent=st.sampled_from([None, 2]))
def test_json_is_read_as_pythons_reader_reads_it(tmp_path: Path, value: Any, indent: int | None) -> None:
    path = given_file(tmp_path, "data.json", json.dumps(value, indent=indent))
    assert repr(read_json(path, LOCAL)) == repr(value)


@in_a_folder
@given(text=st.text('[]{}":,0123-.eE+ tru\\nlu\n', max_size=25))
def test_no_json_is_taken_that_pythons_reader_refuses(tmp_path: Path, text: str) -> None:
    try:
        value = read_json(given_file(tmp_path, "data.json", text), LOCAL)
    except BadRequest:
        return
    assert repr(value) == repr(json.loads(text))


@in_a_folder
@given(text=st.text('a,"\r\n \t', min_size=1, max_size=25))
def test_no_csv_is_read_otherwise_than_by_pythons_reader(tmp_path: Path, text: str) -> None:
    try:
        table = read_table(given_file(tmp_path, "table.csv", "x,y\n" + text), LOCAL)
    except BadRequest:
        return
    lines = io.StringIO("x,y\n" + text, newline="")
    assert [[*row.values()] for row in table.rows] == [row for row in csv.reader(lines, strict=True) if row][1:]


def read(folder: Path, content: str, name: str = "table.csv") -> Table:
    return read_table(given_file(folder, name, content), PUBLIC)


def test_cells_stay_the_texts_they_are(tmp_path: Path) -> None:
    table = read(tmp_path, 'text,n\nNA,007\n,1e5\n" a ""b"" ",true\n')
    assert [tuple(row.values()) for row in table.rows] == [("NA", "007"), ("", "1e5"), (' a "b" ', "true")]


def test_json_numbers_and_words_stay_as_written_and_null_is_empty(tmp_path: Path) -> None:
    table = read(tmp_path, '{"a": 1.50, "b": true, "c": null}\n\n{"c": "x", "a": -0, "b": 1e5}\n', "table.jsonl")
    assert table.rows == [{"a": "1.50", "b": "true", "c": ""}, {"a": "-0", "b": "1e5", "c": "x"}]
    assert table.lines == [1, 3]


def test_a_rows_line_is_where_it_begins(tmp_path: Path) -> None:
    assert read(tmp_path, 'a,b\n\n"1\n2\n3",x\r\ny,z').lines == [3, 6]


def test_column_names_lose_the_spaces_around_them(tmp_path: Path) -> None:
    assert read(tmp_path, " text , label\na,b\n").columns == ["text", "label"]


def test_a_column_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path) -> None:
    table = read(tmp_path, "text,label\na,b\n")
    assert table.column("label") == ["b"]
    with pytest.raises(BadRequest, match=r"no column 'labels'.*'text', 'label'"):
        table.column("labels")


def test_records_may_nest_and_differ(tmp_path: Path) -> None:
    path = given_file(tmp_path, "questions.jsonl", '{"q": "?", "answers": ["a"]}\n\n{"n": 2}')
    assert read_records(path, PUBLIC) == [(1, {"q": "?", "answers": ["a"]}), (3, {"n": 2})]


MALFORMED = [
    # what stands in the file, its name, words of the message
    (b"", "a.csv", "a.csv is empty"),
    (b"\xef\xbb\xbf \r\n", "a.csv", "is empty"),
    (b"\x1f\x8b\x08\x00", "a.csv", "compressed (gzip)"),
    (b"\x1f\x8b\x08\x00", "a.csv.gz", "compressed (gzip)"),
    (b"PK\x03\x04\x14\x00", "a.csv", "zip archive or a spreadsheet"),
    (b"PK\x05\x06\x00", "a.jsonl", "empty zip"),
    (b"\xfd7zXZ\x00\x00", "a.csv", "compressed (xz)"),
    (b"BZh91AY&SY\x00", "a.csv", "compressed (bzip2)"),
    (b"\x28\xb5\x2f\xfd\x00", "a.csv", "compressed (Zstandard)"),
    (b"PAR1\x15\x00PAR1", "a.csv", "Parquet"),
    (b"ARROW1\x00\x00", "a.csv", "Arrow"),
    (b"7z\xbc\xaf\x27\x1c", "a.csv", "7-Zip"),
    (b"\xd0\xcf\x11\xe0\xa1", "a.csv", "old spreadsheet"),
    (b"%PDF-1.7", "a.csv", "PDF"),
    (b"\x80\x04\x95\x00", "a.jsonl", "Python pickle"),
    (b"\x80\x02}q\x00.", "a.csv", "Python pickle"),
    ("a,b\n1,2".encode("utf-16"), "a.csv", "UTF-16"),
    ("a,b\n1,2".encode("utf-32"), "a.csv", "UTF-32"),
    (b"a,b\n1,\xff", "a.csv", "byte 0xff at offset 6"),
    (b"a,b\n1,caf\xe9\n", "a.csv", "not UTF-8: the byte 0xe9 at offset 9"),
    (b"\xef\xbb\xbfa\n\xed\xa0\x80", "a.csv", "byte 0xed at offset 5"),
    (b"a,b\n1,\x00", "a.csv", "line 2, column 3: a NUL character"),
    (b"a,b\n1,2\n", "a.txt", "ending .txt says nothing"),
    (b"a,b\n1,2\n", "table", "ending (none) says nothing"),
    (b"[]", "a.json", "ending .json says nothing of a table"),
    (b"a,b\n", "a.csv", "column names, but no rows"),
    (b"a,\n1,2\n", "a.csv", "line 1, column 1: column 2 has no name"),
    (b"a,  \n1,2\n", "a.csv", "column 2 has no name"),
    (b"a, a\n1,2\n", "a.csv", "two columns are named 'a'"),
    (b"a,b\n1\n", "a.csv", "line 2, column 1: the row has 1 of 2 cells"),
    (b"a,b\n1,2\n\n1,2,3\n", "a.csv", "line 4, column 5: the row has more cells than the 2"),
    (b'a,b\n1,"2\n', "a.csv", "line 2, column 3: the quote that opens here is never closed"),
    (b'a,b\n"1"x,2\n', "a.csv", "line 2, column 4: text after a cell's closing quote"),
    (b'a,b\n"1" ,2\n', "a.csv", "closing quote"),
    (b"a,b,c,d,e\n", "a.csv", "header has more than 4 columns"),
    (b"a\n1\n2\n3\n4\n", "a.csv", "line 5, column 1: more than 3 rows"),
    (b"a\n" + b"x" * 21, "a.csv", "line 2, column 1: a cell of 21 characters; at most 20"),
    (b'a\n"' + b"x\n" * 11 + b'"', "a.csv", "a cell of 22 characters"),
    (b"a\tb\n1,2\n", "a.tsv", "the row has 1 of 2 cells"),
    (b'{"a": 1', "a.jsonl", "line 1, column 8: a comma or } must stand here. The file ends there"),
    (b'{"a": 1}\n{"a": \n1}\n', "a.jsonl", "line 2, column 7: no JSON value"),
    (b'{"a": 1} {"a": 2}', "a.jsonl", "column 10: text after the end of the value"),
    (b'{"a": 1}\n[1]\n', "a.jsonl", "line 2, column 1: each line must hold one object"),
    (b'{"a": 1, "a": 2}', "a.jsonl", "column 10: the object has this name twice"),
    (b'{"a": 1, " a": 2}', "a.jsonl", "two columns are named 'a'"),
    (b'{"": 1}', "a.jsonl", "column 1 has no name"),
    (b"{}", "a.jsonl", "no column"),
    (b'{"a": NaN}', "a.jsonl", "column 7: no JSON value"),
    (b'{"a": -Infinity}', "a.jsonl", "no JSON value"),
    (b'{"a": 007}', "a.jsonl", "leading zeros"),
    (b'{"a": 1e999}', "a.jsonl", "too large for a double"),
    (b'{"a": 9007199254740993}', "a.jsonl", "beyond 2^53"),
    (b'{"a": ' + b"9" * 5000 + b"}", "a.jsonl", "beyond 2^53"),
    (b'{"a": "\\ud800"}', "a.jsonl", "half of a surrogate pair"),
    (b'{"a": "\\u0000"}', "a.jsonl", "a NUL character"),
    (b'{"a": "\\x41"}', "a.jsonl", "a broken escape"),
    (b'{"a": "\\u12g4"}', "a.jsonl", "a broken escape"),
    (b'{"a": "x\ty"}', "a.jsonl", "a control character"),
    (b'{"a": "x', "a.jsonl", "column 7: the text that begins here is never closed"),
    (b"{'a': 1}", "a.jsonl", "in double quotes"),
    (b'{"a" 1}', "a.jsonl", "a colon must stand here"),
    (b'{"a": 1,}', "a.jsonl", "column 9: the name of an object's member"),
    (b'{"a": [1]}', "a.jsonl", "the value of 'a' is a list"),
    (b'{"a": {}}', "a.jsonl", "the value of 'a' is an object"),
    (b'{"a": 1}\n{"b": 1}', "a.jsonl", "line 2, column 1: the object lacks 'a'"),
    (b'{"a": 1}\n{"a": 1, "b": 1}', "a.jsonl", "the first object has no 'b'"),
    (b'{"a": ' + b"[" * 17 + b"]" * 17 + b"}", "a.jsonl", "nested more than 16 deep"),
    (b'{"a":1,"b":2,"c":3,"d":4,"e":5}', "a.jsonl", "the object has more than 4 members"),
    (b'{"a": "' + b"x" * 21 + b'"}', "a.jsonl", "a text of 21 characters"),
    (b'{"a": 1}\n' * 4, "a.jsonl", "line 4, column 1: more than 3 rows"),
    (b'{"a": "\xc2\xa0"}\xc2\xa0', "a.jsonl", "text after the end of the value"),
]  # fmt: skip


@pytest.mark.parametrize("content, name, words", MALFORMED, ids=range(len(MALFORMED)))
def test_what_is_malformed_is_refused_with_its_place(tmp_path: Path, content: bytes, name: str, words: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_table(given_file(tmp_path, name, content), SMALL)
    assert words in str(refusal.value)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"[" * 200_000, "nested more than 16 deep"),
        (b'{"a":' * 200_000, "nested more than 16 deep"),
        (b"[" + b"0," * 100 + b"0]", "more values than are taken"),
        (b"[1, 2", "a comma or ] must stand here"),
        (b"[1,\n 2,\n]", "line 3, column 1: no JSON value"),
        (b"// a comment\n[]", "line 1, column 1: no JSON value"),
        (b"[] []", "text after the end"),
    ],
)
def test_malformed_json_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_json(given_file(tmp_path, "data.json", content), SMALL)
    assert words in str(refusal.value)


def test_json_files_must_be_named_so(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"must be named \.json"):
        read_json(given_file(tmp_path, "data.txt", "[]"), PUBLIC)
    with pytest.raises(BadRequest, match=r"must be named \.jsonl"):
        read_records(given_file(tmp_path, "data.json", "[]"), PUBLIC)


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="No such file"):
        read_table(tmp_path / "none.csv", PUBLIC)
    (tmp_path / "folder.csv").mkdir()
    with pytest.raises(BadRequest, match="is not a file"):
        read_table(tmp_path / "folder.csv", PUBLIC)
    with pytest.raises(BadRequest, match="can't be read"):
        read_table("a\0.csv", PUBLIC)


def test_a_large_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.csv"
    with path.open("wb") as stream:
        stream.truncate(10**12)
    with pytest.raises(BadRequest, match="1,000,000,000,000 bytes; at most 200,000,000"):
        read_table(path, LOCAL)


@pytest.mark.parametrize("limits", [PUBLIC, LOCAL])
@pytest.mark.parametrize("name", ["wide.csv", "wide.jsonl"])
def test_200_000_columns_are_refused_without_building_them(tmp_path: Path, name: str, limits: Any) -> None:
    columns = [f"c{place}" for place in range(200_000)]
    content = ",".join(columns) if name == "wide.csv" else "{" + ",".join(f'"{one}":1' for one in columns) + "}"
    path = given_file(tmp_path, name, content[: PUBLIC.bytes])
    tracemalloc.start()
    began = time.monotonic()
    with pytest.raises(BadRequest, match=f"more than {limits.columns}"):
        read_table(path, limits)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert time.monotonic() - began < 1
    assert peak < 3 * len(content)


def test_the_worst_small_values_stay_within_memory(tmp_path: Path) -> None:
    """A tenth of the public limits, and of the 50 MB that reading may take with them."""
    path = given_file(tmp_path, "data.json", "[" + '{"":{}},' * 20_000 + "0]")
    tracemalloc.start()
    with pytest.raises(BadRequest, match="more values"):
        read_json(path, replace(PUBLIC, rows=PUBLIC.rows // 10, seconds=60))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 50e6 / 10


@pytest.mark.parametrize("name", ["table.csv", "table.jsonl"])
def test_reading_stops_when_its_time_is_over(tmp_path: Path, name: str) -> None:
    path = given_file(tmp_path, name, "a\n1\n" if name == "table.csv" else '{"a": 1}')
    with pytest.raises(BadRequest, match="longer than 0 seconds"):
        read_table(path, replace(LOCAL, seconds=0.0))


def test_hostile_names_and_cells_are_shown_escaped(tmp_path: Path) -> None:
    with pytest.raises(BadRequest) as refusal:
        read_table(given_file(tmp_path, "\u202egnp\n.csv", 'a\n"\u202e<b>\n' + "y" * 200), PUBLIC)
    message = str(refusal.value)
    assert message.isprintable()
    assert "\\u202e<b>\\ny" in message
    assert len(message) < 300
