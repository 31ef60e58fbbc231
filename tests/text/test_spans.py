"""Answers are pieces of the passage, and their scores are those of a plain computation."""

import math
import random
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import nn

from tests.gptj.oracle import their_model
from tests.text.tiny import STORY, TOKENIZER, tiny_network
from workbench.engine.engine import Engine
from workbench.engine.jobs import Read
from workbench.errors import BadRequest, TooLong
from workbench.text.candidates import boundaries, span_tree
from workbench.text.language_model import LanguageModel
from workbench.text.requests import ExtractSpan, Span, Spans, fill
from workbench.text.spans import prompt_windows
from workbench.text.windows import span_windows

CONTEXT = 256
PASSAGE = "The old king's daughter walked to the green hill. 'It's 10 o'clock!', said the naïve king (twice)."
REQUEST = ExtractSpan("Who walked?", PASSAGE, n_best=15, max_answer_tokens=12)
ODD = [
    "the", "king", "’", '"Quoted"', "naïve", "\U0001f984", "e\u0301", "日本語", "$5.30", "\t", "\n", "  ", "...",
    "\u200b", "don't", "Ω≈ç√", "\x00", "a/b", "3rd", "¿qué?", "👩\u200d👩\u200d👧", "{question}", "<|endoftext|>",
    "\u2028", "мир",
]  # fmt: skip


def span_head(seed: int = 0, labels: int = 2) -> nn.Linear:
    """A random head."""
    torch.manual_seed(seed)
    return nn.Linear(32, labels)


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    """A tiny model with a span head and one that is none."""
    heads = {"spans": span_head(), "labels": span_head(labels=3)}
    with Engine(tiny_network(n_positions=CONTEXT), TOKENIZER.size, heads=heads) as engine:
        yield LanguageModel(engine, TOKENIZER, "tiny")


def plain_candidates(passage: str) -> list[str]:
    """Every text from a word's start to a word's or a punctuation's end, written down another way."""
    runs = [match.span() for match in re.finditer(r"[^\W_]+|[^\s\w]+", passage)]
    texts = {}
    for first, (start, _) in enumerate(runs):
        follows_a_space = start == 0 or passage[start - 1].isspace()
        for _, end in runs[first:]:
            text = passage[start:end]
            if any(map(str.isalnum, text)) and (text[0].isalnum() or follows_a_space):
                texts.setdefault(text, (start, end))
    return list(texts)


@torch.no_grad()
def plain_score(theirs: nn.Module, prompt: str, answer: str) -> float:
    """The answer's log-probability and its end's, from one forward pass of transformers' model."""
    before, tail = TOKENIZER.encode(prompt), TOKENIZER.encode(" " + answer)
    logprobs = theirs(torch.tensor([before + tail])).logits[0].double().log_softmax(-1)
    written = sum(float(logprobs[len(before) - 1 + i, token]) for i, token in enumerate(tail))
    ends = [TOKENIZER.encode("\n")[0], TOKENIZER.eos_id]
    return written + float(logprobs[-1, ends].logsumexp(0))


def test_likelihood_spans_are_those_of_scoring_every_span_alone(model: LanguageModel) -> None:
    served = model.engine.served.model
    theirs = their_model("causal", served.config, served)
    prompt = f"{PASSAGE}\nQuestion: Who walked?\nAnswer:"
    texts = [text for text in plain_candidates(PASSAGE) if len(TOKENIZER.encode(" " + text)) <= 12]
    scores = {text: plain_score(theirs, prompt, text) for text in texts}
    best = sorted(scores, key=lambda text: -scores[text])[:15]
    answer = model.extract(REQUEST)
    assert len(texts) > 150
    assert [span.text for span in answer.n_best] == best
    assert [span.score for span in answer.n_best] == pytest.approx([scores[text] for text in best], abs=1e-5)
    assert answer.null_score == pytest.approx(plain_score(theirs, prompt, "unanswerable"), abs=1e-5)


def test_all_spans_are_scored_when_so_many_are_asked_for(model: LanguageModel) -> None:
    texts = [text for text in plain_candidates(PASSAGE) if len(TOKENIZER.encode(" " + text)) <= 12]
    answer = model.extract(replace(REQUEST, n_best=1000))
    assert {span.text for span in answer.n_best} == set(texts)


def test_a_text_at_several_places_is_reported_at_its_first(model: LanguageModel) -> None:
    answer = model.extract(replace(REQUEST, n_best=1000))
    (king,) = [span for span in answer.n_best if span.text == "king"]
    assert king.start == PASSAGE.index("king")


