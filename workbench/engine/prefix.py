"""Keys and values of prompts' beginnings, kept from one request to the next.

Some are said to be shared by many requests. Others are kept without being asked: of the latest prompts, so that one
that is tried again, or changed near its end, is not computed from its start.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence

from workbench.engine.handle import Handle
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
    """One beginning, computed by whoever needs it first, a chunk at a time, or copied from who has it.

    Its chunks start at whole multiples from its own start, so its bits depend on its tokens alone.

    `_lock` protects the computation and the lending; a chunk is computed under it, so two threads share the work.

    Args:
        token_bytes: that the keys and values of a token take.
        room: for tokens that its jobs write behind it.
    """

    def __init__(self, tokens: tuple[int, ...], n_layer: int, chunk_tokens: int, token_bytes: int, room: int = GROWTH):
        self._tokens, self._chunk_tokens = tokens, chunk_tokens
        room = grown(len(tokens) + room)
        self.cache = KVCache(n_layer, capacity=room)
        self._planned_bytes = room * token_bytes
        self.is_shared = False
        """Whether it was said to be shared, and asked for as such lately."""
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

    def common(self, tokens: tuple[int, ...]) -> int:
        """How many tokens of a text are computed here, in whole chunks; never its last token."""
        most, size = min(self._fed, len(tokens) - 1), self._chunk_tokens
        at = 0
        while at + size <= most and self._tokens[at : at + size] == tokens[at : at + size]:
            at += size
        return at

    def give(self, cache: KVCache, length: int) -> None:
        """Puts the first `length` tokens into an empty cache, which then is as if it had computed them itself."""
        with self._lock:
            _copy(self.cache, cache, length, self._chunk_tokens)

    def take(self, cache: KVCache) -> None:
        """Takes all its tokens from a cache that begins with them, unless somebody has begun to compute it."""
        with self._lock:
            if self._fed:
                return
            self.cache.trim(0)
            _copy(cache, self.cache, len(self._tokens), self._chunk_tokens)
            self._fed = len(self._tokens)

    def _copy(self, room: int) -> KVCache:
        length = len(self._tokens)
        twin = KVCache(len(self.cache), capacity=grown(length + room))
        for layer in range(len(self.cache)):
            keys, values = self.cache[layer]
            twin.extend(layer, keys[:, :, :length], values[:, :, :length])
        return twin


def most_kept_bytes(context_bytes: int) -> int:
    """The most that the prefixes of a model hold for long, from the keys and values of its context."""
    return min(MOST_PREFIXES * MOST_STORES * context_bytes, max(MOST_BYTES, context_bytes))


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
            prefix.is_shared = True
            self._kept.move_to_end(tokens)
            while len(self._kept) > 1 and (len(self._kept) > MOST_PREFIXES or self.bytes > MOST_BYTES):
                self._kept.popitem(last=False)
            return prefix

    def begin(self, tokens: tuple[int, ...], cache: KVCache) -> int:
        """Fills an empty cache with as much of a text's beginning as is kept; gives how many tokens that is."""
        with self._lock:
            found = max(self._kept.items(), key=lambda kept: kept[1].common(tokens), default=None)
            length = 0 if found is None else found[1].common(tokens)
            if found is None or length < SMALLEST_PREFIX:
                return 0
            self._kept.move_to_end(found[0])
        found[1].give(cache, length)
        return length

    def keep(self, tokens: tuple[int, ...], cache: KVCache, chunk_tokens: int, token_bytes: int) -> None:
        """Keeps the whole chunks of a prompt that a cache holds, as many as the bytes allow; the oldest go for it."""
        most = min(len(tokens), MOST_BYTES // token_bytes // GROWTH * GROWTH)
        tokens = tokens[: most // chunk_tokens * chunk_tokens]
        if len(tokens) < SMALLEST_PREFIX:
            return
        with self._lock:
            whole = next((kept for kept in self._kept if kept[: len(tokens)] == tokens), None)
            if whole is not None:
                self._kept.move_to_end(whole)
                return
            if not self._make_room(tokens, grown(len(tokens)) * token_bytes):
                return
            prefix = self._kept[tokens] = Prefix(tokens, len(cache), chunk_tokens, token_bytes, room=0)
        prefix.take(cache)  # the copy holds up nobody; until it is made, nothing is found here

    def _make_room(self, tokens: tuple[int, ...], planned: int) -> bool:
        """Drops the beginnings of a plain prompt, and the oldest others; gives whether there is room then.

        What is shared stays: it gives way to the next prompt if nobody asks for it until then.
        """
        shared = [kept for kept in self._kept.values() if kept.is_shared]
        if len(shared) >= MOST_PREFIXES or sum(kept.bytes for kept in shared) + planned > MOST_BYTES:
            for kept in shared:
                kept.is_shared = False
            return False
        plain = [key for key, kept in self._kept.items() if not kept.is_shared]
        for place in sorted(plain, key=lambda key: tokens[: len(key)] != key):
            is_full = len(self._kept) >= MOST_PREFIXES or self.bytes + planned > MOST_BYTES
            if is_full or tokens[: len(place)] == place:
                del self._kept[place]
        return True

    def clear(self) -> None:
        """Drops all; jobs under way keep what they work with."""
        with self._lock:
            self._kept.clear()


def grown(tokens: int) -> int:
    """The room that a cache of so many tokens takes."""
    return -(-tokens // GROWTH) * GROWTH


def _copy(held: KVCache, empty: KVCache, length: int, chunk_tokens: int) -> None:
    """Gives an empty cache another's first tokens."""
    # The first chunk by itself, as when it is computed: the room that a cache takes depends on what comes first.
    for start, end in ((0, min(chunk_tokens, length)), (min(chunk_tokens, length), length)):
        for layer in range(len(held)):
            keys, values = held[layer]
            empty.extend(layer, keys[:, :, start:end], values[:, :, start:end])
