"""The page's pace: coalesced updates, closed streams, loads that report."""

import pytest

from tests.ui.fake import FakeLanguageModel, FakeManager
from workbench.errors import CheckpointNotFound
from workbench.loading.load import LoadProgress
from workbench.manager import LoadedModel, ModelSpec
from workbench.text.requests import Generate
from workbench.ui.generate.streams import load_steps, paced


class _Clock:
    """Goes on by a fixed time with each look at it."""

    def __init__(self, step: float):
        self.step, self.now = step, 0.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now


def test_a_fast_stream_is_thinned_and_its_end_is_never_lost() -> None:
    shown = list(paced(FakeLanguageModel(), Generate("a", max_new_tokens=100), _Clock(0.0015)))
    assert len(shown) == 3
    assert (shown[0].completion_tokens, shown[-1].completion_tokens) == (1, 100)


def test_a_slow_stream_shows_every_token() -> None:
    assert len(list(paced(FakeLanguageModel(), Generate("a", max_new_tokens=9), _Clock(0.2)))) == 9


def test_closing_closes_the_models_stream_at_once() -> None:
    model = FakeLanguageModel()
    shown = paced(model, Generate("a", max_new_tokens=50))
    next(shown)
    shown.close()
    assert model.closed == 1 and model.steps == 1


def test_a_load_reports_and_ends_with_the_model() -> None:
    steps = list(load_steps(FakeManager(load_seconds=0.3), ModelSpec("demo")))  # type: ignore[arg-type]
    assert isinstance(steps[-1], LoadedModel)
    assert any(isinstance(step, LoadProgress) for step in steps)


def test_a_failed_load_raises_what_it_failed_with() -> None:
    with pytest.raises(CheckpointNotFound, match="nowhere"):
        list(load_steps(FakeManager(), ModelSpec("nowhere")))  # type: ignore[arg-type]
