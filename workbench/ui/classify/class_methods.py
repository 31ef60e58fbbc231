"""How texts shall be classified: plain values of a page or a caller become a method of evals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from workbench.engine.jobs import check_number, check_whole
from workbench.errors import BadRequest
from workbench.evals.methods.head import HeadMethod
from workbench.evals.methods.labels import TEMPLATE, Calibration, LabelLikelihood, Normalization
from workbench.loading.heads import HeadCard
from workbench.manager import ModelManager, ModelSpec
from workbench.text.language_model import LanguageModel
from workbench.text.requests import LogLikelihood

ClassMethod = HeadMethod | LabelLikelihood
LARGEST_SEED = 2**31


@dataclass(frozen=True)
class Asked:
    """A way of classifying as it is asked for, before a model is there.

    Raises:
        BadRequest: a value out of its range; the message names it.
    """

    head: str | None = None
    """A trained head's name or folder; None asks the language model."""
    labels: tuple[str, ...] = ()
    template: str = TEMPLATE
    shots: tuple[tuple[str, str], ...] = ()
    normalization: Normalization = "none"
    domain_premise: str | None = None
    calibration: Calibration = "none"
    sample_texts: tuple[str, ...] = ()
    """More texts of the kind to be classified, for the domain calibration."""
    seed: int = 0
    """Of the domain calibration's random words."""
    threshold: float = 0.5
    """Of each label of a multi-label head."""

    def __post_init__(self) -> None:
        check_number("threshold", self.threshold, 0, 1)
        check_whole("seed", self.seed, 0, LARGEST_SEED)
        if self.head is None:
            self._by_likelihood()

    def method(self, manager: ModelManager, spec: ModelSpec, model: LanguageModel, texts: Sequence[str]) -> ClassMethod:
        """The method, ready to be asked: its head is loaded, or its calibration measured.

        Args:
            texts: what will be classified; the domain calibration draws its words from it and from `sample_texts`.
        """
        if self.head is not None:
            return head_method(manager.use_head(spec, self.head, "classify"), self.threshold)
        return self._by_likelihood().prepared(model, (*self.sample_texts, *texts), self.seed)

    def _by_likelihood(self) -> LabelLikelihood:
        if not self.labels:
            raise BadRequest("No labels are given. Write what a text can be: separated by commas, or one a line.")
        return LabelLikelihood(
            labels=self.labels,
            template=self.template,
            shots=self.shots,
            normalization=self.normalization,
            domain_premise=self.domain_premise,
            calibration=self.calibration,
        )


SETTINGS = {field.name for field in fields(Asked)} - {"head", "labels", "template"}
"""What a caller may set by name, besides what has a place of its own."""


def head_method(card: HeadCard, threshold: float) -> HeadMethod:
    """The method that asks a trained head.

    Raises:
        BadRequest: the head answers questions.
    """
    if card.kind != "classify" or card.problem is None:
        raise BadRequest(f"The head {card.name!r} answers questions; it classifies nothing. Pick another.")
    return HeadMethod(key=card.key, labels=card.labels, problem=card.problem, threshold=threshold)


def build_asked(head: str | None, labels: Any, template: Any, settings: Mapping[str, Any]) -> Asked:
    """A way of classifying from plain values; what is not given has its default.

    Raises:
        BadRequest: a name that is no setting, or a value that its setting can't have.
    """
    if unknown := sorted(settings.keys() - SETTINGS):
        raise BadRequest(f"There is no setting {unknown[0]!r}. There are: {', '.join(sorted(SETTINGS))}.")
    values = {name: _checked(name, value) for name, value in settings.items()}
    return Asked(head=head, labels=label_list(labels), template=_text("template", template) or TEMPLATE, **values)


def label_list(labels: Any) -> tuple[str, ...]:
    """The labels of a list, or of a text that holds them one a line or, in a single line, separated by commas.

    Raises:
        BadRequest: it is neither.
    """
    if isinstance(labels, str):
        lines = [line for line in labels.splitlines() if line.strip()]
        parts = lines if len(lines) > 1 else labels.split(",")
        return tuple(part.strip() for part in parts if part.strip())
    return tuple(_text("A label", label) for label in _sequence("labels", labels or ()))


def worked_examples(rows: Any) -> tuple[tuple[str, str], ...]:
    """The examples of a table with the columns text and label; empty rows are left out.

    Raises:
        BadRequest: a row that is filled in part.
    """
    found = []
    for number, row in enumerate(_sequence("shots", rows), start=1):
        cells = [str("" if cell is None else cell).strip() for cell in _sequence("An example of shots", row)]
        if not any(cells):
            continue
        if len(cells) != 2 or not all(cells):
            raise BadRequest(f"Example {number} must have a text and a label, and nothing else.")
        found.append((cells[0], cells[1]))
    return tuple(found)


def tokens_read(model: LanguageModel, requests: Sequence[Any]) -> int:
    """How many tokens these requests hold: each context once, and each continuation."""
    contexts = {request.context if isinstance(request, LogLikelihood) else request.text for request in requests}
    continuations = [request.continuation for request in requests if isinstance(request, LogLikelihood)]
    return sum(len(model.tokenizer.encode(text)) for text in (*contexts, *continuations))


def _checked(name: str, value: Any) -> Any:
    """A value with the type of its field; JSON sends whole numbers as floats at times."""
    if name == "shots":
        return worked_examples(value)
    if name == "sample_texts":
        return tuple(_text("A sample text", text) for text in _sequence(name, value))
    if name == "domain_premise":
        return None if value is None else _text(name, value)
    if name in ("normalization", "calibration"):
        return _text(name, value) or "none"
    return int(value) if isinstance(value, float) and value.is_integer() and name == "seed" else value


def _sequence(name: str, value: Any) -> Sequence[Any]:
    if not isinstance(value, list | tuple):
        raise BadRequest(f"{name} is {value!r}; it must be a list.")
    return value


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise BadRequest(f"{name} is {value!r}; it must be a text.")
    return value
