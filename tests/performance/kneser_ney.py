"""An n-gram model to measure the workbench's model against: interpolated modified Kneser-Ney.

The formulas are Chen and Goodman's (An Empirical Study of Smoothing Techniques for Language Modeling, 1998): counts at
the highest order, numbers of different left neighbours below, three discounts an order, uniform at the bottom.
"""

import numpy as np


class KneserNey:
    """Normalised probabilities of a token after up to `order - 1` others.

    Table n holds the distinct n-grams of the training stream as sorted numbers
    (place of its first n - 1 tokens in table n - 1) * vocab_size + last token; table 1 is the vocabulary itself.

    Args:
        tokens: (N,) the training stream.
        vocab_size: ids are below it.
        order: tokens in the longest n-gram.
    """

    def __init__(self, tokens: np.ndarray, vocab_size: int, order: int = 5):
        if len(tokens) < order:
            raise ValueError(f"a model of order {order} needs at least {order} tokens; got {len(tokens)}")
        self.vocab_size, self.order = vocab_size, order
        stream = tokens.astype(np.int64)
        self._tables: list[np.ndarray] = [np.arange(vocab_size)]
        places = stream
        raw_counts = [np.bincount(stream, minlength=vocab_size)]
        neighbours: list[np.ndarray] = []
        for size in range(2, order + 1):
            keys = places[:-1] * vocab_size + stream[size - 1 :]
            table, first, inverse, count = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
            # The n-gram without its first token starts one place later in the stream.
            neighbours.append(np.bincount(places[first + 1], minlength=len(self._tables[-1])))
            self._tables.append(table)
            raw_counts.append(count)
            places = inverse
        counts = [*neighbours, raw_counts[-1]]
        self._orders = [self._smooth(table, count) for table, count in zip(self._tables, counts, strict=True)]

    def _smooth(self, table: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """For one order: n-grams' discounted counts, contexts' total counts, and their mass for the order below."""
        contexts = table // self.vocab_size
        discount = _discounts(counts)[np.minimum(counts, 3)]
        total = np.bincount(contexts, weights=counts)
        kept_back = np.bincount(contexts, weights=discount)
        return counts - discount, total, kept_back

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Probability of each row's last token after the others; -1 stands for a missing one on the left.

        Args:
            rows: (N, order) token ids.
        """
        rows = rows.astype(np.int64)
        probability = np.full(len(rows), 1 / self.vocab_size)
        for size in range(1, self.order + 1):
            discounted, total, kept_back = self._orders[size - 1]
            context = self._place(rows[:, self.order - size : self.order - 1])
            gram = self._place(rows[:, self.order - size :])
            # The last context of the stream may have no total, because nothing follows it.
            seen = (context >= 0) & (context < len(total))
            seen[seen] = total[context[seen]] > 0
            context = context[seen]
            own = np.where(gram[seen] >= 0, discounted[gram[seen]], 0.0)
            probability[seen] = (own + kept_back[context] * probability[seen]) / total[context]
        return probability

    def _place(self, grams: np.ndarray) -> np.ndarray:
        """(N,) places of n-grams (N, n) in table n; -1 for unseen ones; 0 for the empty n-gram."""
        size = grams.shape[1]
        if size == 0:
            return np.zeros(len(grams), dtype=np.int64)
        place = grams[:, 0]
        for column in range(1, size):
            table = self._tables[column]
            key = place * self.vocab_size + grams[:, column]
            found = np.minimum(np.searchsorted(table, key), len(table) - 1)
            place = np.where((place >= 0) & (grams[:, column] >= 0) & (table[found] == key), found, -1)
        return place

    def bits(self, tokens: np.ndarray, start: int) -> np.ndarray:
        """(N,) bits of each token of a text after those before it; `start` is the token before the first."""
        padded = np.concatenate([np.full(self.order - 2, -1), [start], tokens.astype(np.int64)])
        return -np.log2(self.score(np.lib.stride_tricks.sliding_window_view(padded, self.order)))


def _discounts(counts: np.ndarray) -> np.ndarray:
    """What is taken from counts of 0, 1, 2 and 3 or more, from the numbers of n-grams seen one to four times."""
    once, twice, thrice, four = (float((counts == number).sum()) for number in range(1, 5))
    if 0 in (once, twice, thrice, four):
        return np.array([0, 0.5, 0.75, 1.0])
    base = once / (once + 2 * twice)
    estimates = [1 - 2 * base * twice / once, 2 - 3 * base * thrice / twice, 3 - 4 * base * four / thrice]
    return np.array([0.0] + [min(max(estimate, 0.05), count) for count, estimate in enumerate(estimates, start=1)])
