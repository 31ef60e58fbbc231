"""Jobs as requests of OpenAI's completions API, with a sentence for what it can't express."""

from collections.abc import Sequence
from typing import Any

from workbench.engine.jobs import Decode, Sampling
from workbench.errors import BadRequest
from workbench.remote.abilities import Abilities
from workbench.text.tokenizer import Tokenizer

BAN = -100
"""The `logit_bias` by which a token is never chosen."""


class Asking:
    """Writes the requests for one model of one server."""

    def __init__(self, model: str, tokenizer: Tokenizer, abilities: Abilities):
        self._model, self._tokenizer, self._abilities = model, tokenizer, abilities

    def continued(self, job: Decode, context_tokens: int) -> dict[str, Any]:
        """The request for a continuation; what it is forced to begin with is part of the prompt.

        Raises:
            BadRequest: the server can't do something that is asked for.
        """
        if job.beams.count > 1:
            raise BadRequest("A server elsewhere does no beam search. Set the beams to 1, or load the model here.")
        prompt = (*job.prompt, *job.forced)
        room = min(job.max_new_tokens - len(job.forced), context_tokens - len(prompt))
        body = self._body(prompt) | {"max_tokens": room, "seed": job.seed % 2**63} | self._sampling(job.sampling)
        if job.min_new_tokens:
            if not self._abilities.kind.min_tokens:
                raise BadRequest("This server knows no least number of new tokens. Set it to 0.")
            body["min_tokens"] = max(0, job.min_new_tokens - len(job.forced))
        if job.banned:
            body["logit_bias"] = {str(token): BAN for token in sorted(job.banned)}
        if self._abilities.logprobs:
            body |= self._told(job.alternatives)
        elif job.forced:
            raise BadRequest("This server tells no log-probabilities, which a branch of a text needs.")
        return body

    def scored(self, tokens: Sequence[int], alternatives: int) -> dict[str, Any]:
        """The request for the log-probability of each token of a text but the first.

        Raises:
            BadRequest: the server tells none.
        """
        if not self._abilities.scores:
            raise BadRequest(
                "This server can write, but not tell how likely a given text is: it knows no `echo` with `logprobs`. "
                "vLLM and the workbench do; or load the model here."
            )
        alone = 0 if self._abilities.kind.scores_alone else 1
        asked = {"max_tokens": alone, "temperature": 0.0, "echo": True}
        return self._body(tokens) | asked | self._told(alternatives)

    def _body(self, tokens: Sequence[int]) -> dict[str, Any]:
        return {"model": self._model, "prompt": list(tokens) if self._abilities.token_ids else self._text(tokens)}

    def _told(self, alternatives: int) -> dict[str, Any]:
        """What makes the server tell tokens: at least the likeliest, by which a token's rank is known."""
        ids = {"return_tokens_as_token_ids": True} if self._abilities.kind.tells_ids else {}
        return {"logprobs": max(1, alternatives)} | ids

    def _text(self, tokens: Sequence[int]) -> str:
        """A prompt for a server that takes only texts.

        Raises:
            BadRequest: no text stands for these tokens.
        """
        text = self._tokenizer.decode(list(tokens))
        if tuple(self._tokenizer.encode(text)) != tuple(tokens):
            raise BadRequest(
                "This server takes prompts as texts alone, and this one is no text by itself: it begins a document, or "
                "is cut within a word. Give it some text to begin with, or use a server that takes token ids."
            )
        return text

    def _sampling(self, sampling: Sampling) -> dict[str, Any]:
        """The settings; those of no effect are left out, so that a server need not know them.

        Raises:
            BadRequest: the server does not know one that has an effect.
        """
        neutral = Sampling()
        given = {name: getattr(sampling, name) for name in vars(neutral)}
        changed = {name: value for name, value in given.items() if value != getattr(neutral, name)}
        for name in changed.keys() - self._abilities.kind.sampling:
            raise BadRequest(f"This server knows no {name}. Leave it at {getattr(neutral, name):g}.")
        return {"temperature": sampling.temperature} | changed
