"""Asking a model about examples, several under way together, so that whoever consumes the predictions can stop."""

from collections import deque
from collections.abc import Generator, Iterable, Sequence
from itertools import islice
from typing import Protocol, TypeVar

from workbench.errors import Busy, Cancelled, CannotLoad, NotEnoughMemory, WorkbenchError
from workbench.text.requests import Answer as Answer
from workbench.text.requests import Request as Request

IN_FLIGHT = 8
"""Examples under way together."""

Example = TypeVar("Example")
Asked = TypeVar("Asked", contravariant=True)
Prediction = TypeVar("Prediction", covariant=True)


class Pending(Protocol):
    """Answers that are still being computed."""

    def result(self) -> Sequence[Answer]:
        """Waits for the answers, or raises what the requests failed with."""
        ...

    def cancel(self) -> None:
        """Stops what is under way."""
        ...


class Answerer(Protocol):
    """What answers requests: a LanguageModel, or whatever stands in for one."""

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """An answer for each request, in their order."""
        ...

    def submit(self, requests: Sequence[Request]) -> Pending:
        """The same answers, later: who asks goes on meanwhile."""
        ...


class Method(Protocol[Asked, Prediction]):
    """A way of asking: what to ask about an example, and what the answers mean."""

    def requests(self, example: Asked) -> Sequence[Request]:
        """What to ask the model.

        Raises:
            BadRequest: the example can't be asked about.
        """
        ...

    def judge(self, example: Asked, answers: Sequence[Answer]) -> Prediction:
        """The prediction, from the answers to this example's requests."""
        ...

    def failed(self, example: Asked, reason: str) -> Prediction:
        """What stands for the prediction of an example that could not be asked about."""
        ...


def ask(
    model: Answerer, method: Method[Example, Prediction], examples: Iterable[Example], in_flight: int = IN_FLIGHT
) -> Generator[Prediction, None, None]:
    """Each example's prediction; an example that can't be served has an error in its place, and the others go on.

    The predictions come in the examples' order. When the consumer leaves, what is under way is stopped.

    Args:
        in_flight: examples asked about together, the one waited for included; fewer where the model takes no more.

    Raises:
        Busy, Cancelled, CannotLoad: what is no example's fault; but the memory may run out over one example alone.
    """
    source, held = iter(examples), deque[Example]()
    under_way: deque[tuple[Example, Pending | WorkbenchError]] = deque()
    try:
        while True:
            while len(under_way) < in_flight:
                held.extend(() if held else islice(source, 1))
                if not held:
                    break
                started = _started(model, method, held[0])
                if isinstance(started, Busy) and under_way:
                    break  # the model takes no more for now: it is asked again when one that is under way is done
                under_way.append((held.popleft(), started))
            if not under_way:
                return
            yield _judged(method, *under_way[0])
            under_way.popleft()
    finally:
        for _, pending in under_way:
            if not isinstance(pending, WorkbenchError):
                pending.cancel()


def ask_one(model: Answerer, method: Method[Example, Prediction], example: Example) -> Prediction:
    """The prediction for one example.

    Raises:
        BadRequest: the example can't be served. NumericalFailure, NotEnoughMemory: it came to nothing.
    """
    return method.judge(example, model.answers(method.requests(example)))


def _started(model: Answerer, method: Method[Example, Prediction], example: Example) -> Pending | WorkbenchError:
    """The answers under way, or why there are none."""
    try:
        return model.submit(method.requests(example))
    except WorkbenchError as error:
        return error


def _judged(method: Method[Example, Prediction], example: Example, pending: Pending | WorkbenchError) -> Prediction:
    try:
        if isinstance(pending, WorkbenchError):
            raise pending
        return method.judge(example, pending.result())
    except (Busy, Cancelled):
        raise
    except WorkbenchError as error:
        if isinstance(error, CannotLoad) and not isinstance(error, NotEnoughMemory):
            raise
        return method.failed(example, str(error))
