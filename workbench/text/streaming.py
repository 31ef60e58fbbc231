"""Turns a stream of tokens into a stream of text that never has to be taken back."""

import codecs
from collections.abc import Callable, Sequence

from workbench.errors import BadRequest
from workbench.text.tokenizer import Tokenizer

LONGEST_CHARACTER_BYTES = 4


class TextStream:
    """The text of one request, piece by piece.

    Two things are held back: the bytes of a character that is not complete, and an end of the text that may be the
    beginning of a stop string. The pieces therefore join to what decoding all tokens at once gives, cut before the stop
    string. Of several stop strings the one completed first counts; of those completed together, the longest.

    Args:
        prompt_ids: the tokens before; where they end in half a character, its other half completes it here.
        stop: texts that end the request; none may be empty.
    """

    def __init__(self, tokenizer: Tokenizer, prompt_ids: Sequence[int] = (), stop: Sequence[str] = ()):
        if "" in stop:
            raise BadRequest("A stop string is empty; it would stop before the first character.")
        self.stopped: str | None = None
        """The stop string that ended the text."""
        self._tokenizer = tokenizer
        self._stop = tuple(stop)
        self._held = ""
        self._characters = codecs.getincrementaldecoder("utf-8")(errors="replace")
        tail = b""
        for token_id in reversed(prompt_ids):
            if len(tail) >= LONGEST_CHARACTER_BYTES:
                break
            tail = tokenizer.token_bytes(token_id) + tail
        self._characters.decode(tail)

    def push(self, token_id: int) -> str:
        """The text that became certain with one more token; empty while it is held back, and after a stop string."""
        if self.stopped is not None:
            return ""
        return self._release(self._characters.decode(self._tokenizer.token_bytes(token_id)))

    def finish(self) -> str:
        """The rest: what was held back for a stop string that did not come, and U+FFFD for a half character."""
        if self.stopped is not None:
            return ""
        piece = self._release(self._characters.decode(b"", final=True))
        if self.stopped is None:
            piece, self._held = piece + self._held, ""
        return piece

    def _release(self, text: str) -> str:
        """Add text at the end and take what is certain from the front."""
        text = self._held + text
        found = [(start + len(stop), start, stop) for stop in self._stop if (start := text.find(stop)) >= 0]
        if found:
            _, start, self.stopped = min(found)
            self._held = ""
            return text[:start]
        certain = len(text) - self._possible_stop(text)
        self._held = text[certain:]
        return text[:certain]

    def _possible_stop(self, text: str) -> int:
        """Length of the longest end of a text that begins a stop string."""
        longest = max((len(stop) for stop in self._stop), default=1) - 1
        for length in range(min(longest, len(text)), 0, -1):
            ending = text[-length:]
            if any(stop.startswith(ending) for stop in self._stop):
                return length
        return 0


def text_ends(tokenizer: Tokenizer, prompt_ids: Sequence[int], stop: Sequence[str]) -> Callable[[int], bool] | None:
    """Tells of token after token whether a stop string has come with it; None where there are no stop strings."""
    if not stop:
        return None
    stream = TextStream(tokenizer, prompt_ids, stop)

    def ends(token_id: int) -> bool:
        stream.push(token_id)
        return stream.stopped is not None

    return ends
