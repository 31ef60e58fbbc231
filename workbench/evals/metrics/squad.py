"""Exact match and F1 of answers, by the rules of the official SQuAD 1.1 and 2.0 scripts (Rajpurkar et al., 2016, 2018).

All figures are percentages.
"""

import re
import string
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence

from workbench.errors import BadRequest

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalize(text: str) -> str:
    """The text in lower case, without ASCII punctuation, then without articles, then with single spaces."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact_match(prediction: str, answers: Iterable[str]) -> int:
    """1 if the prediction is one of the right answers after normalization, else 0."""
    return max(int(normalize(prediction) == normalize(answer)) for answer in answers)


def f1(prediction: str, answers: Iterable[str], empty_can_match: bool = True) -> float:
    """Harmonic mean of precision and recall over the words, the best over the right answers; from 0 to 1.

    Args:
        empty_can_match: two answers without a word agree (SQuAD 2.0); else they score 0 (SQuAD 1.1).
    """
    return max(_f1(normalize(prediction).split(), normalize(answer).split(), empty_can_match) for answer in answers)


def squad_v1(predictions: Mapping[str, str], references: Mapping[str, Sequence[str]]) -> dict[str, float]:
    """`exact_match` and `f1` over all references; a question without a prediction scores 0.

    Args:
        predictions: texts by question id.
        references: right answers by question id.

    Raises:
        BadRequest: no question, or one without an answer.
    """
    _check_some(references)
    exact_sum, f1_sum = 0, 0.0
    for identity, answers in references.items():
        if not answers:
            raise BadRequest(f"Question {identity!r} has no answer, which SQuAD 1.1 does not know. Use the 2.0 rules.")
        if identity in predictions:
            exact_sum += exact_match(predictions[identity], answers)
            f1_sum += f1(predictions[identity], answers, empty_can_match=False)
    return {"exact_match": 100.0 * exact_sum / len(references), "f1": 100.0 * f1_sum / len(references)}


def squad_v2(
    predictions: Mapping[str, str],
    null_scores: Mapping[str, float] | None,
    references: Mapping[str, Sequence[str]],
    threshold: float = 1.0,
    failed: Collection[str] = (),
) -> dict[str, float]:
    """`exact`, `f1`, `total`, the same for answerable (HasAns_) and other questions (NoAns_), and the best thresholds.

    Args:
        predictions: texts by question id; "" is no answer.
        null_scores: by question id, the higher the likelier is no answer; None: all 0.
        references: right answers by question id; none at all means that there is no answer in the passage.
        threshold: a question whose null score exceeds it counts as answered with "".
        failed: questions that could not be asked: each scores 0, whatever its right answers (the official script has
            no such questions).

    Raises:
        BadRequest: no question, or one without a prediction or a null score.
    """
    _check_some(references)
    nulls = dict.fromkeys(predictions, 0.0) if null_scores is None else null_scores
    for identity in references:
        if identity not in predictions or identity not in nulls:
            raise BadRequest(f"Question {identity!r} has no prediction, or no null score.")
    answerable = {identity: bool(answers) for identity, answers in references.items()}
    exact_by_id: dict[str, float] = {}
    f1_by_id: dict[str, float] = {}
    for identity, answers in references.items():
        # An answer of articles and punctuation alone is none; where no other is left, saying nothing is right.
        with_words = [answer for answer in answers if normalize(answer)] or [""]
        exact_by_id[identity] = 0.0 if identity in failed else exact_match(predictions[identity], with_words)
        f1_by_id[identity] = 0.0 if identity in failed else f1(predictions[identity], with_words)
    needs_answer = {identity: has_answer or identity in failed for identity, has_answer in answerable.items()}
    silent = {identity for identity in references if nulls[identity] > threshold}
    figures = {}
    for prefix, chosen in (
        ("", list(references)),
        ("HasAns_", [identity for identity in references if answerable[identity]]),
        ("NoAns_", [identity for identity in references if not answerable[identity]]),
    ):
        for name, scores in (("exact", exact_by_id), ("f1", f1_by_id)) if chosen else ():
            counted = [float(not needs_answer[one]) if one in silent else scores[one] for one in chosen]
            figures[f"{prefix}{name}"] = 100.0 * sum(counted) / len(chosen)
        if chosen:
            figures[f"{prefix}total"] = len(chosen)
    for name, scores in (("exact", exact_by_id), ("f1", f1_by_id)):
        best, at = best_threshold(predictions, scores, nulls, needs_answer)
        figures[f"best_{name}"], figures[f"best_{name}_thresh"] = best, at
    return figures


def best_threshold(
    predictions: Mapping[str, str],
    scores: Mapping[str, float],
    null_scores: Mapping[str, float],
    needs_answer: Mapping[str, bool],
) -> tuple[float, float]:
    """The highest percentage that any threshold on the null scores reaches, and that threshold.

    The sweep starts from no answer to any question, which counts as the threshold 0.
    """
    current: float = sum(not needed for needed in needs_answer.values())
    best, at = current, 0.0
    for identity in sorted(null_scores, key=null_scores.__getitem__):
        if identity in scores:
            wrongly_answered = -1 if predictions[identity] else 0
            current += scores[identity] if needs_answer[identity] else wrongly_answered
            if current > best:
                best, at = current, null_scores[identity]
    return 100.0 * best / len(scores), at


def _f1(predicted: list[str], right: list[str], empty_can_match: bool) -> float:
    if empty_can_match and not (predicted and right):
        return float(predicted == right)
    common = (Counter(predicted) & Counter(right)).total()
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(right)
    return 2 * precision * recall / (precision + recall)


def _check_some(references: Mapping[str, Sequence[str]]) -> None:
    if not references:
        raise BadRequest("There is no question with a known answer, so there is nothing to measure.")
