"""Texts before trained heads, and any mixture of requests in one question."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import nn

from tests.gptj.tiny import fill
from tests.loading.saved_heads import card_for
from tests.text.tiny import STORY, TOKENIZER, tiny_language_model
from workbench.engine.jobs import Read
from workbench.errors import BadRequest, TooLong
from workbench.gptj.lora import Adapter
from workbench.loading.heads import SavedHead
from workbench.text import reading
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Classified, Classify, ExtractSpan, LogLikelihood, Scored, Spans

TEXTS = ["The unicorn", "the old king slept", "Nobody answered, naïve as they were", "a"]


def head(key: str, kind: str = "classify", seed: int = 0, adapter: Adapter | None = None, **changes: Any) -> SavedHead:
    """A filled head under a key."""
    card = card_for("f", kind, name=key, key=key, **changes)
    return SavedHead(card, fill(nn.Linear(32, card.outputs, bias=kind == "answer"), seed), adapter)


@pytest.fixture
def model() -> Iterator[LanguageModel]:
    """A model with two classifiers, one of them with an adapter, and a span reader."""
    made = tiny_language_model(n_positions=256)
    made.add_head(head("plain"))
    made.add_head(head("lora", seed=1, adapter=fill(Adapter(made.engine.served.model), 2)))
    made.add_head(head("spans", "answer", seed=3))
    yield made
    made.engine.close()


def test_the_loaded_heads_are_known_by_their_keys(model: LanguageModel) -> None:
    assert {key: card.name for key, card in model.heads.items()} == {"plain": "plain", "lora": "lora", "spans": "spans"}


@pytest.mark.parametrize("key", ["plain", "lora"])
def test_a_text_is_classified_by_the_heads_output_on_its_last_token(model: LanguageModel, key: str) -> None:
    for text, said in zip(TEXTS, model.classify([Classify(text, key) for text in TEXTS]), strict=True):
        tokens = TOKENIZER.encode(text)
        whole = model.engine.read(Read(tuple(tokens), key)).result(60)
        assert said.tokens == len(tokens)
        torch.testing.assert_close(torch.tensor(said.logits), whole[-1])


def test_more_texts_than_go_at_once_come_back_in_order(model: LanguageModel) -> None:
    words = STORY.split() * 2
    together = model.classify([Classify(word, "plain") for word in words])
    alone = [model.classify([Classify(word, "plain")])[0] for word in words]
    assert len(words) > 4 * reading.IN_FLIGHT and together == alone


def test_a_mixture_is_answered_in_the_order_it_was_asked(model: LanguageModel) -> None:
    passage = ExtractSpan("Who slept?", "The old king slept.", "spans")
    asked = [LogLikelihood("The", " unicorn"), Classify("a king", "lora"), passage, Classify("a king", "plain"),
             LogLikelihood("The", " king")]  # fmt: skip
    given = model.answers(asked)
    assert [type(answer) for answer in given] == [Scored, Classified, Spans, Classified, Scored]
    assert given == [*model.loglikelihoods([asked[0]]), *model.classify([asked[1]]), model.extract(asked[2]),
                     *model.classify([asked[3]]), *model.loglikelihoods([asked[4]])]  # fmt: skip


def test_nothing_asked_is_nothing_answered(model: LanguageModel) -> None:
    assert model.answers([]) == []


def test_an_empty_text_is_refused(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="empty"):
        model.classify([Classify("", "plain")])


def test_a_text_beyond_the_context_is_refused_with_what_to_cut(model: LanguageModel) -> None:
    text = STORY * 30
    count = len(TOKENIZER.encode(text))
    with pytest.raises(TooLong, match=f"{count:,} tokens.*Shorten it by {count - 256:,}"):
        model.classify([Classify(text, "plain")])


@pytest.mark.parametrize("most", [1, 7, 256, 100_000])
def test_a_text_is_cut_as_in_the_heads_training(model: LanguageModel, most: int) -> None:
    cutting = head("cutting", data={"max_tokens": most})
    model.add_head(cutting)
    for text in (*TEXTS, STORY * 30):
        tokens = TOKENIZER.encode(text)
        (said,) = model.classify([Classify(text, "cutting")])
        kept = tokens[: min(most, 256)]
        whole = model.engine.read(Read(tuple(kept), "cutting")).result(60)
        assert (said.tokens, said.unseen_tokens) == (len(kept), len(tokens) - len(kept))
        torch.testing.assert_close(torch.tensor(said.logits), whole[-1])


@pytest.mark.parametrize("said", [None, 0, -3, True, "9", 4.0])
def test_what_is_no_number_of_tokens_cuts_nothing(model: LanguageModel, said: object) -> None:
    assert reading.most_tokens(card_for("f", data={"max_tokens": said})) is None
    assert reading.most_tokens(card_for("f")) is None is reading.most_tokens(None)
    (answer,) = model.classify([Classify(TEXTS[2], "plain")])
    assert answer.unseen_tokens == 0


def test_a_span_head_reads_the_windows_it_was_trained_on() -> None:
    settings = {"window_tokens": 384, "doc_stride": 0, "max_answer_tokens": 12, "epochs": 3}
    card = card_for("f", "answer", data={"window_tokens": 64, "questions": 5}, settings=settings)
    assert reading.trained_windows(card) == {"window_tokens": 64, "doc_stride": 0, "max_answer_tokens": 12}
    odd = card_for("f", "answer", settings={"window_tokens": 7, "doc_stride": None, "max_answer_tokens": "12"})
    assert reading.trained_windows(odd) == {}


def test_a_head_is_asked_only_what_it_was_trained_for(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="'spans' is for a question about a passage"):
        model.classify([Classify("a king", "spans")])
    with pytest.raises(BadRequest, match="'plain' is for a classification"):
        model.extract(ExtractSpan("Who?", "The king.", "plain"))


def test_a_head_that_is_not_loaded_is_refused(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="no head 'other' in memory"):
        model.answers([Classify("a king", "other")])


def test_what_is_under_way_is_cancelled_when_one_text_fails(model: LanguageModel) -> None:
    handles = []

    def submit(job: Read) -> object:
        if len(handles) == 3:
            raise BadRequest("no")
        handles.append(model.engine.read(job))
        return handles[-1]

    with pytest.raises(BadRequest, match="no"):
        reading.Line(submit, [Read((1, 2), "plain")] * 5)
    assert len(handles) == 3 and all(handle.cancelled for handle in handles)
