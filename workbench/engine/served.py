"""The model as the engine serves it, and the one way a prompt enters its cache."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from workbench.engine.jobs import check_whole
from workbench.engine.prefix import MOST_BYTES, SMALLEST_PREFIX, Prefix, Prefixes
from workbench.engine.sampling import check_finite
from workbench.errors import BadRequest, TooLong
from workbench.gptj.cache import AttendRows, CacheRows, KVCache, attend_rows
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.gptj.lora import Adapter
from workbench.gptj.model import GPTJForCausalLM
from workbench.kernels.rows import MOST_ROWS, row_linear

Following = tuple[tuple[int, ...], KVCache]
"""A stream's next tokens, over its cache."""
AnyModel = GPTJForCausalLM | GPTJForSequenceClassification | GPTJForQuestionAnswering


@dataclass(frozen=True)
class ServedHead:
    """A head over hidden states, and what the trunk gets added while it reads."""

    module: nn.Module
    adapter: Adapter | None = None

    @contextmanager
    def attached(self, model: AnyModel) -> Iterator[None]:
        """The trunk as this head knows it, while the context lasts."""
        if self.adapter is None:
            yield
        else:
            with self.adapter.attached(model):
                yield

    def read(self, states: Tensor) -> Tensor:
        """(T, C) -> the head's output, computed in the head's own type, where it is."""
        weight = next(self.module.parameters(), states.new_empty(0, dtype=torch.float32))
        device = states.device if weight.is_meta else weight.device  # one on disk is fetched to where it is needed
        output: Tensor = self.module(states.to(device, weight.dtype))
        return output


