"""What the lens shows of scores: asked in steps, the likeliest of several places, and what is not as it was."""

import math
from collections.abc import Iterator, Sequence

import pytest

from tests.text.tiny import TOKENIZER, tiny_network
from workbench.engine.engine import Engine
from workbench.errors import BadRequest
from workbench.evals.methods.labels import LabelLikelihood, TextExample
from workbench.text.language_model import LanguageModel
from workbench.text.requests import ExtractSpan, LogLikelihood, Scored, TokenText
from workbench.ui.lens.score_lens import RIGHT, TOGETHER, ScoreAsk, label_asks, scored_texts, span_asks


class Scorer:
    """Scores a continuation by its length, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[LogLikelihood]] = []

    def loglikelihoods(self, requests: Sequence[LogLikelihood], alternatives: int = 0) -> list[Scored]:
        """Minus a tenth of context and continuation, as one token."""
        self.asked.append(list(requests))
        return [self._scored(request) for request in requests]

    def _scored(self, request: LogLikelihood) -> Scored:
        logprob = -0.1 * len(request.context + request.continuation)
        unseen = 3 if "cut" in request.context else 0
        return Scored(logprob, False, (TokenText(1, request.continuation, logprob),), unseen)


def ask(name: str, *contexts: str, kept: float | None = None) -> ScoreAsk:
    """The same text after each context."""
    return ScoreAsk(name, tuple(LogLikelihood(context, " " + name) for context in contexts or ("p",)), kept=kept)


def test_texts_come_in_steps_and_none_is_asked_twice() -> None:
    scorer = Scorer()
    steps = list(scored_texts(scorer, [ask(f"t{number}") for number in range(TOGETHER + 2)]))
    assert [len(step) for step in steps] == [TOGETHER, TOGETHER + 2] == [len(scorer.asked[0]), TOGETHER + 2]
    assert [text.name for text in steps[-1]] == [f"t{number}" for number in range(TOGETHER + 2)]


def test_who_leaves_after_a_step_stops_the_rest() -> None:
    scorer = Scorer()
    steps = scored_texts(scorer, [ask("a")] * (3 * TOGETHER))
    next(steps)
    steps.close()
    assert len(scorer.asked) == 1


def test_of_several_places_the_likeliest_counts() -> None:
    (text,) = next(scored_texts(Scorer(), [ask("a", "longer", "short", "longest")]))
    assert text.prompt == "short" and math.isclose(text.loglikelihood, -0.7)


def test_a_score_that_is_not_the_runs_own_is_told() -> None:
    near, far = next(scored_texts(Scorer(), [ask("a", kept=-0.31), ask("a", kept=-9.0)]))
    assert near.note == "" and far.note == "it was −9.00 in the run"


def test_a_cut_prompt_is_told() -> None:
    (text,) = next(scored_texts(Scorer(), [ask("a", "cut ")]))
    assert text.note == "3 tokens of the prompt found no room" and text.prompt == "cut"


def test_labels_are_asked_as_the_method_asks_for_them() -> None:
    method = LabelLikelihood(("good", "bad"), "Review: {text}\nIt is", shots=(("Fine.", "good"),))
    example = TextExample("1", "Dull.", "bad")
    asks = label_asks(method, example)
    assert [one.requests[0] for one in asks] == method.requests(example)
    assert [one.note for one in asks] == ["", RIGHT]


def test_only_the_labels_that_are_wanted_are_asked() -> None:
    method = LabelLikelihood(("a", "b", "c"), "{text}:", normalization="pmi")
    asks = label_asks(method, TextExample("1", "x"), gold="c", labels=("c", "a", "unknown"))
    assert [(one.name, one.note) for one in asks] == [("c", RIGHT), ("a", "")]


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    """A small random network."""
    engine = Engine(tiny_network(n_positions=128))
    yield LanguageModel(engine, TOKENIZER)
    engine.close()


def test_an_answers_tokens_are_those_that_its_score_was_made_of(model: LanguageModel) -> None:
    passage = " ".join(f"The king had {number} hills." for number in range(30))
    request = ExtractSpan("How many?", passage, n_best=4, window_tokens=64, doc_stride=20)
    spans = model.extract(request).n_best
    *_, texts = scored_texts(model, span_asks(model, request, spans))
    for span, text in zip(spans, texts, strict=True):
        assert text.name == span.text and "".join(token.text for token in text.tokens) == f" {span.text}\n"
        without_end = sum(token.logprob for token in text.tokens[:-1])
        # The score's end is a line break or the end of text; the lens shows the line break alone.
        assert text.loglikelihood - 1e-3 <= span.score <= without_end + 1e-3


def test_a_heads_answer_has_no_tokens_to_look_at(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="no token has a probability"):
        span_asks(model, ExtractSpan("Which?", "A passage.", head="h"), [])
