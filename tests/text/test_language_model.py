"""Words in, words out: streamed pieces join, stops stop, seeds repeat, and likelihoods are those of a forward pass."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.text.tiny import STORY, TOKENIZER, tiny_language_model
from workbench.engine.jobs import Sampling
from workbench.errors import BadRequest, Cancelled, TooLong
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Generate, Generated, LogLikelihood, RollingLogLikelihood, Scored

CONTEXT = 64
REQUEST = Generate("The unicorn", max_new_tokens=20, sampling=Sampling(0.9), seed=1, alternatives=3)


@pytest.fixture(scope="module")
def model() -> Iterator[LanguageModel]:
    """A tiny model for all tests of this file."""
    tiny = tiny_language_model()
    with tiny.engine:
        yield tiny


def ids(answer: Generated | Scored) -> list[int]:
    """The tokens' ids."""
    return [token.id for token in answer.tokens]


@torch.no_grad()
def logprobs(model: LanguageModel, tokens: Sequence[int], count: int) -> list[float]:
    """Log-probabilities of the last `count` tokens, from one forward pass."""
    logits = model.engine.served.model(torch.tensor([list(tokens[:-1])]), use_cache=False).logits[0]
    rows = logits.log_softmax(-1)[len(logits) - count :]
    return rows[range(count), list(tokens[-count:])].tolist()


@pytest.mark.parametrize("seed", range(12))
def test_what_is_streamed_only_grows_and_the_tokens_texts_join_to_it(model: LanguageModel, seed: int) -> None:
    shown = list(model.stream(replace(REQUEST, seed=seed)))
    texts = [snapshot.text for snapshot in shown]
    assert all(later.startswith(earlier) for earlier, later in pairwise(texts))
    last = shown[-1]
    assert last.text == "".join(token.text for token in last.tokens) == TOKENIZER.decode(ids(last))
    assert [snapshot.finish_reason for snapshot in shown[:-1]] == [None] * (len(shown) - 1)


def test_a_snapshot_comes_before_the_first_token_and_with_each_one(model: LanguageModel) -> None:
    shown = list(model.stream(REQUEST))
    assert [snapshot.completion_tokens for snapshot in shown] == [*range(21), 20]
    assert shown[0].time_to_first_token_seconds is None and shown[1].time_to_first_token_seconds is not None


def test_generate_gives_the_last_snapshot(model: LanguageModel) -> None:
    *_, last = model.stream(REQUEST)
    whole = model.generate(REQUEST)
    assert (whole.text, whole.tokens, whole.finish_reason) == (last.text, last.tokens, "length")
    assert whole.prompt_tokens == len(TOKENIZER.encode(REQUEST.prompt)) and whole.context_tokens == CONTEXT
    assert 0 < whole.time_to_first_token_seconds <= whole.seconds and whole.tokens_per_second > 0  # type: ignore[operator]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 50), start=st.integers(0, 30), length=st.integers(1, 6))
def test_a_stop_string_ends_the_text_before_it(model: LanguageModel, seed: int, start: int, length: int) -> None:
    whole = model.generate(replace(REQUEST, seed=seed, stop=())).text
    stop = whole[start : start + length]
    if not stop:
        return
    stopped = model.generate(replace(REQUEST, seed=seed, stop=("~never~", stop)))
    assert stopped.text == whole[: whole.find(stop)] and stopped.finish_reason == "stop_string"


def test_an_answer_tells_how_many_tokens_were_guessed(model: LanguageModel) -> None:
    asked = Generate("The old king, the old king, the old king,", 40, sampling=Sampling(temperature=0.0), seed=1)
    found, plain = model.generate(asked), model.generate(replace(asked, lookup=False))
    assert (found.text, found.tokens) == (plain.text, plain.tokens)
    assert 0 < found.accepted_tokens <= found.drafted_tokens and plain.drafted_tokens == 0


def test_a_stream_that_reaches_its_stop_string_is_cancelled(model: LanguageModel) -> None:
    stop = model.generate(REQUEST).text[2:4]
    model.generate(replace(REQUEST, stop=(stop,), max_new_tokens=50))
    before = model.engine.steps
    model.loglikelihoods([LogLikelihood("a", "b")])
    assert model.engine.steps - before < 8


def test_closing_a_stream_cancels_it() -> None:
    model = tiny_language_model(n_positions=4000)
    with model.engine:
        stream = model.stream(replace(REQUEST, max_new_tokens=3900))
        for _ in range(3):
            next(stream)
        stream.close()
        model.loglikelihoods([LogLikelihood("a", "b")])
        before = model.engine.steps
        model.loglikelihoods([LogLikelihood("a", "b")])
        assert model.engine.steps - before <= 4 and model.engine._scheduler.idle


def test_a_stream_of_a_closed_engine_says_the_model_was_unloaded() -> None:
    model = tiny_language_model(n_positions=4000)
    stream = model.stream(replace(REQUEST, max_new_tokens=3900))
    next(stream)
    model.engine.close()
    with pytest.raises(Cancelled, match="unloaded"):
        list(stream)


def test_the_end_of_text_token_ends_the_text_and_is_not_in_it(model: LanguageModel) -> None:
    head = model.engine.served.model.lm_head
    with torch.no_grad():
        head.bias[TOKENIZER.eos_id] += 1000.0
        ended = model.generate(replace(REQUEST, min_new_tokens=4))
        head.bias[TOKENIZER.eos_id] -= 1000.0
    assert ended.finish_reason == "stop" and len(ended.tokens) == 4 and TOKENIZER.eos_id not in ids(ended)


