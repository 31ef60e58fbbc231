"""Beam search over logits: which continuations live on, which are finished, and when to stop.

Follows the field's usual rules (those of transformers' `generate`): candidates that end count as finished only among
the best `count`, and a finished continuation's score is divided by its length, stop token included.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workbench.engine.jobs import Beams, Token
from workbench.engine.sampling import Sampler, check_choice, describe


@dataclass(frozen=True)
class Beam:
    """A continuation and its log-probability so far."""

    score: float
    tokens: tuple[Token, ...] = ()

    @property
    def ids(self) -> list[int]:
        """The tokens' ids."""
        return [token.id for token in self.tokens]


@dataclass(frozen=True)
class Finished:
    """A continuation that ended, with its score by length."""

    score: float
    tokens: tuple[Token, ...]
    stop_token: int | None
    """None: it ended at the limit."""


class BeamSearch:
    """The state of one search; `advance` takes the logits of the running beams.

    Args:
        stop_tokens: ids that end a continuation.
        limit: longest continuation, in tokens.
        alternatives: how many rivals to report beside each token.
    """

    def __init__(self, beams: Beams, sampler: Sampler, stop_tokens: frozenset[int], limit: int, alternatives: int):
        self._beams, self._sampler, self._stops = beams, sampler, stop_tokens
        self._limit, self._alternatives = limit, alternatives
        self._running = [Beam(0.0)]
        self._finished: list[Finished] = []
        self._length = 0
        self.done = False

    def newest(self) -> list[int]:
        """The last token of each running beam."""
        return [beam.tokens[-1].id for beam in self._running]

    def best(self) -> Finished:
        """The finished continuation of the highest score."""
        return self._finished[0]

    def advance(self, logits: Tensor) -> list[int]:
        """Takes (running beams, V) logits in float32 and gives the parent beam of each new one.

        Raises:
            BadRequest: no token is left to choose.
        """
        self._length += 1
        parents: list[int] = []
        running: list[Beam] = []
        for rank, (score, parent, token) in enumerate(self._candidates(logits)):
            stops = token in self._stops
            if stops or self._length == self._limit:
                if rank < self._beams.count:
                    self._finish(score, self._running[parent], logits[parent], token, stops)
            elif len(running) < self._beams.count:
                described = self._describe(logits[parent], token)
                running.append(Beam(score, (*self._running[parent].tokens, described)))
                parents.append(parent)
        self._running = running
        self._finished = sorted(self._finished, key=lambda ended: -ended.score)[: self._beams.count]
        self.done = not running or self._settled()
        return parents

    def _candidates(self, logits: Tensor) -> Sequence[tuple[float, int, int]]:
        """The best (score, parent, token), best first: enough that `count` of them do not stop."""
        scores = torch.stack(
            [
                beam.score + self._sampler.adjusted(torch.log_softmax(row, dim=-1), beam.ids)
                for beam, row in zip(self._running, logits, strict=True)
            ]
        )
        wanted = max(2, 1 + len(self._stops)) * self._beams.count
        top = torch.topk(scores.flatten(), min(wanted, scores.numel()))
        check_choice(top.values)
        columns = scores.shape[1]
        return [
            (score, index // columns, index % columns)
            for score, index in zip(top.values.tolist(), top.indices.tolist(), strict=True)
            if score > float("-inf")
        ]

    def _finish(self, score: float, beam: Beam, logits: Tensor, token: int, stops: bool) -> None:
        by_length = score / self._length**self._beams.length_penalty
        tokens = beam.tokens if stops else (*beam.tokens, self._describe(logits, token))
        self._finished.append(Finished(by_length, tokens, token if stops else None))

    def _describe(self, logits: Tensor, token: int) -> Token:
        return describe(logits, token, self._alternatives, self._sampler.known_tokens)

    def _settled(self) -> bool:
        """Whether no running beam can enter the finished ones any more, as far as the usual rule looks."""
        if len(self._finished) < self._beams.count:
            return False
        if self._beams.early_stopping:
            return True
        best_running = self._running[0].score / self._length**self._beams.length_penalty
        return best_running <= self._finished[-1].score
