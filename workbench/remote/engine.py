"""An engine whose model is elsewhere: the same jobs and handles, answered by a server."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workbench.engine.branches import Grown, Tree
from workbench.engine.handle import Handle
from workbench.engine.jobs import Decode, Decoded, Read, Score, Scored, Token
from workbench.engine.pace import PaceRecord
from workbench.errors import BadRequest, RemoteFailure, TooLong
from workbench.remote.abilities import Abilities
from workbench.remote.asking import Asking
from workbench.remote.client import Client
from workbench.remote.documents import piece_of
from workbench.remote.errands import Errands, together
from workbench.remote.reading import TokenReader, check_same, known_token
from workbench.remote.trees import grown
from workbench.text.streaming import LONGEST_CHARACTER_BYTES
from workbench.text.tokenizer import Tokenizer

if TYPE_CHECKING:
    from torch import Tensor, nn

    from workbench.gptj.lora import Adapter

TOGETHER = 16
"""Requests that a server is asked at a time; further ones wait their turn here."""
ENDS = {"stop": "stop", "length": "length"}


@dataclass(frozen=True)
class RemoteLimits:
    """What of a served model decides how it may be asked."""

    context: int
    """Tokens; a text that is only scored may have one more."""
    end_tokens: tuple[int, ...] = ()


class RemoteEngine:
    """Asks a server; use it like an Engine.

    Its numbers are the server's: a tree's branches and a branch's forced tokens are scored by requests of their own.
    What the API can't express is refused when it is asked for.
    """

    def __init__(
        self, client: Client, errands: Errands, model: str, tokenizer: Tokenizer, abilities: Abilities, context: int
    ):
        self.served = RemoteLimits(context)
        self.pace = PaceRecord()
        """Stays empty: the steps are the server's."""
        self.steps = 0
        """Answers so far, and tokens of those that are streamed."""
        self.abilities = abilities
        self._client, self._errands, self._tokenizer = client, errands, tokenizer
        self._asking = Asking(model, tokenizer, abilities)
        self._turns = asyncio.Semaphore(TOGETHER)

    def decode(self, job: Decode) -> Handle[Decoded]:
        """Submits a continuation: iterate the handle for tokens."""
        body = self._asking.continued(job, self.served.context)
        return self._begun(Handle(job), lambda handle: self._written(job, body, handle))

    def score(self, job: Score) -> Handle[list[Scored]]:
        """Submits continuations to score."""
        if job.logits:
            raise BadRequest("A server elsewhere tells no whole distributions. Load the model here to compare them.")
        texts = [(*job.context, *continuation) for continuation in job.continuations]
        self._check_room(max(map(len, texts)))
        self._asking.scored(texts[0], job.alternatives)  # what can't be asked is told at once
        return self._begun(Handle(job), lambda handle: self._scored(job, texts))

    def tree(self, job: Tree) -> Handle[Grown]:
        """Submits a tree of continuations to score, branch by branch."""
        self._asking.scored(job.context, 0)

        async def logprobs(tokens: Sequence[int]) -> list[float]:
            return [token.logprob for token in await self._tokens((*job.context, *tokens), len(job.context), 0)]

        return self._begun(Handle(job), lambda handle: grown(job, logprobs))

    def read(self, job: Read) -> "Handle[Tensor]":
        """Raises BadRequest: a server tells no hidden states."""
        raise _no_states()

    def add_head(self, name: str, module: "nn.Module", adapter: "Adapter | None" = None) -> None:
        """Raises BadRequest: a server tells no hidden states."""
        raise _no_states()

    def drop_head(self, name: str) -> None:
        """There is none to drop."""

    @property
    def closed(self) -> bool:
        """Whether it takes no more."""
        return self._errands.closed

    def close(self) -> None:
        """Ends every request with Cancelled, and the connections with them."""
        self._errands.close(self._client.close())

    def _begun(self, handle: Handle[Any], work: Callable[[Handle[Any]], Any]) -> Handle[Any]:
        async def in_turn(handle: Handle[Any]) -> Any:
            async with self._turns:
                return await work(handle)

        # A tree takes turns for its requests, not for itself.
        self._errands.begin(handle, work if isinstance(handle.job, Tree | Score) else in_turn)
        return handle

    async def _written(self, job: Decode, body: dict[str, Any], handle: Handle[Decoded]) -> Decoded:
        tokens = list(await self._tokens((*job.prompt, *job.forced), len(job.prompt), job.alternatives, turn=False))
        for token in tokens:
            handle.emit(token)
            if job.ends is not None and job.ends(token.id):
                return Decoded(tuple(tokens), "ended")
        if body["max_tokens"] < 1:
            return Decoded(tuple(tokens), "length")
        reader, reason = TokenReader(self._tokenizer, job.alternatives), None
        # Where texts are cut here, a half character may become more tokens than it was.
        most = job.max_new_tokens * (1 if self.abilities.kind.tells_ids else LONGEST_CHARACTER_BYTES)
        async with aclosing(self._client.stream(body)) as documents:
            async for document in documents:
                piece = piece_of(document)
                self.steps += 1
                for token in reader.read(piece):
                    if token.id in job.stop_tokens:
                        return Decoded(tuple(tokens), "stop", token.id, stop=token)
                    tokens.append(token)
                    handle.emit(token)
                    if job.ends is not None and job.ends(token.id):
                        return Decoded(tuple(tokens), "ended")
                    if len(tokens) >= most:
                        return Decoded(tuple(tokens), "length")
                reason = piece.finish_reason or reason
        if reason not in ENDS:
            raise RemoteFailure(
                "The server ended its answer without saying why. Look at its log."
                if reason is None
                else f"The server ended the text for a reason of its own: {reason[:100]!r}. Look at its log."
            )
        return Decoded(tuple(tokens), ENDS[reason])

    async def _scored(self, job: Score, texts: Sequence[tuple[int, ...]]) -> list[Scored]:
        given = job.given or (0,) * len(texts)
        asked = zip(texts, given, strict=True)
        found = await together(self._tokens(text, len(job.context) + own, job.alternatives) for text, own in asked)
        return list(map(Scored, found))

    async def _tokens(
        self, text: tuple[int, ...], first: int, alternatives: int, turn: bool = True
    ) -> tuple[Token, ...]:
        """The server's opinion of a text's tokens from the place `first` on."""
        if first == len(text):
            return ()
        if turn:
            async with self._turns:
                return await self._tokens(text, first, alternatives, turn=False)
        piece = piece_of(await self._client.complete(self._asking.scored(text, alternatives)))
        self.steps += 1
        told = piece.tokens or ()
        if len(told) not in (len(text), len(text) + 1):
            raise RemoteFailure(
                f"The server told {len(told)} log-probabilities for a text of {len(text)} tokens. Its tokenizer is "
                "another one, or it does not know `echo` with `logprobs`."
            )
        check_same(self._tokenizer, text, told)
        tokens = zip(told[first : len(text)], text[first:], strict=True)
        found = tuple(known_token(self._tokenizer, one, id_, alternatives) for one, id_ in tokens)
        if any(token.logprob != token.logprob for token in found):
            raise RemoteFailure("The server told no log-probability of a token in the middle of a text.")
        return found

    def _check_room(self, tokens: int) -> None:
        most = self.served.context + 1  # the last token is only predicted
        if tokens > most:
            raise TooLong(
                f"The text has {tokens:,} tokens; the server's model takes {most:,}. Shorten it by {tokens - most:,}."
            )


def _no_states() -> BadRequest:
    return BadRequest(
        "A trained head reads the model's hidden states, which no server tells. Ask the language model itself, or load "
        "the model here."
    )