@dataclass(frozen=True)
class Served:
    """A model, how it is stepped, and the heads that share its trunk."""

    model: AnyModel
    chunk_tokens: int
    """Tokens a prefill step computes. Chunks start at whole multiples, so their bits depend on the prompt alone."""
    row_block: int
    """Rows of a decoding step. A matrix product's bits depend on its number of rows, so steps always have this many;
    0 takes as many rows as there are: where rows look at each other anyway, or each is computed for itself."""
    fill_rows: int
    """Where `row_block` is 0: guessed tokens may fill a decoding step up to so many rows, each computed for itself."""
    known_tokens: int
    """Ids from here on have no token and are never drawn."""
    heads: dict[str, ServedHead] = field(default_factory=dict)
    """By name. Heads are added and taken away from any thread; jobs hold the one they began with."""
    attend: AttendRows = attend_rows
    """How the attention of a decoding step's rows is computed."""
    reads_head_once: bool = False
    """Whether the language-model head's few rows of a decoding step have a kernel of their own."""
    prefixes: Prefixes = field(default_factory=Prefixes)
    """Beginnings that many requests share."""

    @property
    def context(self) -> int:
        """n_positions: the most tokens a stream can hold."""
        return self.model.config.n_positions

    @property
    def end_tokens(self) -> tuple[int, ...]:
        """Tokens that end a text, beside the tokenizer's own."""
        return tuple(self.model.config.end_tokens)

    @property
    def device(self) -> torch.device:
        """Where token ids enter."""
        return input_device(self.model)

    def add_head(self, name: str, module: nn.Module, adapter: Adapter | None) -> None:
        """One more head for the jobs to come; the trunk stays in memory once for all of them.

        Args:
            name: what jobs call it; an earlier head of this name is replaced.
            adapter: what the trunk gets added while a job of this head computes, and no other.
        """
        last = self.model.transformer.ln_f.weight.device
        module.to("cpu" if last.type == "meta" else last)
        if adapter is not None:
            adapter.place(self.model)
        self.heads[name] = ServedHead(module, adapter)

    def check_writes(self) -> None:
        """Raises BadRequest if the model has no language-model head: it can't write, or tell how likely a text is."""
        _ = self._lm_head

    def check_room(self, tokens: int, more: int) -> None:
        """Raises TooLong unless `tokens`, and `more` after them, fit the context."""
        if tokens + more > self.context:
            raise TooLong(
                f"The text has {tokens:,} tokens and needs room for {more:,} more; the model's context is "
                f"{self.context:,}. Shorten it by {tokens + more - self.context:,} tokens."
            )

    def check_tokens(self, tokens: Iterable[int]) -> None:
        """Raises BadRequest unless every token has a row in the embedding: a stray id would fail the others' step."""
        for token in tokens:
            check_whole("a token's id", token, 0, self.model.config.vocab_size - 1)

    def check_known(self, tokens: Iterable[int]) -> None:
        """Raises BadRequest at a token that is only a column of the output: it has no text and is never drawn."""
        for token in tokens:
            if token >= self.known_tokens:
                raise BadRequest(
                    f"The model has no token {token}: its tokens are 0 to {self.known_tokens - 1}. Choose one of them."
                )

    def hidden(self, tokens: Sequence[int], cache: KVCache) -> Tensor:
        """States after the last LayerNorm of one stream's next tokens, (T, C); extends its cache.

        Raises:
            NumericalFailure: one is no number; then neither are the keys and values, which nobody may keep.
        """
        states = self._trunk([list(tokens)], cache)[0]
        check_finite(states)
        return states

    def states(
        self, tokens: Sequence[int], positions: Sequence[int], mask: Tensor | None, cache: KVCache | None
    ) -> Tensor:
        """States of tokens that look where a mask (1, 1, T, S) lets them, (T, C); extends the cache, if there is one.

        Args:
            positions: of each token in its own text.
            mask: None: each token looks at all before it.
        """
        device = self.device
        found = self.model.transformer(
            torch.tensor([tokens], device=device),
            past_key_values=cache,
            attention_mask=None if mask is None else mask.to(device),
            position_ids=torch.tensor([positions], device=device),
            use_cache=cache is not None,
        )
        return found.last_hidden_state[0]

    def shared_tokens(self, shared: int, tokens: int) -> int:
        """How many of a text's first tokens are taken from the kept prefixes; 0 where that would bring nothing.

        Args:
            shared: tokens that the text is said to share with others.
            tokens: of the whole text, whose last one is always computed.
        """
        shared = min(shared, tokens - 1)
        return shared if shared >= SMALLEST_PREFIX and shared * self._token_bytes <= MOST_BYTES else 0

    def prefix(self, tokens: tuple[int, ...]) -> Prefix:
        """The kept keys and values of a beginning."""
        return self.prefixes.get(tokens, self.model.config.n_layer, self.chunk_tokens, self._token_bytes)

    def keep(self, tokens: tuple[int, ...], cache: KVCache) -> None:
        """Keeps what a cache holds of a prompt for the next that begins like it, if there is memory for it."""
        try:
            self.prefixes.keep(tokens, cache, self.chunk_tokens, self._token_bytes)
        except Exception as error:  # a copy that finds no room: the request goes on without
            if not is_out_of_memory(error):
                raise
            self.prefixes.clear()

    @property
    def _token_bytes(self) -> int:
        """Of a token's keys and values."""
        config = self.model.config
        return 2 * config.n_layer * config.n_embd * self.model.transformer.ln_f.weight.element_size()

    def logits(self, hidden: Tensor) -> Tensor:
        """(T, C) -> (T, V) in float32 on the CPU, where sampling takes place."""
        head = self._lm_head
        if self.reads_head_once and len(hidden) <= MOST_ROWS:
            return row_linear(hidden, head.weight, head.bias)
        logits: Tensor = head(hidden)
        return logits.float().cpu()

    def spare_rows(self, rows: int) -> int:
        """How many more rows a decoding step of so many takes at next to no cost; none on a GPU, not measured there."""
        if self.device.type != "cpu":
            return 0
        return -rows % self.row_block if self.row_block else max(0, self.fill_rows - rows)

    def decode(self, streams: Sequence[Following]) -> Tensor:
        """Logits after each of the streams' next tokens, (tokens, V); extends each stream's cache.

        A token is a row of the step, whichever stream it belongs to.
        """
        rows = [(token, cache) for tokens, cache in streams for token in tokens]
        most = self.row_block or (MOST_ROWS if self.reads_head_once else len(rows))
        parts = []
        for start in range(0, len(rows), most):
            group = rows[start : start + most]
            width = self.row_block or len(group)
            ids = [[token] for token, _ in group] + [[0]] * (width - len(group))
            hidden = self._trunk(ids, CacheRows([cache for _, cache in group], width, self.attend))
            parts.append(self.logits(hidden[:, 0])[: len(group)])
        return torch.cat(parts)

    @property
    def _lm_head(self) -> nn.Linear:
        if isinstance(self.model, GPTJForCausalLM):
            return self.model.lm_head
        what = "classifier" if isinstance(self.model, GPTJForSequenceClassification) else "span reader"
        raise BadRequest(
            f"This checkpoint is a trained {what}: it has no language-model head, so it can neither write text nor "
            "tell how likely one is. Ask its own head, or choose a checkpoint with a language-model head."
        )

    def _trunk(self, tokens: list[list[int]], cache: KVCache | CacheRows) -> Tensor:
        ids = torch.tensor(tokens, device=self.device)
        return self.model.transformer(ids, past_key_values=cache).last_hidden_state


