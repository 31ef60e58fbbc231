"""The workbench's metrics as classes for Hugging Face `evaluate`: no download, no script, the same numbers.

    evaluate.combine([Accuracy(), MacroF1()]).compute(predictions=[0, 1, 1], references=[0, 1, 0])

Each gives its value, its standard error (`..._stderr`, None for fewer than two examples) and the examples it is of
(`..._n`). `compute(bootstrap=False)` spares the seconds that a standard error from resamples takes. `FromScores` makes
one of any metric of any task. Importing `evaluate` takes seconds, so nothing else imports this file.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import evaluate
import numpy as np
from datasets import Features, Value
from datasets import Sequence as ListOf

from workbench.errors import BadRequest
from workbench.evals.metrics import squad, texts
from workbench.evals.metrics.estimates import estimate_values
from workbench.evals.metrics.metric import Metric, Values
from workbench.evals.metrics.rouge import rouge
from workbench.evals.metrics.statistics import (
    bits_per_byte,
    macro_f1,
    matthews,
    mean,
    perplexity,
    weighted_perplexity,
)

ROUGES = ("rouge1", "rouge2", "rougeL", "rougeLsum")
Label = int | str
References = Sequence[str] | Sequence[Sequence[str]]
Results = dict[str, float | None]


class Accuracy(evaluate.Metric):
    """The share of right labels, numbers or texts: `accuracy`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("The share of right labels.", *_labels())

    def _compute(self, *, predictions: Sequence[Label], references: Sequence[Label], **others: Any) -> Results:
        right = [float(one == other) for one, other in zip(predictions, references, strict=True)]
        return _measured(_mean_of("accuracy"), _columns(right), others)


class MacroF1(evaluate.Metric):
    """The mean F1 of the labels that occur: `macro_f1`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("The mean F1 of the labels that occur.", *_labels())

    def _compute(self, *, predictions: Sequence[Label], references: Sequence[Label], **others: Any) -> Results:
        metric = Metric("macro_f1", ("gold", "answer"), macro_f1, stderr="bootstrap")
        return _measured(metric, _numbered(references, predictions), others)


class MatthewsCorrelation(evaluate.Metric):
    """The correlation of right and given labels: `matthews_correlation`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("The correlation of right and given labels.", *_labels())

    def _compute(self, *, predictions: Sequence[Label], references: Sequence[Label], **others: Any) -> Results:
        metric = Metric("matthews_correlation", ("gold", "answer"), matthews, stderr="bootstrap", is_share=False)
        return _measured(metric, _numbered(references, predictions), others)


class ExactMatch(evaluate.Metric):
    """The share of texts that are a reference but for case and punctuation: `exact_match`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("The share of texts that are a reference but for case and punctuation.", *_texts())

    def _compute(self, *, predictions: Sequence[str], references: References, **others: Any) -> Results:
        return _measured(_mean_of("exact_match"), _best(texts.exact_match, predictions, references), others)


class Contains(evaluate.Metric):
    """The share of texts in which a reference stands, but for case and punctuation: `contains`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("The share of texts in which a reference stands, but for case and punctuation.", *_texts())

    def _compute(self, *, predictions: Sequence[str], references: References, **others: Any) -> Results:
        return _measured(_mean_of("contains"), _best(texts.contains, predictions, references), others)


class Rouge(evaluate.Metric):
    """ROUGE's F-measures with stemming, of several references the best: `rouge1`, `rouge2`, `rougeL`, `rougeLsum`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("ROUGE's F-measures with Porter's stemmer, of several references the best.", *_texts())

    def _compute(self, *, predictions: Sequence[str], references: References, **others: Any) -> Results:
        found = [[rouge(text, one) for one in several] for text, several in _paired(predictions, references)]
        results: Results = {}
        for name in ROUGES:
            best = [max(one[name] for one in each) for each in found]
            results |= _measured(_mean_of(name), _columns(best), others)
        return results


class SquadMetric(evaluate.Metric):
    """Exact match and F1 of answers by the rules of SQuAD 1.1, in percent: `exact_match`, `f1`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("Exact match and F1 of answers by SQuAD 1.1's rules, in percent.", _squad_features())

    def _compute(
        self, *, predictions: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]], **others: Any
    ) -> Results:
        said, right = _squad_texts(predictions, references)
        each = [squad.squad_v1(said, {identity: answers}) for identity, answers in right.items()]
        results: Results = {}
        for name in ("exact_match", "f1"):
            results |= _measured(_mean_of(name), _columns([one[name] for one in each]), others)
        return results


class SquadV2Metric(evaluate.Metric):
    """Exact match and F1 by the rules of SQuAD 2.0, in percent: `exact`, `f1`, both also of each kind of question.

    `no_answer_threshold` of compute(): an answer whose no_answer_probability exceeds it counts as none.
    """

    def _info(self) -> evaluate.MetricInfo:
        probability = {"no_answer_probability": Value("float32")}
        return _info("Exact match and F1 of answers by SQuAD 2.0's rules, in percent.", _squad_features(probability))

    def _compute(
        self,
        *,
        predictions: Sequence[Mapping[str, Any]],
        references: Sequence[Mapping[str, Any]],
        no_answer_threshold: float = 1.0,
        **others: Any,
    ) -> Results:
        said, right = _squad_texts(predictions, references)
        nulls = {one["id"]: one["no_answer_probability"] for one in predictions}
        each = [
            squad.squad_v2(said, nulls, {identity: answers}, no_answer_threshold) for identity, answers in right.items()
        ]
        results: Results = dict(squad.squad_v2(said, nulls, right, no_answer_threshold))
        for name in ("exact", "f1"):
            results |= _measured(_mean_of(name), _columns([one[name] for one in each]), others)
        return results