def test_examples_stand_before_the_prompt_and_an_empty_answer_is_unanswerable(model: LanguageModel) -> None:
    served = model.engine.served.model
    theirs = their_model("causal", served.config, served)
    shots = (("It rained.", "What fell?", "rain"), ("It shone.", "Who?", ""))
    prompt = (
        "It rained.\nQuestion: What fell?\nAnswer: rain\n\nIt shone.\nQuestion: Who?\nAnswer: unanswerable\n\n"
        f"{PASSAGE}\nQuestion: Who walked?\nAnswer:"
    )
    answer = model.extract(replace(REQUEST, shots=shots, n_best=2))
    for span in answer.n_best:
        assert span.score == pytest.approx(plain_score(theirs, prompt, span.text), abs=1e-5)


def test_a_span_keeps_its_better_score_over_several_windows(model: LanguageModel) -> None:
    request = replace(REQUEST, window_tokens=45, doc_stride=10, n_best=500)
    places = prompt_windows(TOKENIZER, request, CONTEXT)
    alone = [model.extract(replace(request, context=PASSAGE[slice(*place)], window_tokens=200)) for place in places]
    scores: dict[str, float] = {}
    for spans in alone:
        for span in spans.n_best:
            scores[span.text] = max(span.score, scores.get(span.text, -math.inf))
    answer = model.extract(request)
    assert answer.windows == len(places) > 2
    assert answer.null_score == pytest.approx(min(spans.null_score for spans in alone), abs=1e-5)
    for span in answer.n_best:
        assert span.score == pytest.approx(scores[span.text], abs=1e-5)


def test_windows_in_characters_cover_the_passage() -> None:
    text = STORY * 4
    places = prompt_windows(TOKENIZER, replace(REQUEST, context=text, window_tokens=70), CONTEXT)
    assert set().union(*(range(*place) for place in places)) == set(range(len(text)))


def test_a_slot_in_the_passage_is_not_filled() -> None:
    assert fill("{context}|{question}", "{question}", "{context}") == "{question}|{context}"


def random_text(rng: random.Random, words: int) -> str:
    """Odd words, one plain one at least."""
    chosen = [rng.choice(ODD) for _ in range(words)] + [rng.choice(["king", "hill", "мир"])]
    rng.shuffle(chosen)
    return "".join(word + rng.choice(["", " ", " ", "\n"]) for word in chosen)


@pytest.mark.parametrize("head", [None, "spans"])
def test_every_answer_is_an_exact_piece_of_the_passage(model: LanguageModel, head: str | None) -> None:
    rng = random.Random(4)
    for _ in range(1000):
        context, question = random_text(rng, rng.randint(1, 10)), random_text(rng, 2)
        limit = rng.choice([1, 4, 9])
        answer = model.extract(
            ExtractSpan(question, context, head, n_best=3, max_answer_tokens=limit, window_tokens=64, doc_stride=8)
        )
        for span in answer.n_best:
            assert span.text == context[span.start : span.end] == span.text.strip() != ""


def test_probabilities_are_a_softmax_over_the_best_and_no_answer(model: LanguageModel) -> None:
    answer = model.extract(replace(REQUEST, n_best=4))
    scores = torch.tensor([*(span.score for span in answer.n_best), answer.null_score], dtype=torch.float64)
    expected = scores.softmax(0)[:-1].tolist()
    assert [span.probability for span in answer.n_best] == pytest.approx(expected)


def plain_head_spans(model: LanguageModel, request: ExtractSpan) -> Spans:
    """The n best by the rule of the published question answering code, with sorted lists."""
    nulls, found = [], {}
    windows = span_windows(TOKENIZER, request.question, request.context, request.window_tokens, request.doc_stride)
    for window in windows:
        logits = model.engine.read(Read(window.tokens, "spans")).result()
        nulls.append(float(logits[-1, 0] + logits[-1, 1]))
        shift = window.passage_start
        inside = range(shift, shift + len(window.offsets))
        starts = sorted((i for i in inside if window.is_max_context[i - shift]), key=lambda i: -logits[i, 0])
        ends = sorted(inside, key=lambda i: -logits[i, 1])
        for i in starts[: request.n_best]:
            for j in ends[: request.n_best]:
                if j < i or j - i + 1 > request.max_answer_tokens:
                    continue
                start, end = window.offsets[i - shift][0], window.offsets[j - shift][1]
                text = request.context[start:end].strip()
                if text:
                    start = request.context.index(text, start)
                    score = float(logits[i, 0] + logits[j, 1])
                    key = (start, start + len(text))
                    found[key] = max(score, found.get(key, score))
    best = sorted(found.items(), key=lambda item: -item[1])[: request.n_best]
    return Spans(
        tuple(Span(request.context[a:b], a, b, score, 0.0) for (a, b), score in best), min(nulls), len(windows)
    )


