"""Likelihoods are those of one forward pass over the joint encoding, by lm-evaluation-harness' rules."""

import random
from collections.abc import Iterator, Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.tiny import STORY, TOKENIZER, tiny_language_model
from workbench.errors import BadRequest, Cancelled, TooLong
from workbench.text.language_model import LanguageModel
from workbench.text.pairs import rolling_jobs
from workbench.text.requests import LogLikelihood, RollingLogLikelihood

CONTEXT = 64


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    """A tiny model for all tests of this file."""
    tiny = tiny_language_model()
    with tiny.engine:
        yield tiny


@torch.no_grad()
def direct(model: LanguageModel, context: Sequence[int], tail: Sequence[int]) -> tuple[float, bool]:
    """Log-likelihood of the tail and whether it is greedy, from one forward pass cut at the left to the context."""
    tokens = [*context, *tail][-(CONTEXT + 1) :]
    logits = model.engine.served.model(torch.tensor([tokens[:-1]]), use_cache=False).logits[0, -len(tail) :]
    logprobs = logits.log_softmax(-1)[range(len(tail)), list(tail)]
    return float(logprobs.sum()), logits.argmax(-1).tolist() == list(tail)


def published_pair(context: str, continuation: str) -> tuple[list[int], list[int]]:
    """The harness' encoding of a pair."""
    if not context:
        return [TOKENIZER.eos_id], TOKENIZER.encode(continuation)
    spaces = len(context) - len(context.rstrip())
    if spaces:
        context, continuation = context[:-spaces], context[-spaces:] + continuation
    before, whole = TOKENIZER.encode(context), TOKENIZER.encode(context + continuation)
    return whole[: len(before)], whole[len(before) :]


@pytest.mark.parametrize(
    "context, continuation",
    [
        ("The unicorn", " walked"),
        ("The unicorn ", "walked"),
        ("The unicorn \n ", "walked"),
        ("", "The unicorn"),
        ("", " walked to the hill"),
        ("naïve \U0001f984", "\U0001f984."),
        (STORY[:60], STORY[60:90]),
        (STORY * 2, " apple tree"),
    ],
)
def test_a_likelihood_is_that_of_the_joint_encoding(model: LanguageModel, context: str, continuation: str) -> None:
    head, tail = published_pair(context, continuation)
    expected, greedy = direct(model, head, tail)
    (scored,) = model.loglikelihoods([LogLikelihood(context, continuation)])
    assert scored.loglikelihood == pytest.approx(expected, abs=1e-4)
    assert scored.is_greedy == greedy
    assert [token.id for token in scored.tokens] == tail


@settings(max_examples=30, deadline=None)
@given(start=st.integers(0, 100), middle=st.integers(1, 60), length=st.integers(1, 40))
def test_any_split_of_a_text_is_scored_as_published(model: LanguageModel, start: int, middle: int, length: int) -> None:
    context, continuation = STORY[start : start + middle], STORY[start + middle :][:length]
    head, tail = published_pair(context, continuation)
    if not head or not tail or len(tail) > CONTEXT:
        return
    (scored,) = model.loglikelihoods([LogLikelihood(context, continuation)])
    assert scored.loglikelihood == pytest.approx(direct(model, head, tail)[0], abs=1e-4)


def test_the_texts_of_scored_tokens_join_to_the_continuation(model: LanguageModel) -> None:
    (scored,) = model.loglikelihoods([LogLikelihood("The old king", " slept at the café \U0001f984.")])
    assert "".join(token.text for token in scored.tokens) == " slept at the café \U0001f984."


def test_the_likeliest_continuation_is_greedy(model: LanguageModel) -> None:
    head = TOKENIZER.encode("The unicorn")
    with torch.no_grad():
        best = int(model.engine.served.model(torch.tensor([head])).logits[0, -1, : TOKENIZER.size].argmax())
    text = TOKENIZER.decode([best])
    if TOKENIZER.encode("The unicorn" + text) != [*head, best]:
        pytest.skip("the likeliest token does not stand alone")
    assert model.loglikelihoods([LogLikelihood("The unicorn", text)])[0].is_greedy


def test_many_requests_are_answered_in_their_order_and_what_they_have_in_common_is_computed_once(
    model: LanguageModel,
) -> None:
    words = (" walked", " said", " slept", " was")
    contexts = ["The unicorn", "Nobody", "A café was open", "under the apple"]
    requests = [LogLikelihood(context, word) for context in contexts for word in words]
    before = model.engine.steps
    together = model.loglikelihoods(requests)
    assert model.engine.steps - before == len(contexts)
    assert [answer.loglikelihood for answer in together] == pytest.approx(
        [model.loglikelihoods([request])[0].loglikelihood for request in requests], abs=1e-5
    )


def test_contexts_with_a_long_beginning_in_common_are_scored_in_one_pass(model: LanguageModel) -> None:
    story = "The old king slept under the apple tree, and nobody answered "
    requests = [LogLikelihood(story + word, " already!") for word in ("the king", "the children", "")]
    alone = [model.loglikelihoods([request])[0] for request in requests]
    before = model.engine.steps
    together = model.loglikelihoods(requests)
    assert model.engine.steps - before == 1
    assert [[token.id for token in one.tokens] for one in together] == [
        [token.id for token in one.tokens] for one in alone
    ]
    assert [one.loglikelihood for one in together] == pytest.approx([one.loglikelihood for one in alone], abs=1e-5)


