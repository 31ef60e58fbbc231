"""A run's prediction asked anew: the very requests that the run made, whatever the task."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.ui.fake_runs import asked, finished
from workbench.errors import BadRequest
from workbench.evals.data.rows import Row
from workbench.evals.prediction import Prediction
from workbench.evals.runs.run import Run
from workbench.evaluating import all_tasks
from workbench.text.requests import LogLikelihood
from workbench.ui.lens.miss_asks import MOST_TOKENS, WRITTEN, fitted, prediction_asks, right_place
from workbench.ui.lens.score_lens import MOST_TEXTS, RIGHT, ScoreAsk


def plain(requests: Sequence[Any]) -> list[tuple[str, str]]:
    """What is scored, without what is a matter of speed."""
    return [(one.context, one.continuation) for one in requests if isinstance(one, LogLikelihood)]


def recorded(method: str, prediction: Prediction, **settings: Any) -> list[ScoreAsk]:
    """The asks for a prediction of a made-up run."""
    record = {"model": {"head": None}, "task": {"name": "t", "method": method, "settings": settings}, "shots": {}}
    return prediction_asks(Run(Path(), record), prediction)


@pytest.mark.parametrize("task", ["piqa", "hellaswag", "winogrande", "wsc273", "lambada_openai", "ag_news", "sciq"])
def test_a_run_is_asked_again_what_it_was_asked(task: str, tmp_path: Path) -> None:
    shots = 0 if task == "wsc273" else 1
    run = finished(tmp_path, asked(task, shots=shots))
    found, before = all_tasks()[task], run.record["shots"].get("prefix") or ""
    for prediction in run.predictions:
        example = found.read(Row(found.samples[prediction.row], prediction.row))
        asks = prediction_asks(run, replace(prediction, prefix=None))
        again = plain([one.requests[0] for one in asks])
        once = [(before + context, text) for context, text in plain(found.method.requests(example))]
        assert again == once[: len(again)] and asks[right_place(asks)].note.startswith(RIGHT)


def test_the_worked_examples_are_the_predictions_own_where_it_has_some(tmp_path: Path) -> None:
    run = finished(tmp_path, asked())
    ask = prediction_asks(run, replace(run.predictions[0], prefix="Mine\n\n"))[0]
    assert ask.requests[0].context.startswith("Mine\n\n")


def test_a_generation_is_looked_at_by_its_references_and_what_was_written() -> None:
    asks = recorded("generation", Prediction(prompt="Q:", gold=["Paris", "paris"], answer="Rome"), delimiter=" ")
    assert [(one.name, one.note) for one in asks] == [("Paris", RIGHT), ("paris", RIGHT), ("Rome", WRITTEN)]
    assert plain([one.requests[0] for one in asks])[2] == ("Q:", " Rome")


def test_a_right_answer_is_there_once() -> None:
    (one,) = recorded("generation", Prediction(prompt="Q:", gold=["Paris"], answer="Paris "))
    assert one.note == f"{RIGHT} · {WRITTEN}"


def test_an_extraction_is_looked_at_by_right_answers_and_best_spans_with_their_end() -> None:
    spans = [{"text": "the mill"}, {"text": "1764"}]
    asks = recorded(
        "extraction", Prediction(prompt="P\nAnswer: ", gold=["1764"], answer="the mill", detail={"n_best": spans})
    )
    assert plain([one.requests[0] for one in asks]) == [("P\nAnswer:", " 1764\n"), ("P\nAnswer:", " the mill\n")]


def test_of_many_choices_the_right_one_and_the_picked_one_are_always_there() -> None:
    choices = [{"text": f"c{number}", "loglikelihood": -1.0} for number in range(100)]
    asks = recorded("multiple_choice", Prediction(prompt="Q", gold=99, answer=60, detail={"choices": choices}))
    assert len(asks) == MOST_TEXTS and [one.name for one in asks[-2:]] == ["c60", "c99"]
    assert asks[right_place(asks)].name == "c99"


def test_a_trained_heads_run_has_nothing_to_look_at() -> None:
    run = Run(Path(), {"model": {"head": {"name": "sms"}}, "task": {"name": "t"}, "shots": {}})
    with pytest.raises(BadRequest, match="trained head"):
        prediction_asks(run, Prediction())


def test_nothing_scored_is_told() -> None:
    with pytest.raises(BadRequest, match="Nothing was scored"):
        recorded("multiple_choice", Prediction(prompt="Q"))
    with pytest.raises(BadRequest, match="can't be shown"):
        recorded("by magic", Prediction(prompt="Q"))


class LongReader:
    """A model whose tokenizer cuts at every character."""

    context_tokens = 4096

    class tokenizer:
        """One token a character."""

        @staticmethod
        def encode_with_offsets(text: str) -> tuple[list[int], list[tuple[int, int]]]:
            """Tokens and their characters."""
            return list(range(len(text))), [(place, place + 1) for place in range(len(text))]


def test_of_a_long_text_the_beginning_is_shown() -> None:
    whole = recorded("perplexity", Prediction(prompt="x" * 5000))
    (cut,) = fitted(LongReader(), whole)  # type: ignore[arg-type]
    assert len(cut.requests[0].continuation) == MOST_TOKENS and cut.note == "its first 1,000 of 5,000 tokens"
    short = recorded("perplexity", Prediction(prompt="x"))
    assert fitted(LongReader(), short) == short  # type: ignore[arg-type]