@pytest.mark.parametrize("window_tokens", [40, 64, 200])
@pytest.mark.parametrize("limit", [1, 5, 30])
@pytest.mark.parametrize("n_best", [1, 7, 20])
def test_a_heads_best_spans_are_those_of_the_published_rule(
    model: LanguageModel, window_tokens: int, limit: int, n_best: int
) -> None:
    request = ExtractSpan("Who?", STORY, "spans", n_best, limit, window_tokens, 12)
    answer, expected = model.extract(request), plain_head_spans(model, request)
    assert [(span.start, span.end) for span in answer.n_best] == [(span.start, span.end) for span in expected.n_best]
    assert [span.score for span in answer.n_best] == pytest.approx([span.score for span in expected.n_best], abs=1e-5)
    assert answer.null_score == pytest.approx(expected.null_score, abs=1e-5)
    assert answer.windows == expected.windows


def test_a_head_with_other_than_two_numbers_is_refused(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="a span head gives two"):
        model.extract(replace(REQUEST, head="labels"))


def test_an_unknown_head_is_refused(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="no head"):
        model.extract(replace(REQUEST, head="nobody"))


@pytest.mark.parametrize("head", [None, "spans"])
def test_progress_goes_from_no_window_to_all(model: LanguageModel, head: str | None) -> None:
    request = replace(REQUEST, context=STORY, head=head, window_tokens=64, doc_stride=8)
    progress = list(model.extract_steps(request))
    count = model.extract(request).windows
    assert progress[0] == (0, count)
    assert progress[-1] == (count, count)
    assert progress == sorted(progress)


@pytest.mark.parametrize("head", [None, "spans"])
def test_who_leaves_between_windows_leaves_nothing_running(model: LanguageModel, head: str | None) -> None:
    steps = model.extract_steps(replace(REQUEST, context=STORY * 40, head=head, window_tokens=64, doc_stride=8))
    assert next(steps)[0] == 0
    steps.close()
    assert model.extract(replace(REQUEST, n_best=1)).n_best


@pytest.mark.parametrize("head", [None, "spans"])
def test_a_passage_without_a_word_is_refused(model: LanguageModel, head: str | None) -> None:
    with pytest.raises(BadRequest, match="no word"):
        model.extract(replace(REQUEST, context="... !? \U0001f984", head=head))


@pytest.mark.parametrize("head", [None, "spans"])
def test_half_of_a_surrogate_pair_is_refused(model: LanguageModel, head: str | None) -> None:
    with pytest.raises(BadRequest, match="surrogate"):
        model.extract(replace(REQUEST, context="the \ud800 king", head=head))


@pytest.mark.parametrize("head", [None, "spans"])
def test_a_question_longer_than_the_window_is_too_long(model: LanguageModel, head: str | None) -> None:
    with pytest.raises(TooLong, match="Shorten the question"):
        model.extract(replace(REQUEST, question="why " * 400, head=head))


def test_examples_that_fill_the_context_are_too_long(model: LanguageModel) -> None:
    with pytest.raises(TooLong, match="drop examples"):
        model.extract(replace(REQUEST, shots=((PASSAGE, "Who?", "king"),) * 9))


@pytest.mark.parametrize("head", [None, "spans"])
def test_an_answer_may_be_allowed_more_tokens_than_the_passage_has(model: LanguageModel, head: str | None) -> None:
    answer = model.extract(ExtractSpan("Who?", "The king.", head, max_answer_tokens=1000))
    assert answer.n_best


def test_a_passage_of_one_endless_word_has_no_span_that_is_short_enough(model: LanguageModel) -> None:
    answer = model.extract(ExtractSpan("Who?", "x" * 150, max_answer_tokens=5, n_best=2))
    assert answer.n_best == ()
    assert answer.best() is None


def test_words_begin_at_letters_and_at_punctuation_after_a_space() -> None:
    starts, ends = boundaries('He paid "$5.30" (a/b).', 0, 22)
    assert starts == [0, 3, 8, 10, 12, 16, 17, 19]
    assert ends == [2, 7, 10, 11, 12, 14, 15, 17, 18, 19, 20, 22]


def test_a_letter_of_double_width_is_a_word_of_its_own() -> None:
    assert boundaries("日本の", 0, 3) == ([0, 1, 2], [1, 2, 3])


def test_a_word_cut_by_its_window_is_no_candidate() -> None:
    passage = "unicorn walked"
    tree = span_tree(TOKENIZER, passage, 2, 11, 9)
    assert tree.places == {}


def test_a_long_run_of_spaces_does_not_hide_what_follows() -> None:
    passage = "a" + " " * 400 + "b"
    tree = span_tree(TOKENIZER, passage, 0, len(passage), 500)
    assert (0, len(passage)) in tree.places.values()


@pytest.mark.parametrize("seed", range(20))
def test_a_branch_spells_its_span(seed: int) -> None:
    text = random_text(random.Random(seed), 12)
    tree = span_tree(TOKENIZER, text, 0, len(text), 20)
    for node, (start, end) in tree.places.items():
        tokens = []
        while node >= 0:
            tokens.append(tree.tokens[node])
            node = tree.parents[node]
        assert TOKENIZER.decode(tokens[::-1]) == " " + text[start:end]
