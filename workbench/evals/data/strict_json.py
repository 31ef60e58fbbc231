"""JSON as RFC 8259 has it and no further: no duplicate names, no NaN, no number that a double can't hold exactly."""

import math
import re
from json import JSONDecodeError, JSONDecoder
from typing import Any

from workbench.evals.data.text_file import TextFile

DEEPEST = 16
LARGEST_WHOLE = 2**53
_SPACE, _SPACE_IN_LINE = re.compile(r"[ \t\n\r]*"), re.compile(r"[ \t\r]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?(?![0-9])")
_TEXTS = JSONDecoder()
"""Decodes what begins with a quote: control characters are refused, escapes resolved."""
_WORDS = {"true": True, "false": False, "null": None}
_SURROGATE = re.compile("[\ud800-\udfff]")


class JsonReader:
    """Reads values out of a file's text.

    Args:
        file: the text; its limits bound an object's members (columns), a text's characters (cell_characters) and the
            number of all values (twice a full table's).
        as_written: numbers, true and false are given as they are written, and null as the empty text.
        lines: each value stands on a line of its own.
    """

    def __init__(self, file: TextFile, as_written: bool = False, lines: bool = False):
        self._file, self._text, self._as_written = file, file.text, as_written
        self._space, self._lines = _SPACE_IN_LINE if lines else _SPACE, lines
        self._values_left = 2 * file.limits.rows * file.limits.columns

    def whole(self, start: int = 0) -> Any:
        """The one value that the text, or the line that begins here, holds.

        Raises:
            BadRequest: malformed, or beyond the limits.
        """
        value, position = self._value(self._skip(start), 1)
        position = self._skip(position)
        if position < len(self._text) and not (self._lines and self._text.startswith("\n", position)):
            raise self._file.refused(position, "text after the end of the value")
        return value

    def _skip(self, position: int) -> int:
        match = self._space.match(self._text, position)
        return match.end() if match else position

    def _value(self, position: int, depth: int) -> tuple[Any, int]:
        """The value that begins here, and where it ends."""
        self._values_left -= 1
        if self._values_left < 0:
            raise self._file.refused(position, "more values than are taken. Split the file")
        if depth > DEEPEST:
            raise self._file.refused(position, f"nested more than {DEEPEST} deep")
        first = self._text[position : position + 1]
        if first == "{":
            return self._object(position, depth)
        if first == "[":
            return self._list(position, depth)
        if first == '"':
            return self._string(position)
        for word, value in _WORDS.items():
            if self._text.startswith(word, position):
                written = "" if value is None else word
                return (written if self._as_written else value), position + len(word)
        return self._number(position)

    def _object(self, begin: int, depth: int) -> tuple[dict[str, Any], int]:
        self._file.check_time(begin)
        members: dict[str, Any] = {}
        position = self._skip(begin + 1)
        if self._text.startswith("}", position):
            return members, position + 1
        while True:
            if not self._text.startswith('"', position):
                raise self._file.refused(position, "the name of an object's member must stand here, in double quotes")
            name, end = self._string(position)
            if name in members:
                raise self._file.refused(position, "the object has this name twice")
            if len(members) == self._file.limits.columns:
                raise self._file.refused(position, f"the object has more than {len(members)} members")
            colon = self._skip(end)
            if not self._text.startswith(":", colon):
                raise self._file.refused(colon, "a colon must stand here")
            members[name], end = self._value(self._skip(colon + 1), depth + 1)
            position, done = self._next(end, "}")
            if done:
                return members, position

    def _list(self, begin: int, depth: int) -> tuple[list[Any], int]:
        values: list[Any] = []
        position = self._skip(begin + 1)
        if self._text.startswith("]", position):
            return values, position + 1
        while True:
            value, end = self._value(position, depth + 1)
            values.append(value)
            position, done = self._next(end, "]")
            if done:
                return values, position

    def _next(self, end: int, closing: str) -> tuple[int, bool]:
        """After a member: where the next one begins, or where the whole ended, and whether it did."""
        position = self._skip(end)
        if self._text.startswith(closing, position):
            return position + 1, True
        if not self._text.startswith(",", position):
            raise self._file.refused(position, f"a comma or {closing} must stand here")
        return self._skip(position + 1), False

    def _string(self, begin: int) -> tuple[str, int]:
        try:
            value, end = _TEXTS.raw_decode(self._text, begin)
        except JSONDecodeError as error:
            if error.msg.startswith("Unterminated"):
                raise self._file.refused(begin, "the text that begins here is never closed") from error
            control = error.msg.startswith("Invalid control")
            reason = "a control character inside a text; write it as an escape" if control else "a broken escape"
            raise self._file.refused(min(error.pos, len(self._text)), reason) from error
        if len(value) > self._file.limits.cell_characters:
            reason = f"a text of {len(value):,} characters; at most {self._file.limits.cell_characters:,} are taken"
            raise self._file.refused(begin, reason)
        if self._text.find("\\u", begin, end) >= 0:  # only an escape can bring these
            if _SURROGATE.search(value):
                raise self._file.refused(begin, "half of a surrogate pair in this text")
            if "\0" in value:
                raise self._file.refused(begin, "a NUL character in this text")
        return value, end

    def _number(self, begin: int) -> tuple[Any, int]:
        match = _NUMBER.match(self._text, begin)
        if not match:
            reason = (
                "no JSON value. Texts stand in double quotes; NaN, Infinity and numbers with leading zeros are none"
            )
            raise self._file.refused(begin, reason)
        written, end = match.group(), match.end()
        if match.group(1) or match.group(2):
            if not math.isfinite(float(written)):
                raise self._file.refused(begin, "a number too large for a double. Write it as a text")
            return (written if self._as_written else float(written)), end
        if len(written) > 17 or abs(int(written)) > LARGEST_WHOLE:
            raise self._file.refused(
                begin, "a whole number beyond 2^53, which not all programs keep. Write it as a text"
            )
        return (written if self._as_written else int(written)), end