class Prefill:
    """Runs a stream's prompt through the model chunk by chunk.

    Args:
        tokens: the prompt.
        room: tokens to keep free in the cache for what follows.
        shared: how many of the first tokens other requests begin with too.
        fresh: every chunk's states are wanted, so nothing that is kept is taken, and nothing is kept.
    """

    def __init__(self, served: Served, tokens: tuple[int, ...], room: int = 0, shared: int = 0, fresh: bool = False):
        self._served, self._tokens, self._room = served, tokens, room
        shared = served.shared_tokens(shared, len(tokens))
        # What many requests share is kept as such; their own ends would only push each other out.
        self._kept = not fresh and not shared
        self._prefix = served.prefix(tokens[:shared]) if shared else None
        self._fed = 0
        self.cache = KVCache(served.model.config.n_layer, capacity=len(tokens) + room)

    @property
    def done(self) -> bool:
        """Whether all tokens are in the cache."""
        return self._fed == len(self._tokens)

    def step(self) -> Tensor:
        """The next chunk's states, (T, C); none of them, (0, C), for a chunk that others share."""
        if self._prefix is not None:
            self._prefix.step(self._served.hidden)
            if self._prefix.done:
                self.cache = self._prefix.copy(len(self._tokens) + self._room - self._prefix.length)
                self._fed, self._prefix = self._prefix.length, None
            return torch.empty(0, self._served.model.config.n_embd)
        if self._kept and not self._fed:
            self._fed = self._served.prefixes.begin(self._tokens, self.cache)
        chunk = self._tokens[self._fed : self._fed + self._served.chunk_tokens]
        hidden = self._served.hidden(chunk, self.cache)
        self._fed += len(chunk)
        if self._kept and self.done:
            self._served.keep(self._tokens, self.cache)
        return hidden


_NO_MEMORY = ("allocate memory", "can't start new thread")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation failed; PyTorch on a CPU, and a thread without a stack, say so by their words alone."""
    told = isinstance(error, RuntimeError) and any(words in str(error) for words in _NO_MEMORY)
    return told or spoils_thread(error) or isinstance(error, (MemoryError, torch.OutOfMemoryError))


def spoils_thread(error: BaseException) -> bool:
    """Whether oneDNN found no memory for a kernel that it compiles at run time.

    Its assembler keeps that error for the thread: none is compiled there any more, wherever memory is free again.
    """
    return isinstance(error, RuntimeError) and str(error) == "could not create a primitive"


def input_device(model: AnyModel) -> torch.device:
    """Where the embedding takes its ids; one offloaded to disk is on the meta device between steps, and takes CPU's."""
    device = model.transformer.wte.weight.device
    return torch.device("cpu") if device.type == "meta" else device