def test_the_seed_told_in_the_answer_repeats_it(model: LanguageModel) -> None:
    first, other = (model.generate(replace(REQUEST, seed=None)) for _ in range(2))
    again = model.generate(replace(REQUEST, seed=first.seed))
    assert again.tokens == first.tokens and again.seed == first.seed
    assert other.seed != first.seed and other.text != first.text


def test_a_branch_begins_with_the_forced_tokens_and_their_probabilities(model: LanguageModel) -> None:
    first = model.generate(REQUEST)
    choice = first.tokens[5].alternatives[2]
    branch = model.generate(replace(REQUEST, forced=(*ids(first)[:5], choice.id)))
    assert branch.tokens[:5] == first.tokens[:5]
    assert (branch.tokens[5].id, branch.tokens[5].logprob) == (choice.id, choice.logprob)
    assert branch.tokens[5].rank == 3


def test_alternatives_are_the_likeliest_tokens_in_words(model: LanguageModel) -> None:
    token = model.generate(REQUEST).tokens[0]
    assert len(token.alternatives) == 3
    assert all(rival.text == TOKENIZER.decode([rival.id]) for rival in token.alternatives)
    best_first = sorted(token.alternatives, key=lambda rival: -rival.logprob)
    assert list(token.alternatives) == best_first


def test_a_banned_word_is_never_written_with_or_without_its_space(model: LanguageModel) -> None:
    hot = replace(REQUEST, sampling=Sampling(30.0), max_new_tokens=60)
    banned = {form: TOKENIZER.encode(form) for form in ("green", " green", "e")}
    assert [len(tokens) for tokens in banned.values()] == [2, 1, 1]  # only single tokens can be banned
    drawn = set()
    for seed in range(16):
        drawn.update(ids(model.generate(replace(hot, seed=seed, banned=("green", "e")))))
    assert drawn.isdisjoint({banned[" green"][0], banned["e"][0]}) and max(drawn) < TOKENIZER.size
    assert len(drawn) > 0.8 * TOKENIZER.size


def test_a_banned_word_of_several_tokens_is_refused(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="'xylophone' is more than one token"):
        model.generate(replace(REQUEST, banned=("xylophone",)))


def test_an_empty_prompt_starts_a_document(model: LanguageModel) -> None:
    answer = model.generate(replace(REQUEST, prompt="", max_new_tokens=1))
    assert answer.prompt_tokens == 1
    (expected,) = logprobs(model, [TOKENIZER.eos_id, answer.tokens[0].id], 1)
    assert answer.tokens[0].logprob == pytest.approx(expected, abs=1e-5)


def test_a_prompt_beyond_the_context_is_too_long_and_by_how_much_is_told(model: LanguageModel) -> None:
    prompt = STORY * 3
    excess = len(TOKENIZER.encode(prompt)) - CONTEXT + 1
    with pytest.raises(TooLong, match=f"Shorten the prompt by at least {excess} tokens"):
        model.generate(replace(REQUEST, prompt=prompt))


def test_a_prompt_one_short_of_the_context_gets_one_token(model: LanguageModel) -> None:
    prompt = "e" * (CONTEXT - 1)
    assert len(TOKENIZER.encode(prompt)) == CONTEXT - 1
    answer = model.generate(replace(REQUEST, prompt=prompt))
    assert (len(answer.tokens), answer.finish_reason) == (1, "length")


def test_half_of_a_surrogate_pair_is_refused(model: LanguageModel) -> None:
    for ask in (
        lambda: model.generate(replace(REQUEST, prompt="a\ud800b")),
        lambda: model.generate(replace(REQUEST, banned=("\udfff",))),
        lambda: model.loglikelihoods([LogLikelihood("a", "\ud800")]),
        lambda: model.rolling_loglikelihood(RollingLogLikelihood("\ud800")),
    ):
        with pytest.raises(BadRequest, match="half of a surrogate pair"):
            ask()


def test_a_token_id_beyond_the_vocabulary_is_refused(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="token's id must be a whole number"):
        model.generate(replace(REQUEST, forced=(10**6,)))


def test_beam_search_in_words_ends_with_its_best_text(model: LanguageModel) -> None:
    beams = model.generate(replace(REQUEST, num_beams=3, sampling=Sampling(0.0)))
    assert len(beams.tokens) == 20 and beams.text == TOKENIZER.decode(ids(beams))


@pytest.mark.parametrize("beams", [1, 2])
def test_a_consumer_that_pauses_changes_no_figure(beams: int) -> None:
    request = replace(REQUEST, num_beams=beams, sampling=Sampling(0.0))
    model = tiny_language_model()
    with model.engine:
        began = time.monotonic()
        stream = model.stream(request)
        next(stream)
        while not model.engine._scheduler.idle:
            time.sleep(0.01)
        computed_in = time.monotonic() - began
        time.sleep(0.3)
        *_, last = stream
    assert last.time_to_first_token_seconds is not None and last.tokens_per_second is not None
    assert last.time_to_first_token_seconds <= last.seconds <= computed_in
    assert last.tokens_per_second >= (last.completion_tokens - 1) / computed_in


def test_the_configurations_own_end_tokens_end_the_text_beside_the_tokenizers() -> None:
    model = tiny_language_model()
    with model.engine:
        whole = ids(model.generate(REQUEST))
        for ends in (whole[5], [whole[9], whole[5]]):
            model.engine.served.model.config.eos_token_id = ends
            ended = model.generate(REQUEST)
            assert ids(ended) == whole[: whole.index(whole[5])] and ended.finish_reason == "stop"


def test_a_row_of_the_model_without_a_token_can_not_be_forced(model: LanguageModel) -> None:
    with pytest.raises(BadRequest, match=f"no token {TOKENIZER.size}"):
        model.generate(replace(REQUEST, forced=(TOKENIZER.size,)))
