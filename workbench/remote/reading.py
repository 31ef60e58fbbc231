"""From a server's tokens to those of the local tokenizer, which must be the same one."""

import math
from collections.abc import Iterator, Sequence

from workbench.engine.jobs import Token
from workbench.errors import RemoteFailure
from workbench.remote.documents import Piece, Told, told_id
from workbench.text.tokenizer import Tokenizer

UNFINISHED = "\N{REPLACEMENT CHARACTER}"
"""What a server shows of a token that ends in the middle of a character."""
SPACE, BREAK = "\u0120", "\u010a"
"""As some servers write a token's space and line break: in the vocabulary's own alphabet."""


class TokenReader:
    """The tokens of one text that a server writes, with their numbers.

    A server that tells numbers is taken at its word. Of others a token is known by its text; one whose text does not
    stand for itself alone (half a character) waits for those that complete it. The tokens' texts always join to the
    server's text.
    """

    def __init__(self, tokenizer: Tokenizer, alternatives: int):
        self._tokenizer, self._alternatives = tokenizer, alternatives
        self._waiting: list[Told] = []
        self._text = ""
        """Of those that wait."""

    def read(self, piece: Piece) -> Iterator[Token]:
        """The tokens that are known with one more piece; the one that ended the text too, where it is told."""
        if piece.tokens is None:
            for id_ in self._tokenizer.encode(piece.text):
                yield Token(id_, math.nan, 0)
            return
        tokens = list(piece.tokens)
        over = piece.finish_reason is not None
        last = tokens.pop() if over and self._is_end(piece) else None
        if not self._waiting and all(told.id is not None for told in tokens):
            yield from (self._token(told, told.id or 0) for told in tokens)
        else:
            self._waiting += tokens
            self._text += piece.text
            if over or not self._text.endswith(UNFINISHED):
                yield from self._known()
        if last is not None:
            yield self._token(last, self._tokenizer.eos_id if last.id is None else last.id)

    def _is_end(self, piece: Piece) -> bool:
        """Whether the last token is the one by which the model ended the text, which has no part in it."""
        if piece.finish_reason != "stop" or not piece.tokens:
            return False
        last = piece.tokens[-1]
        if last.id is not None:
            return last.id == self._tokenizer.eos_id
        return last.text in ("", self._tokenizer.eos_token) and not (last.text and piece.text.endswith(last.text))

    def _known(self) -> Iterator[Token]:
        """Those that waited, known by their texts, or by the text that they make together."""
        waiting, text = self._waiting, self._text
        self._waiting, self._text = [], ""
        alone = [self._id(told.text) for told in waiting]
        ids = [id_ for id_ in alone if id_ is not None]
        if len(ids) < len(alone):
            ids = self._tokenizer.encode(text)
        if len(ids) == len(waiting):
            yield from (self._token(told, id_) for told, id_ in zip(waiting, ids, strict=True))
            return
        # The server cuts here as the tokenizer does not: the first piece carries the probability of all of them.
        whole = math.fsum(told.logprob for told in waiting) if waiting else math.nan
        yield from (Token(id_, 0.0 if place else whole, 1) for place, id_ in enumerate(ids))

    def _token(self, told: Told, id_: int) -> Token:
        return known_token(self._tokenizer, told, id_, self._alternatives)

    def _id(self, text: str) -> int | None:
        return id_of(self._tokenizer, text)


def known_token(tokenizer: Tokenizer, told: Told, id_: int, alternatives: int) -> Token:
    """A token with its rank and its rivals among what the server tells of the likeliest.

    One that is less likely than all of them has the rank after theirs, which is the least that it can be.
    """
    rank = 1 + sum(logprob > told.logprob for _, logprob in told.top)
    pairs = ((told_id(text) if told_id(text) is not None else id_of(tokenizer, text), lp) for text, lp in told.top)
    rivals = tuple((rival, logprob) for rival, logprob in pairs if rival is not None)
    return Token(id_, told.logprob, rank, rivals[:alternatives])


def id_of(tokenizer: Tokenizer, text: str) -> int | None:
    """The one token of a text; None where it is none, or several."""
    if text == tokenizer.eos_token:
        return tokenizer.eos_id
    ids = [] if UNFINISHED in text else tokenizer.encode(text)
    return ids[0] if len(ids) == 1 else None


def check_same(tokenizer: Tokenizer, tokens: Sequence[int], told: Sequence[Told]) -> None:
    """Raises RemoteFailure unless the server's tokens are these, as far as their texts tell."""
    for id_, other in zip(tokens, told, strict=False):
        ours, theirs = tokenizer.decode([id_]), other.text.replace(SPACE, " ").replace(BREAK, "\n")
        same = other.id == id_ if other.id is not None else theirs == ours
        # Servers write half a character, and the token that ends a text, each in a way of its own.
        if not same and (other.id is not None or (ours.isascii() and id_ != tokenizer.eos_id)):
            raise RemoteFailure(
                f"The server's tokenizer is another one: where the local one has {ours!r}, it has {theirs[:50]!r}. "
                "Name the folder of its model's tokenizer in WORKBENCH_REMOTE_TOKENIZERS."
            )
