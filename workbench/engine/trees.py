"""Tree jobs under way: many branches in one pass, each node looking at the context and its own ancestors only."""

import heapq
import itertools
import math

import torch
from torch import Tensor

from workbench.engine.branches import Grown, Tree, log_sum
from workbench.engine.handle import Handle
from workbench.engine.sampling import check_finite
from workbench.engine.served import Prefill, Served

SEARCH_NODES = 32
"""Nodes a step computes while it searches: many enough to fill a matrix product, few enough to be worth computing."""
NEVER = -math.inf


class TreeWork:
    """The context once; then node after node over its keys and values, computed alone like a Score job.

    All branches: in the tree's order. The best of them: the likeliest node first, until no branch that is still open is
    as likely as the last of the best finished ones. That is exact, because a branch only loses probability as it grows.

    The keys and values of nodes stay behind the context's until the model's context is full. Then they are forgotten,
    and ancestors that are needed again are computed again.

    Raises:
        TooLong: the context and the deepest branch exceed the model's context.
        BadRequest: an id beyond the vocabulary.
    """

    def __init__(self, served: Served, job: Tree, handle: Handle[Grown]):
        served.check_tokens(itertools.chain(job.context, job.tokens, job.closing))
        self._served, self._job, self.handle = served, job, handle
        self._children: list[list[int]] = [[] for _ in range(len(job.tokens) + 1)]
        """Of the context (0) and of each node (node + 1)."""
        self._depth = [1] * len(job.tokens)
        for node, parent in enumerate(job.parents):
            self._children[parent + 1].append(node)
            if parent >= 0:
                self._depth[node] = self._depth[parent] + 1
        fed = [self._depth[node] for node in range(len(job.tokens)) if self._is_fed(node)]
        served.check_room(len(job.context), max(fed, default=0))
        self._urgent = set(itertools.chain.from_iterable(self._branch(node) for node in job.always))
        self._prefill = Prefill(served, job.context, room=min(len(fed), served.context - len(job.context)))
        self._columns: dict[int, int] = {}
        """Where the keys of a node stand in the cache."""
        self._open: list[tuple[float, int]] = []
        """A heap of the nodes whose token's probability is known and which may be fed next, the most urgent first."""
        self._finished: list[float] = []
        """A heap of the best finished branches' log-probabilities, the worst first."""
        self._logprobs = [NEVER] * len(job.tokens)
        self._closing = [(NEVER,) * len(job.closing)] * (len(job.tokens) + 1)
        self.slots = 0
        self.row_count = 0
        self.apart, self.exclusive = True, False
        self.done = False

    def solo_step(self) -> None:
        """A chunk of the context, or of the tree."""
        if not self._prefill.done:
            hidden = self._prefill.step()[-1:]
            nodes = [-1] if self._prefill.done else []
        else:
            nodes = self._next_nodes()
            hidden = self._feed(nodes)
        if nodes:
            logits = self._served.logits(hidden)
            check_finite(logits)
            for node, row in zip(nodes, torch.log_softmax(logits, dim=-1), strict=True):
                self._reach(node, row)
        if self._prefill.done and not self._open_now():
            self.done = True
            self.handle.finish(Grown(tuple(self._logprobs), tuple(self._closing)))

    def _is_fed(self, node: int) -> bool:
        """Whether anything is asked for after a node."""
        return bool(self._children[node + 1]) or self._may_end(node)

    def _may_end(self, node: int) -> bool:
        ends = self._job.ends
        return bool(self._job.closing) and (ends is None or node in ends or node in self._job.always)

    def _branch(self, node: int) -> list[int]:
        """The node and its ancestors, the oldest first."""
        branch = []
        while node >= 0:
            branch.append(node)
            node = self._job.parents[node]
        return branch[::-1]

    def _reach(self, node: int, logprobs: Tensor) -> None:
        """Takes note of what may follow a node (-1: the context), from log-probabilities (V,)."""
        so_far = self._logprobs[node] if node >= 0 else 0.0
        if node < 0 or self._may_end(node):
            self._closing[node + 1] = tuple(logprobs[list(self._job.closing)].tolist())
        if node >= 0 and self._job.best and (self._job.ends is None or node in self._job.ends):
            heapq.heappush(self._finished, so_far + log_sum(self._closing[node + 1]))
            if len(self._finished) > self._job.best:
                heapq.heappop(self._finished)
        children = self._children[node + 1]
        tokens = [self._job.tokens[child] for child in children]
        for child, logprob in zip(children, logprobs[tokens].tolist(), strict=True):
            self._logprobs[child] = so_far + logprob
            if self._is_fed(child):
                heapq.heappush(self._open, (self._order(child), child))

    def _order(self, node: int) -> float:
        if node in self._urgent:
            return NEVER
        return -self._logprobs[node] if self._job.best else float(node)

    def _open_now(self) -> bool:
        """Whether a node is left that must be computed."""
        if not self._open:
            return False
        order, _ = self._open[0]
        full = self._job.best and len(self._finished) == self._job.best
        return not full or order == NEVER or -order > self._finished[0]

    def _next_nodes(self) -> list[int]:
        """The next nodes to compute, as many as a step takes and the cache has room for with their ancestors."""
        most = min(SEARCH_NODES, self._served.chunk_tokens) if self._job.best else self._served.chunk_tokens
        if self._prefill.cache.length + len(self._missing([self._open[0][1]])) > self._served.context:
            self._prefill.cache.trim(len(self._job.context))
            self._columns.clear()
        room = self._served.context - self._prefill.cache.length
        nodes: list[int] = []
        fed: set[int] = set()
        while len(nodes) < most and self._open_now():
            fed.update(self._missing([self._open[0][1]]))
            if len(fed) > (room if not nodes else min(room, most)):
                break
            nodes.append(heapq.heappop(self._open)[1])
        return nodes

    def _missing(self, nodes: list[int]) -> list[int]:
        """The nodes and their ancestors that the cache does not hold, each after its parent."""
        needed = itertools.chain.from_iterable(self._branch(node) for node in nodes)
        return [node for node in dict.fromkeys(needed) if node not in self._columns]

    def _feed(self, nodes: list[int]) -> Tensor:
        """States of the nodes, (nodes, C); they and the ancestors they lack enter the cache."""
        fed = self._missing(nodes)
        before, context = self._prefill.cache.length, len(self._job.context)
        self._columns.update(zip(fed, itertools.count(before)))
        mask = torch.zeros(1, 1, len(fed), before + len(fed), dtype=torch.bool)
        mask[..., :context] = True
        for row, node in enumerate(fed):
            mask[0, 0, row, [self._columns[ancestor] for ancestor in self._branch(node)]] = True
        device = self._served.device
        states = self._served.model.transformer(
            torch.tensor([[self._job.tokens[node] for node in fed]], device=device),
            past_key_values=self._prefill.cache,
            attention_mask=mask.to(device),
            position_ids=torch.tensor([[context + self._depth[node] - 1 for node in fed]], device=device),
        ).last_hidden_state[0]
        return states[[self._columns[node] - before for node in nodes]]
