"""Files of questions with their passages: SQuAD's JSON, JSON lines, or a table.

Fields: `question`, `context` (the passage), and if known `id`, `answers`, `is_impossible`; or one `answer` with its
`answer_start`. Answers are a text, a list of texts, a list of {text, answer_start}, or {text: [...], answer_start:
[...]}; in a table a list is written as JSON. Answers that are there and empty mean that the passage holds none.
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.data.rows import Row
from workbench.evals.data.strict_json import JsonReader
from workbench.evals.data.tables import Limits, read_json, read_records, read_table
from workbench.evals.data.text_file import TextFile, shown


@dataclass(frozen=True)
class Question:
    """A question, its passage, and what is known of the answer."""

    id: str
    question: str
    context: str
    answers: tuple[str, ...] = ()
    """The right ones, repeats included."""
    answer_starts: tuple[int | None, ...] = ()
    """Of each answer its first character in the passage, where the file says or where it first stands; None: it does
    not stand there."""
    is_impossible: bool | None = None
    """Whether the passage holds no answer; None: the file does not tell."""


def read_questions(path: Path | str, limits: Limits) -> list[Question]:
    """All questions of a .json, .jsonl, .csv or .tsv file.

    Raises:
        BadRequest: malformed or beyond the limits, a field is missing or of another kind, an answer does not stand at
            its answer_start, or an id comes twice; the message names the entry.
    """
    path = Path(path)
    questions: dict[str, Question] = {}
    for place, entry in _entries(path, limits):
        try:
            if len(questions) == limits.rows:
                raise BadRequest(f"more than {limits.rows:,} questions. Split the file")
            question = _question(entry, str(len(questions) + 1))
            if question.id in questions:
                raise BadRequest(f"the id {question.id!r} came before; each question needs its own")
        except BadRequest as error:
            raise BadRequest(f"{shown(path.name)}, {place}: {error}.") from error
        questions[question.id] = question
    if not questions:
        raise BadRequest(f"{shown(path.name)} holds no question.")
    return list(questions.values())


def question_in(row: Row) -> Question:
    """The question that a row of a data set holds, by the names and the ways to write that files have.

    Raises:
        BadRequest: a field is missing or wrong, or the right answer is not told; the message names the row.
    """
    answers = {name: row.parsed(name) for name in ("answers",) if name in row.values}
    try:
        question = _question({**row.values, **answers}, str(row.index))
    except BadRequest as error:
        raise BadRequest(f"{row.place or f'Row {row.index}'}: {error}.") from error
    if question.is_impossible is None:
        raise row.refused("answers", "does not tell the right answer; an empty list says that there is none")
    return question


def _entries(path: Path, limits: Limits) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each question's fields, the passage among them, and where they stand in the file."""
    suffix = path.suffix.lower()
    if suffix == ".json":
        yield from json_entries(path, limits)
    elif suffix == ".jsonl":
        for line, record in read_records(path, limits):
            yield f"line {line}", record
    else:
        table = read_table(path, limits)
        for line, row in zip(table.lines, table.rows, strict=True):
            answers = (
                {"answers": _cell(row["answers"], f"{path.name}, line {line}, answers", limits)}
                if "answers" in row
                else {}
            )
            yield f"line {line}", {name: text for name, text in row.items() if name != "id" or text} | answers


def json_entries(path: Path, limits: Limits) -> Iterator[tuple[str, dict[str, Any]]]:
    """The questions of SQuAD's JSON, each with its passage and title, or the objects of any list; and their places.

    Raises:
        BadRequest: malformed or beyond the limits, or neither of the two.
    """
    content = read_json(path, limits)
    listed = content.get("data") if isinstance(content, dict) else content
    if not isinstance(listed, list):
        raise BadRequest(
            f'{shown(path.name)}: neither a list of objects nor, as SQuAD has it, an object whose "data" is one.'
        )
    for number, entry in enumerate(listed):
        yield from _nested(f"data[{number}]", entry, shown(path.name))


