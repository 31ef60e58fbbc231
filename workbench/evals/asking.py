"""Asking a model about examples, one after another, so that whoever consumes the predictions can stop at any time."""

from collections.abc import Generator, Iterable, Sequence
from typing import Protocol, TypeVar

from workbench.errors import Busy, Cancelled, CannotLoad, NotEnoughMemory, WorkbenchError
from workbench.text.requests import Classified, Classify, ExtractSpan, LogLikelihood, Scored, Spans

Request = LogLikelihood | Classify | ExtractSpan
Answer = Scored | Classified | Spans
Example = TypeVar("Example")
Asked = TypeVar("Asked", contravariant=True)
Prediction = TypeVar("Prediction", covariant=True)


class Answerer(Protocol):
    """What answers requests: a LanguageModel, or whatever stands in for one."""

    def answers(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """An answer for each request, in their order."""
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
    model: Answerer, method: Method[Example, Prediction], examples: Iterable[Example]
) -> Generator[Prediction, None, None]:
    """Each example's prediction; an example that can't be served has an error in its place, and the others go on.

    Raises:
        Busy, Cancelled, CannotLoad: what is no example's fault; but the memory may run out over one example alone.
    """
    for example in examples:
        try:
            prediction = ask_one(model, method, example)
        except (Busy, Cancelled):
            raise
        except WorkbenchError as error:
            if isinstance(error, CannotLoad) and not isinstance(error, NotEnoughMemory):
                raise
            prediction = method.failed(example, str(error))
        yield prediction


def ask_one(model: Answerer, method: Method[Example, Prediction], example: Example) -> Prediction:
    """The prediction for one example.

    Raises:
        BadRequest: the example can't be served. NumericalFailure, NotEnoughMemory: it came to nothing.
    """
    return method.judge(example, model.answers(method.requests(example)))