class Perplexity(evaluate.Metric):
    """exp of the mean negative log-likelihood; the predictions are log-likelihoods: `perplexity`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("exp of the mean negative log-likelihood.", Features({"predictions": Value("float64")}))

    def _compute(self, *, predictions: Sequence[float], **others: Any) -> Results:
        metric = Metric("perplexity", ("loglikelihood",), perplexity, False, "bootstrap", is_share=False)
        return _measured(metric, _columns(predictions), others)


class WordPerplexity(evaluate.Metric):
    """Of texts: the predictions are their log-likelihoods, the references their numbers of words: `word_perplexity`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("exp of the negative log-likelihood of a word.", _text_features())

    def _compute(self, *, predictions: Sequence[float], references: Sequence[float], **others: Any) -> Results:
        metric = Metric("word_perplexity", ("ll", "words"), weighted_perplexity, False, "bootstrap", is_share=False)
        return _measured(metric, _columns(predictions, references), others)


class BitsPerByte(evaluate.Metric):
    """Of texts: the predictions are their log-likelihoods, the references their numbers of bytes: `bits_per_byte`."""

    def _info(self) -> evaluate.MetricInfo:
        return _info("The negative log-likelihood of a byte, to base 2.", _text_features())

    def _compute(self, *, predictions: Sequence[float], references: Sequence[float], **others: Any) -> Results:
        metric = Metric("bits_per_byte", ("ll", "bytes"), bits_per_byte, False, "bootstrap", is_share=False)
        return _measured(metric, _columns(predictions, references), others)


class FromScores(evaluate.Metric):
    """Any metric of a task, from the columns of its predictions' scores: compute(acc=[...])."""

    def __init__(self, metric: Metric):
        self.metric = metric
        super().__init__(config_name=metric.name)  # else all of them would wait for one another's file

    def _info(self) -> evaluate.MetricInfo:
        columns = {column: Value("float64") for column in self.metric.columns}
        return _info(f"{self.metric.name} of the columns of scores.", Features(columns))

    def _compute(self, **columns: Any) -> Results:
        return _measured(self.metric, _columns(*(columns[name] for name in self.metric.columns)), columns)


def _measured(metric: Metric, sample: Values, options: Mapping[str, Any]) -> Results:
    """Value, standard error and n, under names that no other metric has."""
    found = estimate_values(metric, sample, bool(options.get("bootstrap", True)))
    if found is None:
        raise BadRequest(f"There is no example, so there is no {metric.name}. Give at least one.")
    return {metric.name: found.value, f"{metric.name}_stderr": found.stderr, f"{metric.name}_n": found.n}


def _mean_of(name: str) -> Metric:
    return Metric(name, (name,), mean)


def _columns(*columns: Sequence[float]) -> Values:
    return np.array(columns, dtype=np.float64).T


def _numbered(gold: Sequence[Label], answered: Sequence[Label]) -> Values:
    """Labels as class numbers: (n, 2)."""
    numbers = {label: float(number) for number, label in enumerate(sorted({*gold, *answered}))}
    return _columns([numbers[one] for one in gold], [numbers[one] for one in answered])


def _best(compared: Callable[[str, str], float], predictions: Sequence[str], references: References) -> Values:
    """How each text compares with the reference that it comes nearest to: (n, 1)."""
    return _columns([max(compared(text, one) for one in several) for text, several in _paired(predictions, references)])


def _paired(predictions: Sequence[str], references: References) -> Iterator[tuple[str, Sequence[str]]]:
    """Each text with its references, which may be one text."""
    for text, right in zip(predictions, references, strict=True):
        several = [right] if isinstance(right, str) else right
        if not several:
            raise BadRequest("An example has no reference. Give at least one for each.")
        yield text, several


def _squad_texts(
    predictions: Sequence[Mapping[str, Any]], references: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, str], dict[str, list[str]]]:
    said = {one["id"]: one["prediction_text"] for one in predictions}
    return said, {one["id"]: list(one["answers"]["text"]) for one in references}


def _info(about: str, *features: Features) -> evaluate.MetricInfo:
    """What `evaluate` wants to know; of several forms of input each example has one."""
    return evaluate.MetricInfo(
        description=about, citation="", features=features[0] if len(features) == 1 else list(features)
    )


def _labels() -> tuple[Features, ...]:
    return tuple(Features({"predictions": Value(kind), "references": Value(kind)}) for kind in ("int64", "string"))


def _texts() -> tuple[Features, ...]:
    text = Value("string")
    return tuple(Features({"predictions": text, "references": right}) for right in (text, ListOf(text)))


def _text_features() -> Features:
    return Features({"predictions": Value("float64"), "references": Value("float64")})


def _squad_features(more: Mapping[str, Any] | None = None) -> Features:
    """The field's own form of predictions and references."""
    text = Value("string")
    return Features(
        {
            "predictions": {"id": text, "prediction_text": text, **(more or {})},
            "references": {"id": text, "answers": ListOf({"text": text, "answer_start": Value("int32")})},
        }
    )
