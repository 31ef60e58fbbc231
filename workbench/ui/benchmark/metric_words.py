"""What each figure of a benchmark means, in words for somebody who has never seen it."""

from collections.abc import Iterable
from html import escape

from workbench.evals.metrics.metric import Metric

_QUESTIONS = {"HasAns": "that have an answer", "NoAns": "that have none"}
_EXACT = "Answers that are a right one word for word; capitals, punctuation and articles do not count."
_F1 = "How well the answer's words match the right one's, or, where classes are chosen, the mean over the classes."
MEANINGS = {
    "acc": "Examples answered right: the choice, label or last word that the model finds likeliest.",
    "acc_norm": "The same by likelihood per character, so that long choices stand a fair chance.",
    "acc_bytes": "The same by likelihood per byte.",
    "acc_tokens": "The same by likelihood per token.",
    "acc_mutual_info": "The same by how much likelier the prompt makes a choice than it is without it.",
    "brier_score": "Squared distance of the choices' probabilities from the truth: 0 sure and right, 2 sure and wrong.",
    "macro_f1": "F1 of each class, averaged, so that rare classes count as much as frequent ones.",
    "f1": _F1,
    "exact_match": _EXACT,
    "exact": _EXACT,
    "contains": "Answers in which a right one stands somewhere.",
    "rouge1": "Words that the text shares with the reference.",
    "rouge2": "Pairs of neighbouring words that the text shares with the reference.",
    "rougeL": "The longest sequence of words that the text shares with the reference.",
    "characters": "The texts' mean length.",
    "perplexity": "How surprising the right words are: 1 is certain, 50 as if guessing among 50.",
    "word_perplexity": "How surprising the text is for each word: 1 is certain, 50 as if guessing among 50.",
    "byte_perplexity": "The same for each byte, which makes models with other tokens comparable.",
    "bits_per_byte": "The same as the bits that the text would take, for each byte.",
    "token_perplexity": "The same for each of the model's tokens: models with other tokens are not comparable.",
    **{f"{kind}_exact": f"As exact, of the questions {which}." for kind, which in _QUESTIONS.items()},
    **{f"{kind}_f1": f"As f1, of the questions {which}." for kind, which in _QUESTIONS.items()},
}
ERROR = "± is one standard error; an interval of 95 % is about twice as wide on either side."


def meanings_markup(metrics: Iterable[Metric]) -> str:
    """The figures' meanings, folded; those of others' tasks, which nobody told here, are left out."""
    known = [metric.name for metric in metrics if metric.name in MEANINGS]
    if not known:
        return ""
    items = "".join(f"<div><dt>{escape(name)}</dt><dd>{escape(MEANINGS[name])}</dd></div>" for name in known)
    return f'<details class="meanings"><summary>What the figures mean</summary><dl>{items}</dl><p>{ERROR}</p></details>'