def test_contexts_that_were_cut_at_the_left_are_scored_right_in_one_question(model: LanguageModel) -> None:
    words = STORY * 3
    requests = [LogLikelihood(words, tail) for tail in (" apple", " apple tree and a green hill", " a")]
    alone = [model.loglikelihoods([request])[0] for request in requests]
    together = model.loglikelihoods(requests)
    assert [one.unseen_tokens for one in together] == [one.unseen_tokens for one in alone]
    assert [one.loglikelihood for one in together] == pytest.approx([one.loglikelihood for one in alone], abs=1e-5)


def test_a_shared_beginning_changes_no_number_and_must_be_one(model: LanguageModel) -> None:
    shots = "The unicorn walked to the green hill, and the children said: It's late, naïve as they were.\n\n"
    for rest in ("Nobody answered", "A café"):
        with_it, without = (
            model.loglikelihoods([LogLikelihood(shots + rest, " was", shared)])[0] for shared in (shots, "")
        )
        assert with_it.loglikelihood == pytest.approx(without.loglikelihood, abs=1e-5)
    assert len(model.engine.served.prefixes) == 1
    with pytest.raises(BadRequest, match="does not begin with"):
        LogLikelihood("a", "b", "c")


def test_more_requests_than_the_engine_lets_wait_are_answered(model: LanguageModel) -> None:
    contexts = [STORY[place : place + 9] for place in range(150)] * 4
    assert len(model.loglikelihoods([LogLikelihood(context, " e") for context in contexts])) == 600


def test_if_one_request_fails_those_under_way_are_cancelled(
    model: LanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    handles = []
    score = model.engine.score

    def third_is_refused(job: object) -> object:
        if len(handles) == 2:
            raise Cancelled("unloaded")
        handles.append(score(job))  # type: ignore[arg-type]
        return handles[-1]

    monkeypatch.setattr(model.engine, "score", third_is_refused)
    with pytest.raises(Cancelled):
        model.loglikelihoods([LogLikelihood(context, " e") for context in ("a", "b", "c", "d")])
    assert [handle.cancelled for handle in handles] == [True, True]


def test_a_continuation_that_melts_into_the_contexts_last_token_is_scored_by_itself(model: LanguageModel) -> None:
    whole = next(
        text for id in range(300, TOKENIZER.size - 1) if (text := TOKENIZER.decode([id])).isalpha() and len(text) > 2
    )
    context, continuation = whole[:1], whole[1:]
    assert len(TOKENIZER.encode(whole)) == 1
    (scored,) = model.loglikelihoods([LogLikelihood(context, continuation)])
    assert "".join(token.text for token in scored.tokens) == continuation


def test_an_empty_continuation_and_one_beyond_the_context_are_refused(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="continuation is empty"):
        model.loglikelihoods([LogLikelihood("a", "")])
    with pytest.raises(TooLong, match="continuation has 65 tokens"):
        model.loglikelihoods([LogLikelihood("a ", "e" * 64)])


def published_windows(tokens: Sequence[int], prefix: int, longest: int) -> list[tuple[list[int], list[int]]]:
    """(context, predicted) of each window: the harness' rolling windows for a context of one token, made disjoint.

    The first window predicts its tokens from the prefix; each later one predicts up to `longest` new tokens and
    looks back as far as `longest` allows, minus what it predicts itself.
    """
    first = min(longest, len(tokens))
    windows = [([prefix, *tokens[: first - 1]], list(tokens[:first]))]
    done = first
    while done < len(tokens):
        count = min(len(tokens) - done, longest)
        end = done + count
        windows.append((list(tokens[end - longest - 1 : end - 1]), list(tokens[end - count : end])))
        done = end
    return [(inputs[: len(inputs) - len(predicted) + 1], predicted) for inputs, predicted in windows]


@pytest.mark.parametrize("length", [1, 2, 63, 64, 65, 66, 127, 128, 129, 200])
def test_rolling_predicts_every_token_once_in_the_published_windows(model: LanguageModel, length: int) -> None:
    text = "".join(random.Random(length).choices("xyzqvkw", k=length))
    tokens = TOKENIZER.encode(text)
    assert len(tokens) == length
    windows = published_windows(tokens, TOKENIZER.eos_id, CONTEXT)
    assert [token for _, predicted in windows for token in predicted] == tokens
    expected = sum(direct(model, context, predicted)[0] for context, predicted in windows)
    scored = model.rolling_loglikelihood(RollingLogLikelihood(text))
    assert [token.id for token in scored.tokens] == tokens
    assert scored.loglikelihood == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("length", [1, 64, 65, 128, 200, 333])
def test_rolling_windows_are_the_harness_own(length: int) -> None:
    utils = pytest.importorskip("lm_eval.utils")
    text = "".join(random.Random(length).choices("xyzqvkw", k=length))
    windows = utils.get_rolling_token_windows(
        token_list=TOKENIZER.encode(text), prefix_token=TOKENIZER.eos_id, max_seq_len=CONTEXT, context_len=1
    )
    theirs = [tuple(map(tuple, utils.make_disjoint_window(window))) for window in windows]
    ours = [(job.context, job.continuations[0]) for job in rolling_jobs(TOKENIZER, RollingLogLikelihood(text), CONTEXT)]
    assert ours == theirs


def test_an_empty_text_has_no_rolling_likelihood(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="text is empty"):
        model.rolling_loglikelihood(RollingLogLikelihood(""))


def test_what_the_context_has_no_room_for_is_counted(model: LanguageModel) -> None:
    words = "the green hill " * 40
    continuation = " king"
    fitting, cut = model.loglikelihoods([LogLikelihood("the", continuation), LogLikelihood(words, continuation)])
    tokens = len(model.tokenizer.encode(words + continuation))
    assert fitting.unseen_tokens == 0
    assert cut.unseen_tokens == tokens - (model.context_tokens + 1)
