"""What a server can do for the workbench, found out once by asking it for one token."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from workbench.errors import RemoteFailure
from workbench.remote.client import Client, NotTaken
from workbench.remote.documents import Piece, piece_of
from workbench.remote.reading import check_same
from workbench.text.tokenizer import Tokenizer

PROBE = "The quick brown fox jumps over the lazy dog, 17 times."
COMMON = frozenset({"temperature", "top_p", "presence_penalty", "frequency_penalty"})
"""Of Sampling's fields, those of OpenAI's own completions."""
OFTEN = COMMON | {"top_k", "min_p", "repetition_penalty"}


@dataclass(frozen=True)
class Kind:
    """What is known of a server by its name."""

    tells_ids: bool = False
    """Whether it tells tokens by number where `return_tokens_as_token_ids` asks for it."""
    scores_alone: bool = False
    """Whether `max_tokens` 0 with `echo` scores a prompt and writes nothing."""
    room_beyond_context: int = -1
    """How many tokens longer than its context a text may be that is only scored."""
    sampling: frozenset[str] = OFTEN
    min_tokens: bool = False


UNKNOWN = Kind()
KINDS = {
    "gptj-workbench": Kind(True, True, 1, OFTEN | {"typical_p"}),
    "vllm": Kind(True, True, min_tokens=True),
}
"""By `owned_by` in the server's list of models."""


@dataclass(frozen=True)
class Abilities:
    """What a server can do."""

    kind: Kind
    token_ids: bool
    """Whether it takes a prompt as token ids; else only texts that the tokenizer cuts the same way again."""
    scores: bool
    """Whether it tells the log-probabilities of a prompt's tokens."""
    logprobs: bool
    """Whether it tells those of the tokens that it writes."""


async def find_abilities(client: Client, model: str, tokenizer: Tokenizer, kind: Kind) -> Abilities:
    """Asks for one token after a known text, in the best way first.

    Raises:
        RemoteFailure: the server answers nonsense, or cuts texts into other tokens than the tokenizer.
    """
    refused: NotTaken | None = None
    tokens = tuple(tokenizer.encode(PROBE))
    for (echo, logprobs), token_ids in product(((True, True), (False, True), (False, False)), (True, False)):
        found = Abilities(kind, token_ids, echo, logprobs)
        try:
            piece = piece_of(await client.complete(_body(found, model, tokens)))
        except NotTaken as error:
            refused = error
            continue
        if _does(found, piece, tokens, tokenizer):
            return found
    why = "it does none of what was asked" if refused is None else str(refused)
    raise RemoteFailure(f"The server does not continue a text for the model {model!r}: {why}")


def _body(asked: Abilities, model: str, tokens: Sequence[int]) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model, "max_tokens": 1, "temperature": 0.0}
    body["prompt"] = list(tokens) if asked.token_ids else PROBE
    if asked.scores:
        body["echo"] = True
    if asked.logprobs:
        body["logprobs"] = 1
    return body


def _does(asked: Abilities, piece: Piece, tokens: Sequence[int], tokenizer: Tokenizer) -> bool:
    """Whether the answer has what was asked for; servers leave out what they do not know."""
    if piece.prompt_tokens is not None and piece.prompt_tokens != len(tokens):
        raise RemoteFailure(
            f"The server's tokenizer is another one: it reads {piece.prompt_tokens} tokens where the local one has "
            f"{len(tokens)}. Name the folder of its model's tokenizer in WORKBENCH_REMOTE_TOKENIZERS."
        )
    if asked.scores:
        told = piece.tokens or ()
        if piece.text.startswith(PROBE[:3]) and len(told) >= len(tokens):
            check_same(tokenizer, tokens, told)
        return len(told) in (len(tokens), len(tokens) + 1)
    return bool(piece.tokens) if asked.logprobs else bool(piece.text or piece.finish_reason)
