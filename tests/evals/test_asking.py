"""Examples are asked about one after another, and a bad one stops nobody."""

from collections.abc import Sequence

import pytest

from tests.evals.answering import StandIn
from workbench.errors import BadCheckpoint, BadRequest, Busy, Cancelled, NotEnoughMemory, NumericalFailure, TooLong
from workbench.evals.asking import Answer, Request, ask
from workbench.text.pending import Later
from workbench.text.requests import LogLikelihood, Scored


class Echo(StandIn):
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


def test_no_more_is_asked_ahead_of_who_reads_than_may_be_under_way() -> None:
    taken = []
    examples = (taken.append(example) or example for example in "abcdef")
    predictions = ask(Echo(), Method(), examples, in_flight=3)
    assert taken == []
    next(predictions)
    assert taken == ["a", "b", "c"]
    next(predictions)
    assert taken == ["a", "b", "c", "d"]


class Slow(StandIn):
    """Remembers what was submitted and what was cancelled."""

    def __init__(self) -> None:
        self.submitted: list[str] = []
        self.cancelled: list[str] = []

    def submit(self, requests: Sequence[Request]) -> Later:
        (request,) = requests
        assert isinstance(request, LogLikelihood)
        self.submitted.append(request.context)

        def read() -> list[Answer]:
            if request.context == "busy":
                raise Busy("busy")
            return [Scored(len(self.submitted), True)]

        return Later(read, lambda: self.cancelled.append(request.context))


def test_examples_are_under_way_together_and_come_back_in_order() -> None:
    assert list(ask(Slow(), Method(), ["a", "b", "c", "d"], in_flight=3)) == ["a 3", "b 4", "c 4", "d 4"]


def test_when_the_reader_leaves_what_is_under_way_is_cancelled() -> None:
    model = Slow()
    predictions = ask(model, Method(), ["a", "b", "c", "d"], in_flight=3)
    next(predictions)
    predictions.close()
    assert {"b", "c"} <= set(model.cancelled) and "d" not in model.submitted


def test_when_the_service_fails_what_is_under_way_is_cancelled() -> None:
    model = Slow()
    with pytest.raises(Busy):
        list(ask(model, Method(), ["busy", "b", "c"], in_flight=2))
    assert "b" in model.cancelled and "c" not in model.submitted


class Narrow(Slow):
    """Takes two examples at a time and refuses more."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = 0

    def submit(self, requests: Sequence[Request]) -> Later:
        if self.under_way == 2:
            raise Busy("two are waiting already")
        self.under_way += 1
        asked = super().submit(requests)

        def read() -> list[Answer]:
            self.under_way -= 1
            return asked.result()

        return Later(read)


def test_a_model_that_takes_no_more_is_asked_again_when_one_is_done() -> None:
    model = Narrow()
    assert len(list(ask(model, Method(), "abcdefgh", in_flight=5))) == 8
    assert model.submitted == list("abcdefgh")
