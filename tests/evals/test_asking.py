"""Examples are asked about one after another, and a bad one stops nobody."""

from collections.abc import Sequence

import pytest

from workbench.errors import BadCheckpoint, BadRequest, Busy, Cancelled, NotEnoughMemory, NumericalFailure, TooLong
from workbench.evals.asking import Answer, Request, ask
from workbench.text.requests import LogLikelihood, Scored


class Echo:
    """Answers with the length of the context; raises what the context names."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        contexts = [request.context for request in requests if isinstance(request, LogLikelihood)]
        self.asked += contexts
        errors = {
            "bad": BadRequest("bad"),
            "long": TooLong("long"),
            "busy": Busy("busy"),
            "nan": NumericalFailure("nan"),
            "full": NotEnoughMemory("full"),
            "broken": BadCheckpoint("file", "broken"),
            "stopped": Cancelled("stopped"),
        }
        for context in contexts:
            if context in errors:
                raise errors[context]
        return [Scored(len(context), True) for context in contexts]


class Method:
    """A request an example."""

    def requests(self, example: str) -> list[LogLikelihood]:
        if not example:
            raise BadRequest("empty")
        return [LogLikelihood(example, "x")]

    def judge(self, example: str, answers: Sequence[Answer]) -> str:
        (answer,) = answers
        assert isinstance(answer, Scored)
        return f"{example} {answer.loglikelihood}"

    def failed(self, example: str, reason: str) -> str:
        return f"{example} failed: {reason}"


def test_a_bad_example_has_an_error_in_its_place_and_the_others_go_on() -> None:
    found = list(ask(Echo(), Method(), ["ab", "bad", "", "long", "c"]))
    assert found == ["ab 2", "bad failed: bad", " failed: empty", "long failed: long", "c 1"]


def test_what_one_example_alone_came_to_stops_no_other() -> None:
    assert list(ask(Echo(), Method(), ["nan", "full", "c"])) == ["nan failed: nan", "full failed: full", "c 1"]


@pytest.mark.parametrize("example, error", [("busy", Busy), ("broken", BadCheckpoint), ("stopped", Cancelled)])
def test_what_is_no_examples_fault_is_raised(example: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        list(ask(Echo(), Method(), [example]))


def test_nothing_is_asked_ahead_of_who_reads() -> None:
    model = Echo()
    predictions = ask(model, Method(), ["a", "b", "c"])
    next(predictions)
    predictions.close()
    assert model.asked == ["a"]
