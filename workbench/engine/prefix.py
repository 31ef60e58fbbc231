"""Keys and values of the beginnings that many requests share, kept from one request to the next."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from workbench.engine.jobs import Handle
from workbench.gptj.cache import GROWTH, KVCache

MOST_PREFIXES = 4
MOST_BYTES = 2**30
"""Of all prefixes. One alone may take more: what its jobs wrote behind it, up to the keys and values of a context."""
MOST_STORES = 2
"""Of one prefix, where there is room: as many jobs go on from it side by side without copying it each time."""
SMALLEST_PREFIX = 16
"""Tokens; fewer are computed faster than they are looked up and copied."""

Compute = Callable[[Sequence[int], KVCache], object]
"""Runs a stream's next tokens through the model, extending its cache."""


class Prefix:
    """One beginning, computed by whoever needs it first, a chunk at a time.

    Its chunks start at whole multiples from its own start, so its bits depend on its tokens alone.

    `_lock` protects the computation and the lending; a chunk is computed under it, so two threads share the work.

    Args:
        token_bytes: that the keys and values of a token take.
    """

    def __init__(self, tokens: tuple[int, ...], n_layer: int, chunk_tokens: int, token_bytes: int):
        self._tokens, self._chunk_tokens = tokens, chunk_tokens
        room = -(-(len(tokens) + GROWTH) // GROWTH) * GROWTH
        self.cache = KVCache(n_layer, capacity=room)
        self._planned_bytes = room * token_bytes
        self._fed = 0
        self._stores: list[tuple[KVCache, Handle | None]] = [(self.cache, None)]
        """What is lent, with the job that has it."""
        self._lock = threading.Lock()

    @property
    def length(self) -> int:
        """Its tokens."""
        return len(self._tokens)

    @property
    def bytes(self) -> int:
        """Held by its keys and values, once they are computed."""
        return max(self._planned_bytes, sum(cache.bytes for cache, _ in self._stores))

    @property
    def done(self) -> bool:
        """Whether all its tokens are in the cache."""
        return self._fed == len(self._tokens)

    def step(self, compute: Compute) -> None:
        """The next chunk, if any is left."""
        with self._lock:
            if self.done:
                return
            chunk = self._tokens[self._fed : self._fed + self._chunk_tokens]
            self.cache.trim(self._fed)  # a chunk that failed may have left some layers longer than others
            compute(chunk, self.cache)
            self._fed += len(chunk)

    def lend(self, handle: Handle) -> KVCache:
        """The keys and values to go on from: ones that nobody else has now, copied only where there are none.

        Args:
            handle: of the job that borrows them; it gives them back by ending.
        """
        with self._lock:
            for place, (cache, holder) in enumerate(self._stores):
                if holder is None or holder.done:
                    cache.trim(len(self._tokens))
                    self._stores[place] = (cache, handle)
                    return cache
            twin = self._copy(0)
            if len(self._stores) < MOST_STORES and self.bytes + twin.bytes <= MOST_BYTES:
                self._stores.append((twin, handle))
            return twin

    def copy(self, room: int) -> KVCache:
        """Keys and values of one's own, with room for so many tokens more."""
        with self._lock:
            return self._copy(room)

    def _copy(self, room: int) -> KVCache:
        length = len(self._tokens)
        twin = KVCache(len(self.cache), capacity=-(-(length + room) // GROWTH) * GROWTH)
        for layer in range(len(self.cache)):
            keys, values = self.cache[layer]
            twin.extend(layer, keys[:, :, :length], values[:, :, :length])
        return twin


class Prefixes:
    """The last few prefixes. `_lock` protects the table; prefixes have locks of their own."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def bytes(self) -> int:
        """Held by keys and values."""
        return sum(prefix.bytes for prefix in self._kept.values())

    def get(self, tokens: tuple[int, ...], n_layer: int, chunk_tokens: int, token_bytes: int) -> Prefix:
        """The prefix of these tokens, a fresh one if it is not kept; those not asked for the longest go."""
        with self._lock:
            prefix = self._kept.get(tokens)
            if prefix is None:
                prefix = self._kept[tokens] = Prefix(tokens, n_layer, chunk_tokens, token_bytes)
            self._kept.move_to_end(tokens)
            while len(self._kept) > 1 and (len(self._kept) > MOST_PREFIXES or self.bytes > MOST_BYTES):
                self._kept.popitem(last=False)
            return prefix

    def clear(self) -> None:
        """Drops all; jobs under way keep what they work with."""
        with self._lock:
            self._kept.clear()
