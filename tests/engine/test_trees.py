"""A tree's branches score as if each were alone, in whatever pieces the tree is computed."""

import math
from dataclasses import replace

import numpy
import pytest

from tests.engine.tiny import END, VOCABULARY, answer, quiet_engine, tiny_model
from workbench.engine.branches import Grown, Tree
from workbench.engine.engine import Engine
from workbench.engine.jobs import Score
from workbench.errors import BadRequest, TooLong

CLOSING = (END, 4)


def engine_in_chunks(chunk_tokens: int, n_positions: int = 64) -> Engine:
    """An engine that computes so many tokens a step."""
    engine = quiet_engine(tiny_model(n_positions=n_positions))
    engine.served = replace(engine.served, chunk_tokens=chunk_tokens)
    return engine


def random_tree(seed: int, nodes: int = 24, context: int = 9, depth: int = 6) -> Tree:
    """Random tokens under random parents; with luck some are deep and some stand side by side."""
    rng = numpy.random.default_rng(seed)
    parents: list[int] = []
    depths: list[int] = []
    for node in range(nodes):
        parent = int(rng.integers(-1, node)) if node else -1
        while parent >= 0 and depths[parent] == depth:
            parent = parents[parent]
        parents.append(parent)
        depths.append(1 if parent < 0 else depths[parent] + 1)
    return Tree(
        tuple(rng.integers(0, VOCABULARY, context).tolist()),
        tuple(rng.integers(0, VOCABULARY, nodes).tolist()),
        tuple(parents),
        CLOSING,
    )


def branch(tree: Tree, node: int) -> tuple[int, ...]:
    """The tokens from the context to a node."""
    tokens: list[int] = []
    while node >= 0:
        tokens.append(tree.tokens[node])
        node = tree.parents[node]
    return tuple(reversed(tokens))


def one_by_one(tree: Tree) -> Grown:
    """The same numbers from Score jobs, a continuation a branch and closing token."""
    branches = [branch(tree, node) for node in range(len(tree.tokens))]
    continuations = [(*before, closing) for before in ((), *branches) for closing in tree.closing]
    scored = answer(quiet_engine(), Score(tree.context, tuple(continuations)))
    rows = [scored[start : start + len(tree.closing)] for start in range(0, len(scored), len(tree.closing))]
    return Grown(
        logprobs=tuple(math.fsum(token.logprob for token in row[0].tokens[:-1]) for row in rows[1:]),
        closing=tuple(tuple(one.tokens[-1].logprob for one in row) for row in rows),
    )


def finished(grown: Grown) -> list[float]:
    """Each node's log-probability as a finished branch."""
    return [grown.finished(node) for node in range(len(grown.logprobs))]


@pytest.mark.parametrize("seed", range(6))
def test_each_branch_scores_as_alone(seed: int) -> None:
    tree = random_tree(seed)
    grown, expected = answer(quiet_engine(), tree), one_by_one(tree)
    assert grown.logprobs == pytest.approx(expected.logprobs, abs=1e-5)
    assert numpy.array(grown.closing) == pytest.approx(numpy.array(expected.closing), abs=1e-5)


@pytest.mark.parametrize("chunk_tokens", [1, 2, 3, 7])
def test_a_tree_computed_in_chunks_scores_the_same(chunk_tokens: int) -> None:
    tree = random_tree(7)
    grown, expected = answer(engine_in_chunks(chunk_tokens), tree), answer(quiet_engine(), tree)
    assert grown.logprobs == pytest.approx(expected.logprobs, abs=1e-5)
    assert numpy.array(grown.closing) == pytest.approx(numpy.array(expected.closing), abs=1e-5)


@pytest.mark.parametrize("chunk_tokens", [1, 4, 64])
def test_a_tree_larger_than_the_context_scores_the_same(chunk_tokens: int) -> None:
    tree = random_tree(3, nodes=70, depth=5)
    tight = engine_in_chunks(chunk_tokens, n_positions=14)
    grown, expected = answer(tight, tree), answer(quiet_engine(tiny_model(n_positions=128)), tree)
    assert grown.logprobs == pytest.approx(expected.logprobs, abs=1e-5)
    assert numpy.array(grown.closing) == pytest.approx(numpy.array(expected.closing), abs=1e-5)


