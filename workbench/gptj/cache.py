"""Keys and values of earlier tokens, so that a token is computed once.

The cache is an argument of the forward pass, never hidden in a module. `KVCache` serves a batch whose rows have the
same length; `CacheRows` lets streams of different lengths, each with its own `KVCache`, decode together, a token a row.
"""

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import torch
from torch import Tensor
from torch.nn import functional as F

GROWTH = 256
"""A cache grows by whole steps of this many tokens, so that most extensions copy nothing."""

AttendRows = Callable[[Tensor, Sequence[Tensor], Sequence[Tensor]], Tensor]
"""Attention of N queries, each over tokens of its own: (N, H, D), N keys and N values (H, S_n, D) -> (N, H, D)."""


class KVCache:
    """Keys and values of B rows of equal length, one pair a layer.

    `cache[layer]` gives the pair, each (B, H, S, D); `len(cache)` is the number of layers.

    Args:
        n_layer: layers of the model.
        capacity: tokens to make room for at the first use; it grows when more come.
    """

    def __init__(self, n_layer: int, capacity: int = 0):
        self._capacity = capacity
        self._keys: list[Tensor | None] = [None] * n_layer
        self._values: list[Tensor | None] = [None] * n_layer
        self._lengths = [0] * n_layer

    def __len__(self) -> int:
        return len(self._keys)

    def __getitem__(self, layer: int) -> tuple[Tensor, Tensor]:
        keys, values = self._keys[layer], self._values[layer]
        if keys is None or values is None:
            raise IndexError(f"layer {layer} has no keys yet")
        return keys[:, :, : self._lengths[layer]], values[:, :, : self._lengths[layer]]

    @property
    def length(self) -> int:
        """S: tokens held so far."""
        return self._lengths[0]

    @property
    def bytes(self) -> int:
        """Bytes allocated for keys and values."""
        held = [tensor for tensor in (*self._keys, *self._values) if tensor is not None]
        return sum(tensor.numel() * tensor.element_size() for tensor in held)

    def positions(self, tokens: int, device: torch.device) -> Tensor:
        """The positions of the next tokens, (1, T)."""
        return torch.arange(self.length, self.length + tokens, device=device)[None]

    def extend(self, layer: int, keys: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Appends (B, H, T, D) and gives all keys and values, each (B, H, S + T, D).

        Raises:
            ValueError: the cache holds another number of rows.
        """
        held = self._keys[layer]
        if held is not None and held.shape[0] != keys.shape[0]:
            raise ValueError(f"past_key_values holds {held.shape[0]} rows, and tokens of {keys.shape[0]} rows came")
        start = self._lengths[layer]
        end = start + keys.shape[2]
        if torch.is_grad_enabled():  # writing in place would spoil what the backward pass needs
            if start:
                earlier_keys, earlier_values = self[layer]
                keys, values = torch.cat([earlier_keys, keys], 2), torch.cat([earlier_values, values], 2)
            self._keys[layer], self._values[layer], self._lengths[layer] = keys, values, end
            return keys, values
        key_store = self._reserve(self._keys[layer], keys, start, end)
        value_store = self._reserve(self._values[layer], values, start, end)
        key_store[:, :, start:end] = keys
        value_store[:, :, start:end] = values
        self._keys[layer], self._values[layer], self._lengths[layer] = key_store, value_store, end
        return key_store[:, :, :end], value_store[:, :, :end]

    def copy(self, length: int | None = None) -> "KVCache":
        """An independent cache of the first `length` tokens; None means all of them."""
        length = self.length if length is None else length
        twin = KVCache(len(self), self._capacity)
        for layer in range(len(self)):
            keys, values = (held[:, :, :length] for held in self[layer])
            if torch.is_grad_enabled():  # then `extend` keeps the very tensors it is given
                keys, values = keys.clone(), values.clone()
            twin.extend(layer, keys, values)
        return twin

    def trim(self, length: int) -> None:
        """Forgets the tokens past `length`."""
        self._lengths = [min(held, length) for held in self._lengths]

    def _reserve(self, store: Tensor | None, like: Tensor, start: int, end: int) -> Tensor:
        if store is not None and store.shape[2] >= end:
            return store
        room = max(-(-end // GROWTH) * GROWTH, self._capacity)
        rows, heads, _, width = like.shape
        larger = torch.empty(rows, heads, room, width, dtype=like.dtype, device=like.device)
        if store is not None:
            larger[:, :, :start] = store[:, :, :start]
        return larger


class CacheRows:
    """Streams of different lengths that decode together, a token a row, each over its own cache.

    A stream may bring several consecutive tokens: each looks at the stream's tokens up to itself. Attention is computed
    row by row, so a row's result cannot depend on who else is decoding. Rows past the streams' are padding: they keep
    the batch's shape, hence the bits of the matrix products, the same for any number of streams.

    Args:
        streams: the cache of each row, holding one row itself; rows of one stream stand next to each other.
        width: B, the rows of the batch; at least the number of the streams' rows.
        attend: how the rows' attention is computed; no row's result may depend on another.
    """

    def __init__(self, streams: Sequence[KVCache], width: int, attend: AttendRows | None = None):
        groups = [list(rows) for _, rows in groupby(streams, key=id)]
        self._streams = [(rows[0], len(rows)) for rows in groups]
        self._rows, self._width = len(streams), width
        self._attend = attend or attend_rows

    def positions(self, tokens: int, device: torch.device) -> Tensor:
        """Each row's position, (B, 1); padding rows stand at 0."""
        taken = [cache.length + place for cache, count in self._streams for place in range(count)]
        return torch.tensor(taken + [0] * (self._width - self._rows), device=device)[:, None]

    def attend(self, layer: int, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Attention of one new token a row: (B, H, 1, D) each -> (B, H, 1, D)."""
        row_keys: list[Tensor] = []
        row_values: list[Tensor] = []
        for cache, count in self._streams:
            mine = slice(len(row_keys), len(row_keys) + count)
            # Rows of the batch become tokens of the stream: (n, H, 1, D) -> (1, H, n, D).
            every_key, every_value = cache.extend(layer, keys[mine].transpose(0, 2), values[mine].transpose(0, 2))
            end = every_key.shape[2] - count + 1
            row_keys += [every_key[0, :, : end + place] for place in range(count)]
            row_values += [every_value[0, :, : end + place] for place in range(count)]
        attended = torch.zeros_like(queries)
        attended[: self._rows, :, 0] = self._attend(queries[: self._rows, :, 0], row_keys, row_values)
        return attended


def attend_rows(queries: Tensor, keys: Sequence[Tensor], values: Sequence[Tensor]) -> Tensor:
    """Attention of each query over its own tokens: (N, H, D), N keys and N values (H, S_n, D) -> (N, H, D)."""
    # The fused kernel is slow for one bfloat16 query on a CPU: two matrix-vector products take a fraction of its time.
    written_out = queries.device.type == "cpu" and queries.dtype == torch.bfloat16
    one = _attend_written_out if written_out else _attend_fused
    # A copy: with odd widths its place in memory differs from row to row, and so would the kernel's bits.
    each = zip(queries, keys, values, strict=True)
    return torch.stack([one(query.clone(), mine, told) for query, mine, told in each])


def _attend_fused(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query[None, :, None], keys[None], values[None])[0, :, 0]


def _attend_written_out(query: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    scores = (keys @ query[:, :, None]).float() / math.sqrt(query.shape[-1])  # (H, S, 1)
    weights = torch.softmax(scores, dim=1).to(values.dtype)
    return (weights.transpose(1, 2) @ values)[:, 0]
