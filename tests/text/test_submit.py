"""Any mixture of requests under way: the answers are those asked for one by one, and nothing is left behind."""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest
from torch import nn

from tests.gptj.tiny import fill
from tests.loading.saved_heads import card_for
from tests.text.tiny import STORY, TOKENIZER, tiny_language_model, tiny_network
from workbench.engine.engine import Engine
from workbench.engine.jobs import Sampling, Score
from workbench.engine.limits import Limits
from workbench.errors import BadRequest, Busy, Cancelled, TooLong
from workbench.loading.heads import SavedHead
from workbench.text.language_model import LanguageModel
from workbench.text.requests import (
    Classify,
    ExtractSpan,
    Generate,
    Generated,
    LogLikelihood,
    Request,
    RollingLogLikelihood,
)

WRITE = Generate("The unicorn", max_new_tokens=12, sampling=Sampling(0.9), seed=1)
MIXED: list[Request] = [
    LogLikelihood("The", " unicorn"),
    WRITE,
    RollingLogLikelihood(STORY),
    Classify("a king", "plain"),
    ExtractSpan("Who slept?", "The old king slept."),
    replace(WRITE, seed=2),
    LogLikelihood("The", " king"),
    RollingLogLikelihood("The"),
]


@pytest.fixture
def model() -> Iterator[LanguageModel]:
    """A model with a classifier."""
    made = tiny_language_model(n_positions=128)
    made.add_head(SavedHead(card_for("f", name="plain", key="plain"), fill(nn.Linear(32, 2, bias=False), 0), None))
    yield made
    made.engine.close()


def timeless(answers: list[object]) -> list[object]:
    """The same without clock times."""
    clock = {"seconds": 0.0, "time_to_first_token_seconds": None, "tokens_per_second": None}
    return [replace(one, **clock) if isinstance(one, Generated) else one for one in answers]  # type: ignore[arg-type]


def test_a_mixture_is_answered_as_one_by_one(model: LanguageModel) -> None:
    # The two likelihoods share their context, so together they are scored in one pass.
    alone = [model.answers([request])[0] for request in MIXED]
    together = model.submit(MIXED).result()
    for place, (one, two) in enumerate(zip(timeless(together), timeless(alone), strict=True)):
        if isinstance(MIXED[place], LogLikelihood):
            assert one.loglikelihood == pytest.approx(two.loglikelihood, abs=1e-5)  # type: ignore[attr-defined]
        else:
            assert one == two


def test_several_questions_under_way_keep_apart(model: LanguageModel) -> None:
    alone = timeless(model.answers(MIXED))
    pending = [model.submit(MIXED) for _ in range(5)]
    for one in reversed(pending):
        assert timeless(one.result()) == alone


def test_a_stop_string_ends_a_continuation_before_it_is_waited_for(model: LanguageModel) -> None:
    whole = model.generate(replace(WRITE, max_new_tokens=100))
    stopping = replace(WRITE, max_new_tokens=100, stop=(whole.text[3:6],))
    expected = model.generate(stopping)
    pending = model.submit([stopping])
    model.answers([LogLikelihood("a", "b")] * 3)
    before = model.engine.steps
    (found,) = pending.result()
    assert isinstance(found, Generated)
    assert (found.text, found.finish_reason, found.tokens) == (expected.text, "stop_string", expected.tokens)
    assert model.engine.steps - before < 90


def test_a_shared_beginning_of_a_prompt_changes_no_token(model: LanguageModel) -> None:
    shots = STORY[:150]
    plain = model.generate(replace(WRITE, prompt=shots + " The king"))
    shared = model.generate(replace(WRITE, prompt=shots + " The king", shared=shots))
    assert len(model.engine.served.prefixes) == 1
    assert [token.id for token in shared.tokens] == [token.id for token in plain.tokens]
    with pytest.raises(BadRequest, match="prompt does not begin with"):
        replace(WRITE, shared="Once")


def test_what_is_begun_waits_where_the_engine_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    with Engine(tiny_network(), TOKENIZER.size, max_rows=2, limits=Limits(waiting=2)) as engine:
        model = LanguageModel(engine, TOKENIZER)
        long = RollingLogLikelihood(STORY * 3)  # more windows than the engine takes
        (alone,) = model.answers([long])
        score, refused = engine.score, itertools.count()

        def often_busy(job: Score) -> object:
            if next(refused) % 3:
                raise Busy("full")
            return score(job)

        monkeypatch.setattr(engine, "score", often_busy)
        assert model.answers([long]) == [alone]


@pytest.mark.parametrize("bad", [LogLikelihood("a", ""), Generate("e" * 200), RollingLogLikelihood("")])
def test_a_request_that_cannot_be_served_leaves_nothing_under_way(model: LanguageModel, bad: Request) -> None:
    with pytest.raises((BadRequest, TooLong)):
        model.submit([replace(WRITE, max_new_tokens=100), LogLikelihood("a", " b"), bad])
    model.answers([LogLikelihood("a", "b")])
    before = model.engine.steps
    model.answers([LogLikelihood("a", "b")])
    assert model.engine.steps - before <= 3


def test_what_is_cancelled_is_not_computed(model: LanguageModel) -> None:
    pending = model.submit([replace(WRITE, max_new_tokens=110)] * 4)
    pending.cancel()
    with pytest.raises(Cancelled):
        pending.result()
    model.answers([LogLikelihood("a", "b")])
    assert model.engine.steps < 60


def test_one_that_fails_stops_the_others(model: LanguageModel, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    decode = model.engine.decode

    def second_is_busy(job: object) -> object:
        if begun:
            raise Busy("full")
        begun.append(decode(job))  # type: ignore[arg-type]
        return begun[-1]

    monkeypatch.setattr(model.engine, "decode", second_is_busy)
    with pytest.raises(Busy):
        model.submit([WRITE, WRITE])
    assert begun[0].cancelled