@pytest.mark.parametrize("best", [1, 3, 10])
@pytest.mark.parametrize("seed", range(6))
def test_a_search_finds_the_best_of_all_finished_branches(seed: int, best: int) -> None:
    tree = random_tree(seed, nodes=60)
    everything = sorted(finished(answer(engine_in_chunks(2), tree)), reverse=True)
    found = sorted(finished(answer(engine_in_chunks(2), replace(tree, best=best))), reverse=True)
    assert found[:best] == pytest.approx(everything[:best], abs=1e-5)


def test_a_search_leaves_out_what_cannot_be_among_the_best() -> None:
    tree = random_tree(1, nodes=60)
    grown = answer(engine_in_chunks(1), replace(tree, best=1))
    assert any(row == (-math.inf, -math.inf) for row in grown.closing)


def test_a_branch_asked_for_is_computed_however_unlikely() -> None:
    tree = random_tree(1, nodes=60)
    everything = answer(quiet_engine(), tree)
    worst = min(range(60), key=lambda node: finished(everything)[node])
    grown = answer(engine_in_chunks(1), replace(tree, best=1, ends=frozenset(range(30)), always=frozenset({worst})))
    assert finished(grown)[worst] == pytest.approx(finished(everything)[worst], abs=1e-5)


def test_only_ends_are_finished() -> None:
    tree = replace(random_tree(2), ends=frozenset({3, 5}))
    grown = answer(quiet_engine(), tree)
    assert {node for node, row in enumerate(grown.closing[1:]) if row[0] > -math.inf} == {3, 5}


def test_without_closing_tokens_the_last_of_a_branch_is_never_fed() -> None:
    engine = quiet_engine(tiny_model(n_positions=16))
    tree = Tree(tuple(range(2, 18)), (5, 6, 7), (-1, -1, -1))
    grown = answer(engine, tree)
    scored = answer(engine, Score(tree.context, ((5,), (6,), (7,))))
    assert grown.logprobs == pytest.approx([one.loglikelihood for one in scored], abs=1e-5)


def test_a_context_computed_in_chunks_scores_the_same() -> None:
    tree = random_tree(4, context=40, nodes=20, depth=4)
    grown, expected = answer(engine_in_chunks(16), tree), answer(quiet_engine(), tree)
    assert grown.logprobs == pytest.approx(expected.logprobs, abs=1e-5)


def test_a_tree_that_exceeds_the_context_is_too_long() -> None:
    with pytest.raises(TooLong):
        quiet_engine(tiny_model(n_positions=8)).submit(Tree(tuple(range(2, 9)), (3, 4), (-1, 0), CLOSING))


def test_a_token_beyond_the_vocabulary_is_refused() -> None:
    with pytest.raises(BadRequest):
        quiet_engine().submit(Tree((3,), (VOCABULARY,), (-1,)))


@pytest.mark.parametrize(
    "broken",
    [
        {"context": ()},
        {"tokens": (3,)},
        {"parents": (-1, 1)},
        {"parents": (-2, -1)},
        {"ends": frozenset({2})},
        {"always": frozenset({-1})},
        {"best": -1},
        {"best": 3, "closing": ()},
    ],
)
def test_a_broken_tree_is_refused(broken: dict) -> None:
    whole = Tree((3,), (4, 5), (-1, 0), CLOSING)
    with pytest.raises(BadRequest):
        replace(whole, **broken)


def test_a_cancelled_tree_leaves_the_engine_free() -> None:
    engine = quiet_engine()
    handle = engine.submit(random_tree(0))
    handle.cancel()
    assert answer(engine, Score((3,), ((4,),)))[0].tokens[0].id == 4
    assert handle.done
