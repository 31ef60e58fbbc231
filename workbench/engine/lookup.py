"""Guesses of what a stream writes next, from what its text already holds: prompt lookup (Saxena, 2023).

Answers quote passages, summaries copy, lists repeat their form. Where the latest tokens stood earlier in the text, what
followed them there is a good guess. A guess costs a row of the next step and never changes what is written.
"""

from collections.abc import Iterable

NGRAMS = (4, 3, 2)
"""Latest tokens to look for, the surer match first."""
FIRST_GUESS, LONGEST_GUESS = 4, 8
LONGEST_PAUSE = 32
"""Steps without guesses after many that were wrong."""


class Lookup:
    """The guesses of one stream: longer ones while they come true, rarer ones while they do not.

    Args:
        tokens: the prompt.
    """

    def __init__(self, tokens: Iterable[int]):
        self._tokens: list[int] = []
        self._after: list[dict[tuple[int, ...], int]] = [{} for _ in NGRAMS]
        """For each length the n-grams of the text, with where the token after the latest of them stands."""
        self._length = FIRST_GUESS
        self._misses = self._pause = 0
        self.drafted = self.accepted = 0
        """Tokens guessed so far, and how many of them came."""
        for token in tokens:
            self.add(token)

    def add(self, token: int) -> None:
        """One more token of the text."""
        end = len(self._tokens)
        for size, after in zip(NGRAMS, self._after, strict=True):
            if end >= size:
                after[tuple(self._tokens[end - size :])] = end
        self._tokens.append(token)

    def draft(self, most: int) -> tuple[int, ...]:
        """At most so many tokens that may come next; none where nothing is found, or guessing did not pay."""
        if most <= 0:
            return ()
        if self._pause:
            self._pause -= 1
            return ()
        place = self._found()
        if place is None:
            return ()
        guess: list[int] = []
        period = len(self._tokens) - place
        for at in range(min(most, self._length)):  # past the text's end the guess goes on with itself
            guess.append(self._tokens[place + at] if at < period else guess[at - period])
        return tuple(guess)

    def judge(self, drafted: int, accepted: int) -> None:
        """What became of the latest guess: how many tokens it had, and how many of them came."""
        self.drafted += drafted
        self.accepted += accepted
        if accepted == drafted:
            self._length = min(2 * self._length, LONGEST_GUESS)
        else:
            self._length = max(1, self._length // 2, accepted)
        self._misses = 0 if accepted else self._misses + 1
        self._pause = 0 if accepted else min(2 ** min(self._misses, 6) - 2, LONGEST_PAUSE)

    def _found(self) -> int | None:
        """Where the token after the latest match stands."""
        for size, after in zip(NGRAMS, self._after, strict=True):
            place = after.get(tuple(self._tokens[-size:]))
            if place is not None:
                return place
        return None
