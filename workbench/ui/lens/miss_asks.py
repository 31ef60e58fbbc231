"""A run's prediction asked anew: what a language model scored for it, from what the run kept.

The prompt, the worked examples and the choices stand in the run itself, so neither the data set nor the task's code is
needed, and what is looked at is what the run asked.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.prediction import Prediction
from workbench.evals.runs.run import Run
from workbench.text.language_model import LanguageModel
from workbench.text.requests import LogLikelihood
from workbench.ui.lens.score_lens import MOST_TEXTS, RIGHT, ScoreAsk, ended, no_tokens

WRITTEN = "what the model answered"
MOST_TOKENS = 1000
"""Of a text that has no prompt."""
_MOST_REFERENCES = 5


def prediction_asks(run: Run, prediction: Prediction) -> list[ScoreAsk]:
    """Each choice after its prompt; where there are none, the right answer and what was answered.

    Raises:
        BadRequest: a trained head was asked, or nothing was scored that tokens could be shown of.
    """
    if run.record["model"].get("head"):
        raise BadRequest(no_tokens("On the Classify tab, Why shows which words carried its answer."))
    asks = _ASKS.get(str(run.record["task"].get("method")))
    if asks is None:
        raise BadRequest(f"The task {run.task} is asked in a way whose tokens can't be shown.")
    prefix = prediction.prefix if prediction.prefix is not None else str(run.record["shots"].get("prefix") or "")
    found = asks(prediction, prefix, run.record["task"].get("settings") or {})
    if not found:
        raise BadRequest("Nothing was scored for this example: there is no choice and no right answer to look at.")
    return found


def right_place(asks: Sequence[ScoreAsk]) -> int:
    """Which of the asks is shown first: the right answer, whose probability is what was missing."""
    return next((place for place, ask in enumerate(asks) if ask.note.startswith(RIGHT)), 0)


def fitted(model: LanguageModel, asks: Sequence[ScoreAsk]) -> list[ScoreAsk]:
    """The same asks; of a text without a prompt, as a perplexity's, the beginning that a lens can show."""
    return [ask if ask.requests[0].context else _beginning(model, ask) for ask in asks]


def _beginning(model: LanguageModel, ask: ScoreAsk) -> ScoreAsk:
    text, most = ask.requests[0].continuation, min(MOST_TOKENS, model.context_tokens)
    _, offsets = model.tokenizer.encode_with_offsets(text)
    if len(offsets) <= most:
        return ask
    note = f"its first {most:,} of {len(offsets):,} tokens"
    return ScoreAsk(ask.name, (LogLikelihood("", text[: offsets[most - 1][1]]),), note)


def _choices(prediction: Prediction, prefix: str, settings: Mapping[str, Any]) -> list[ScoreAsk]:
    """Multiple choice: what the run scored, in the choices' order."""
    choices = [choice for choice in prediction.detail.get("choices", ()) if isinstance(choice, Mapping)]
    delimiter = str(settings.get("delimiter", " "))
    return [
        _choice(
            choice,
            prefix + str(choice.get("prompt", prediction.prompt)),
            delimiter + str(choice.get("continuation", choice.get("text", ""))),
            _notes(place == prediction.gold, place == prediction.answer),
        )
        for place, choice in _looked_at(choices, (prediction.gold, prediction.answer))
    ]


def _labels(prediction: Prediction, prefix: str, settings: Mapping[str, Any]) -> list[ScoreAsk]:
    """Classification: each label after the filled template."""
    choices = [choice for choice in prediction.detail.get("choices", ()) if isinstance(choice, Mapping)]
    texts = [str(choice.get("text", "")) for choice in choices] or [str(one) for one in settings.get("labels", ())]
    delimiter = "" if str(settings.get("template", ""))[-1:].isspace() else " "
    places = [texts.index(text) for text in (prediction.gold, prediction.answer) if text in texts]
    return [
        _choice(
            choice,
            prefix + prediction.prompt,
            delimiter + texts[place],
            _notes(texts[place] == prediction.gold, texts[place] == prediction.answer),
        )
        for place, choice in _looked_at(choices or [{"text": text} for text in texts], places)
    ]


def _ending(prediction: Prediction, prefix: str, settings: Mapping[str, Any]) -> list[ScoreAsk]:
    """Cloze: the right ending."""
    ending = str(prediction.gold or "")
    asked = (LogLikelihood(prefix + prediction.prompt, ending),)
    return [ScoreAsk(ending, asked, RIGHT, prediction.detail.get("loglikelihood"))] if ending else []


def _document(prediction: Prediction, prefix: str, settings: Mapping[str, Any]) -> list[ScoreAsk]:
    """Perplexity: the text itself, from its beginning."""
    return [ScoreAsk("the text", (LogLikelihood("", prediction.prompt),))] if prediction.prompt else []


def _texts(prediction: Prediction, prefix: str, settings: Mapping[str, Any]) -> list[ScoreAsk]:
    """Generation: the references, and what was written instead."""
    delimiter = str(settings.get("delimiter", " "))
    return _answers(prediction, lambda text: LogLikelihood(prefix + prediction.prompt, delimiter + text.strip()), ())


def _spans(prediction: Prediction, prefix: str, settings: Mapping[str, Any]) -> list[ScoreAsk]:
    """Extraction: the right answers and the best spans, with the whole passage before them."""
    best = [str(span.get("text", "")) for span in prediction.detail.get("n_best", ()) if isinstance(span, Mapping)]
    context = (prefix + prediction.prompt).rstrip(" ")
    return _answers(prediction, lambda text: LogLikelihood(context, ended(text)), best)


def _answers(prediction: Prediction, asked: Callable[[str], LogLikelihood], others: Sequence[str]) -> list[ScoreAsk]:
    """The right answers, what was answered, and other texts, each once."""
    gold = prediction.gold if isinstance(prediction.gold, list | tuple) else [prediction.gold]
    right = [str(one) for one in gold if one][:_MOST_REFERENCES]
    answer = str(prediction.answer or "")
    texts = dict.fromkeys(text.strip() for text in (*right, answer, *others))
    notes = {text: _notes(text in {one.strip() for one in right}, text == answer.strip()) for text in texts}
    return [ScoreAsk(text, (asked(text),), notes[text]) for text in texts if text]


def _choice(choice: Mapping[str, Any], context: str, continuation: str, note: str) -> ScoreAsk:
    name = str(choice.get("text", ""))
    return ScoreAsk(name, (LogLikelihood(context, continuation),), note, choice.get("loglikelihood"))


def _looked_at(choices: Sequence[Mapping[str, Any]], always: Sequence[Any]) -> list[tuple[int, Mapping[str, Any]]]:
    """The first choices with their places, and in any case those that the answer turned on."""
    first = [place for place in range(len(choices)) if place not in always]
    kept = [place for place in range(len(choices)) if place in always]
    return [(place, choices[place]) for place in sorted((*kept, *first[: MOST_TEXTS - len(kept)]))]


def _notes(right: bool, answered: bool) -> str:
    return " · ".join([RIGHT] * right + [WRITTEN] * answered)


_ASKS: Mapping[str, Callable[[Prediction, str, Mapping[str, Any]], list[ScoreAsk]]] = {
    "multiple_choice": _choices,
    "classification": _labels,
    "cloze": _ending,
    "perplexity": _document,
    "generation": _texts,
    "extraction": _spans,
}
