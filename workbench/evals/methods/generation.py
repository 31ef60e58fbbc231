"""Generation: the model continues a prompt, and its text is compared with right ones.

A task gives `Prompt`: the prompt, and the references, of which one is enough.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from workbench.engine.jobs import Sampling
from workbench.errors import BadRequest
from workbench.evals.asking import Answer
from workbench.evals.methods.multiple_choice import BETWEEN_SHOTS
from workbench.evals.metrics import squad
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.rouge import rouge
from workbench.evals.metrics.statistics import mean
from workbench.evals.metrics.texts import contains, exact_match
from workbench.evals.prediction import Prediction
from workbench.text.requests import Generate, Generated

Measure = Literal["exact_match", "contains", "f1", "rouge1", "rouge2", "rougeL", "characters"]
ROUGES = ("rouge1", "rouge2", "rougeL")
_PLAIN = "lower case, without ASCII punctuation"
_STEMMED = "lower case, letters and digits alone, Porter's stems"
NORMALISERS: dict[Measure, str] = {
    "exact_match": _PLAIN,
    "contains": _PLAIN,
    "f1": "SQuAD's: lower case, without punctuation and articles",
    "rouge1": _STEMMED,
    "rouge2": _STEMMED,
    "rougeL": _STEMMED,
    "characters": "as it is",
}
"""What each measure does to both texts before it compares them."""


@dataclass(frozen=True)
class Prompt:
    """A text to continue.

    Raises:
        BadRequest: there is no reference, or none with a word.
    """

    prompt: str
    references: tuple[str, ...]
    """Right continuations; the first is shown in worked examples."""

    def __post_init__(self) -> None:
        if not any(reference.strip() for reference in self.references):
            raise BadRequest("There is no right answer: a generation task needs at least one reference.")


@dataclass(frozen=True)
class Generation:
    """Asks for the likeliest continuation: greedy, or by beam search. The spaces around it do not count."""

    measures: tuple[Measure, ...] = ("exact_match", "contains", "f1")
    """The one to look at first in front. Against several references the best of each counts."""
    stop: tuple[str, ...] = ()
    """Texts that end the continuation."""
    max_new_tokens: int = 256
    min_new_tokens: int = 0
    num_beams: int = 1
    truncate: Literal["", "beginning", "end"] = "beginning"
    """Which end of a prompt is left out that the model's context has no room for; empty: the example fails."""
    longest_prompt_tokens: int | None = None
    """Beyond which a prompt is cut even where there is room."""
    delimiter: str = " "
    """Between prompt and answer in worked examples."""
    takes_shots: bool = True
    prefix: str = ""

    @property
    def name(self) -> str:
        """The field's word for it."""
        return "generation"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The means of the measures."""
        return tuple(Metric(name, (name,), mean, is_share=name != "characters") for name in self.measures)

    @property
    def settings(self) -> dict[str, Any]:
        """What names the protocol beside the prompts."""
        kept = ("max_new_tokens", "min_new_tokens", "num_beams", "truncate", "longest_prompt_tokens", "delimiter")
        normalisers = {name: NORMALISERS[name] for name in self.measures}
        return {"stop": list(self.stop), **{name: getattr(self, name) for name in kept}, "normaliser": normalisers}

    def with_shots(self, shots: Sequence[Prompt]) -> "Generation":
        """This method with worked examples before every prompt.

        Raises:
            BadRequest: the task takes none.
        """
        if shots and not self.takes_shots:
            raise BadRequest("This task is asked without worked examples. Ask with 0 shots.")
        shown = (shot.prompt + self.delimiter + shot.references[0] + BETWEEN_SHOTS for shot in shots)
        return replace(self, prefix="".join(shown))

    def requests(self, example: Prompt) -> list[Generate]:
        """One request."""
        return [
            Generate(
                prompt=self.prefix + example.prompt,
                max_new_tokens=self.max_new_tokens,
                min_new_tokens=self.min_new_tokens,
                sampling=Sampling(temperature=0),
                seed=0,
                stop=self.stop,
                num_beams=self.num_beams,
                shared=self.prefix,
                truncate=self.truncate,
                longest_prompt_tokens=self.longest_prompt_tokens,
            )
        ]

    def judge(self, example: Prompt, answers: Sequence[Answer]) -> Prediction:
        """The text, and how near it comes to the references."""
        (generated,) = (answer for answer in answers if isinstance(answer, Generated))
        text = generated.text.strip()
        return Prediction(
            prompt=example.prompt,
            gold=list(example.references),
            answer=text,
            scores=_scores(text, example.references, self.measures),
            detail={"tokens": generated.completion_tokens, "finish_reason": generated.finish_reason},
            unseen_tokens=generated.unseen_tokens,
        )

    def failed(self, example: Prompt, reason: str) -> Prediction:
        """No text, which is like no reference."""
        gold = list(example.references)
        return Prediction(example.prompt, gold, scores=dict.fromkeys(self.measures, 0.0), error=reason)


def _scores(text: str, references: Sequence[str], measures: Sequence[Measure]) -> dict[str, float]:
    """Each measure, against several references the best."""
    scores: dict[str, float] = {}
    for name, compared in _COMPARED.items():
        if name in measures:
            scores[name] = max(compared(text, one) for one in references)
    if any(name in measures for name in ROUGES):
        found: list[Mapping[str, float]] = [rouge(text, one) for one in references]
        scores |= {name: max(one[name] for one in found) for name in ROUGES if name in measures}
    if "characters" in measures:
        scores["characters"] = float(len(text))
    return scores


def _f1(text: str, reference: str) -> float:
    return squad.f1(text, [reference])


_COMPARED: dict[str, Callable[[str, str], float]] = {"exact_match": exact_match, "contains": contains, "f1": _f1}
