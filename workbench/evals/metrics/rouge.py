"""ROUGE (Lin, 2004): how much of a reference text's wording a text has.

Figures equal those of Google's `rouge_score` with use_stemmer=True.
"""

import re
from collections import Counter
from collections.abc import Sequence

from workbench.evals.metrics.porter import stem

_BETWEEN_WORDS = re.compile(r"[^a-z0-9]+")
_LONGEST_UNSTEMMED = 3

Words = Sequence[str]


def rouge(prediction: str, reference: str) -> dict[str, float]:
    """F-measures from 0 to 1.

    `rouge1` and `rouge2` are of single words and pairs, `rougeL` is of the longest common subsequence, `rougeLsum` of
    those of each line of the one with each line of the other (a line is a sentence).
    """
    said, right = words(prediction), words(reference)
    return {
        "rouge1": _of_ngrams(said, right, 1),
        "rouge2": _of_ngrams(said, right, 2),
        "rougeL": _f_measure(common_subsequence(said, right), len(said), len(right)),
        "rougeLsum": _of_lines(_lines(prediction), _lines(reference)),
    }


def words(text: str) -> list[str]:
    """Runs of ASCII letters and digits in lower case, stemmed where they are longer than three."""
    return [
        stem(word) if len(word) > _LONGEST_UNSTEMMED else word for word in _BETWEEN_WORDS.split(text.lower()) if word
    ]


def common_subsequence(first: Words, second: Words) -> int:
    """The length of the longest common subsequence, by bits instead of a table (Hyyrö, 2004)."""
    places: dict[str, int] = {}
    for place, word in enumerate(first):
        places[word] = places.get(word, 0) | 1 << place
    everywhere = (1 << len(first)) - 1
    free = everywhere  # a bit falls where the subsequence grows
    for word in second:
        matching = free & places.get(word, 0)
        free = ((free + matching) | (free - matching)) & everywhere
    return len(first) - free.bit_count()


def _lines(text: str) -> list[list[str]]:
    return [words(line) for line in text.split("\n") if line]


def _of_ngrams(said: Words, right: Words, n: int) -> float:
    in_said, in_right = _ngrams(said, n), _ngrams(right, n)
    return _f_measure((in_said & in_right).total(), in_said.total(), in_right.total())


def _ngrams(text: Words, n: int) -> Counter[tuple[str, ...]]:
    return Counter(tuple(text[start : start + n]) for start in range(len(text) - n + 1))


def _of_lines(said: Sequence[Words], right: Sequence[Words]) -> float:
    """Of the words that each line of the reference has in common with some line of the prediction, each once."""
    if len(said) == len(right) == 1:  # the same without a table, which two long lines would make a large one
        return _f_measure(common_subsequence(said[0], right[0]), len(said[0]), len(right[0]))
    left_said = Counter(word for line in said for word in line)
    left_right = Counter(word for line in right for word in line)
    total_said, total_right, hits = left_said.total(), left_right.total(), 0
    for line in right:
        for place in sorted({place for other in said for place in _common_places(line, other)}):
            word = line[place]
            if left_said[word] > 0 and left_right[word] > 0:
                hits += 1
                left_said[word] -= 1
                left_right[word] -= 1
    return _f_measure(hits, total_said, total_right)


def _common_places(line: Words, other: Words) -> list[int]:
    """Where in a line the words of a longest common subsequence stand, from the last to the first."""
    lengths = [[0] * (len(other) + 1) for _ in range(len(line) + 1)]
    for i, word in enumerate(line, 1):
        for j, counterpart in enumerate(other, 1):
            same = word == counterpart
            lengths[i][j] = lengths[i - 1][j - 1] + 1 if same else max(lengths[i - 1][j], lengths[i][j - 1])
    places, i, j = [], len(line), len(other)
    while i and j:
        if line[i - 1] == other[j - 1]:
            i, j = i - 1, j - 1
            places.append(i)
        elif lengths[i][j - 1] > lengths[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places


def _f_measure(hits: int, said: int, right: int) -> float:
    """Harmonic mean of precision and recall; 0 where nothing is right."""
    if not hits:
        return 0.0
    precision, recall = hits / said, hits / right
    return 2 * precision * recall / (precision + recall)