def _nested(place: str, entry: Any, file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The questions of an article of SQuAD's; an entry that is no article is a question itself."""
    if not isinstance(entry, dict):
        raise BadRequest(f"{file}, {place}: an object must stand here; got {_kind(entry)}.")
    if "paragraphs" not in entry:
        yield place, entry
        return
    title = {"title": entry["title"]} if "title" in entry else {}
    for outer, paragraph in _members(place, entry, "paragraphs", file):
        for inner, asked in _members(outer, paragraph, "qas", file):
            if "id" not in asked:
                raise BadRequest(f"{file}, {inner}: the id is missing.")
            yield inner, {"context": paragraph.get("context"), **title, **asked}


def _members(place: str, holder: dict[str, Any], name: str, file: str) -> Iterator[tuple[str, dict[str, Any]]]:
    listed = holder.get(name)
    if not isinstance(listed, list):
        raise BadRequest(f"{file}, {place}: {name} must be a list; got {_kind(listed)}.")
    for number, member in enumerate(listed):
        inner = f"{place}.{name}[{number}]"
        if not isinstance(member, dict):
            raise BadRequest(f"{file}, {inner}: an object must stand here; got {_kind(member)}.")
        yield inner, member


def _cell(text: str, name: str, limits: Limits) -> Any:
    """A table's answers: JSON where a bracket begins it, else one answer."""
    if not text.startswith(("[", "{")):
        return text
    return JsonReader(TextFile(name, text, limits, time.monotonic() + limits.seconds)).whole()


def _question(entry: Mapping[str, Any], number: str) -> Question:
    """The question of an entry, and its name where it has none; BadRequest without the entry's place."""
    question, context = (_text(entry, name) for name in ("question", "context"))
    identity = entry.get("id", number)
    if isinstance(identity, bool) or not isinstance(identity, str | int) or not str(identity).strip():
        raise BadRequest(f"the id must be a text or a whole number; got {_kind(identity)}")
    given = entry.get("answers", entry.get("answer"))
    if isinstance(given, str) and entry.get("answer_start") not in (None, ""):
        given = [{"text": given, "answer_start": _whole(entry["answer_start"])}]
    pairs = [(text, start) for text, start in _answers(given) if text]
    starts = tuple(_start(context, text, start) for text, start in pairs)
    known = None if given is None else not pairs
    return Question(
        str(identity), question, context, tuple(text for text, _ in pairs), starts, _impossible(entry, known)
    )


def _impossible(entry: Mapping[str, Any], known: bool | None) -> bool | None:
    """Whether there is no answer; `known` is what the answers say."""
    said = entry.get("is_impossible")
    said = {"true": True, "false": False, "": None}.get(said.lower(), said) if isinstance(said, str) else said
    if said is None:
        return known
    if not isinstance(said, bool):
        raise BadRequest(f"is_impossible must be true or false; got {_kind(said)}")
    if known is not None and said != known:
        raise BadRequest(f"is_impossible is {str(said).lower()}, but there is {'no' if known else 'an'} answer")
    return said


def _answers(given: Any) -> Iterator[tuple[str, int | None]]:
    """Texts and where they start, from any of the ways to write them."""
    if isinstance(given, str):
        given = [given]
    if isinstance(given, dict):
        texts = given.get("text", [])
        starts = given.get("answer_start", [None] * len(texts) if isinstance(texts, list) else None)
        if not (isinstance(texts, list) and isinstance(starts, list) and len(texts) == len(starts)):
            raise BadRequest("answers must have as many text as answer_start, each in a list")
        given = [{"text": text, "answer_start": start} for text, start in zip(texts, starts, strict=True)]
    if not isinstance(given, list | None):
        raise BadRequest(f"answers must be a text or a list; got {_kind(given)}")
    for answer in given or ():
        fields = answer if isinstance(answer, dict) else {"text": answer}
        text, start = fields.get("text"), fields.get("answer_start")
        if not isinstance(text, str):
            raise BadRequest(f"an answer's text must be a text; got {_kind(text)}")
        yield text, None if start is None else _whole(start)


def _whole(start: Any) -> int:
    """An answer_start, which a table has as a text."""
    if isinstance(start, str) and start.isdecimal():
        return int(start[:20])
    if isinstance(start, bool) or not isinstance(start, int):
        raise BadRequest(f"answer_start must be a whole number; got {_kind(start)}")
    return start


def _start(context: str, answer: str, start: int | None) -> int | None:
    """Where the answer stands in the passage; None: nowhere."""
    if start is None:
        found = context.find(answer)
        return None if found < 0 else found
    if start < 0 or not context.startswith(answer, start):
        there = context[max(0, start) : max(0, start) + len(answer)]
        raise BadRequest(
            f"the answer '{shown(answer)}' does not stand at its answer_start {start}, where the passage has "
            f"'{shown(there)}'"
        )
    return start


def _text(entry: Mapping[str, Any], name: str) -> str:
    value = entry.get(name)
    if value is None:
        there = ", ".join(shown(one) for one, held in entry.items() if held is not None) or "nothing"
        raise BadRequest(f"the {name} is missing; there is {there}")
    if not isinstance(value, str):
        raise BadRequest(f"the {name} must be a text; got {_kind(value)}")
    if not value.strip():
        raise BadRequest(f"the {name} is empty")
    return value


def _kind(value: Any) -> str:
    if value is None:
        return "nothing"
    names = {bool: "true or false", int: "a number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(value), "an object")
