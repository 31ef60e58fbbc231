"""A model behind the API says what it says in memory: texts, likelihoods, spans, and a benchmark's numbers."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.serving import NAME, Served, eventually, served
from tests.evals.lm_eval_parity.cases import cases
from tests.evals.lm_eval_parity.ours import our_numbers
from tests.evals.lm_eval_parity.side_numbers import different_metrics, largest_difference
from tests.remote.far import CONTEXT_TOKENS, asking, tiny_folder
from workbench.engine.jobs import Sampling
from workbench.errors import BadRequest, TooLong
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Classify, ExtractSpan, Generate, LogLikelihood, RollingLogLikelihood

ROUNDING = 2e-5
"""Between the same sums in another order."""
GREEDY = Sampling(temperature=0)
PASSAGE = "Mary went to the garden. John slept in the old house near the river, and the dog ran away."


@pytest.fixture(scope="module")
def api() -> Iterator[Served]:
    with served(context_tokens=CONTEXT_TOKENS) as found:
        yield found


@pytest.fixture(scope="module")
def there(api: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LanguageModel]:
    folder = tiny_folder(tmp_path_factory.mktemp("tiny"))
    with asking(f"{api.url}/v1#{NAME}", folder) as model:
        yield model


@pytest.mark.parametrize("request_", [
    Generate("Once upon a time", max_new_tokens=40, sampling=GREEDY, seed=0),
    Generate("Once upon a time", max_new_tokens=40, seed=7),
    Generate("", max_new_tokens=20, seed=3),
    Generate("She said", max_new_tokens=60, seed=5, stop=("the", "\n")),
    Generate("An owl, é and \U0001f984", max_new_tokens=60, seed=11, sampling=Sampling(temperature=2.0, top_k=300)),
    Generate("Once", max_new_tokens=30, seed=2, sampling=Sampling(top_p=0.9, typical_p=0.8, repetition_penalty=1.2)),
    Generate((5, 6, 7, 300), max_new_tokens=12, seed=1),
    Generate((300, 301) * 245, max_new_tokens=600, seed=4),
], ids=["greedy", "seed", "empty", "stop", "halves", "shaped", "ids", "to the end of the context"])  # fmt: skip
def test_a_text_is_the_same(api: Served, there: LanguageModel, request_: Generate) -> None:
    here, far = api.model.generate(request_), there.generate(request_)
    assert (far.text, far.finish_reason, far.seed) == (here.text, here.finish_reason, here.seed)
    assert [token.id for token in far.tokens] == [token.id for token in here.tokens]
    assert [token.logprob for token in far.tokens] == [token.logprob for token in here.tokens]
    assert (far.prompt_tokens, far.context_tokens) == (here.prompt_tokens, here.context_tokens)
    assert far.stop == here.stop


def test_the_likeliest_tokens_beside_each_are_the_same(api: Served, there: LanguageModel) -> None:
    request = Generate("Once upon a time", max_new_tokens=12, sampling=GREEDY, alternatives=8)
    assert there.generate(request).tokens == api.model.generate(request).tokens


def test_a_text_grows_while_it_is_written(there: LanguageModel) -> None:
    sizes = [len(snapshot.tokens) for snapshot in there.stream(Generate("Once", max_new_tokens=64, seed=1))]
    assert len(set(sizes)) > 8


def test_a_branch_begins_with_its_forced_tokens_and_goes_on_from_them(api: Served, there: LanguageModel) -> None:
    request = Generate("Once upon", max_new_tokens=16, sampling=GREEDY, forced=(40, 41, 42), alternatives=3)
    here, far = api.model.generate(request), there.generate(request)
    assert [token.id for token in far.tokens] == [token.id for token in here.tokens]
    assert [token.logprob for token in far.tokens] == pytest.approx(
        [token.logprob for token in here.tokens], abs=ROUNDING
    )


def test_likelihoods_are_the_same(api: Served, there: LanguageModel) -> None:
    asked = [
        LogLikelihood("The sky is", " blue"), LogLikelihood("The sky is ", "over the sea"), LogLikelihood("", " one"),
        LogLikelihood("word " * 700, " more"), RollingLogLikelihood("It was the best of times. " * 90),
    ]  # fmt: skip
    for here, far in zip(api.model.answers(asked), there.answers(asked), strict=True):
        assert far.loglikelihood == pytest.approx(here.loglikelihood, abs=ROUNDING * len(here.tokens))
        assert (far.is_greedy, far.unseen_tokens) == (here.is_greedy, here.unseen_tokens)
        assert [token.id for token in far.tokens] == [token.id for token in here.tokens]


@pytest.mark.parametrize("n_best", [3, 20])
def test_an_answer_by_likelihood_is_the_same(api: Served, there: LanguageModel, n_best: int) -> None:
    request = ExtractSpan("Who slept?", PASSAGE, n_best=n_best, max_answer_tokens=6)
    here, far = api.model.extract(request), there.extract(request)
    assert [span.text for span in far.n_best] == [span.text for span in here.n_best]
    assert [span.score for span in far.n_best] == pytest.approx([span.score for span in here.n_best], abs=1e-4)
    assert far.null_score == pytest.approx(here.null_score, abs=1e-4)


@pytest.mark.parametrize("task", ["lambada_openai", "piqa", "sst2"])
def test_a_benchmarks_numbers_are_the_same(api: Served, there: LanguageModel, task: str) -> None:
    case = cases(task, "samples")[0]
    here, far = our_numbers(case, api.model), our_numbers(case, there)
    assert largest_difference(here, far) <= ROUNDING
    assert different_metrics(here, far) == []


def test_whoever_leaves_closes_the_connection_and_stops_the_server(api: Served, there: LanguageModel) -> None:
    snapshots = there.stream(Generate("Once", max_new_tokens=400, seed=1))
    for snapshot in snapshots:
        if len(snapshot.tokens) > 2:
            break
    snapshots.close()
    eventually(lambda: api.at_rest)


def test_unloading_ends_what_is_under_way_and_its_thread(api: Served, tmp_path: Path) -> None:
    with asking(f"{api.url}/v1#{NAME}", tiny_folder(tmp_path)) as model:
        handle = model.submit([Generate("Once", max_new_tokens=400, seed=1)])
    with pytest.raises(Exception, match=r"stopped before|unloaded"):
        handle.result()
    eventually(lambda: api.at_rest)
    names = [thread.name for thread in threading.enumerate()]
    assert names.count(f"remote {api.url}") <= 1  # that of the module's own model


def test_what_a_server_can_not_do_is_refused_with_a_sentence(there: LanguageModel) -> None:
    with pytest.raises(BadRequest, match="beam search"):
        there.generate(Generate("Once", sampling=GREEDY, num_beams=2))
    with pytest.raises(BadRequest, match="hidden states"):
        there.classify([Classify("a text", "head")])
    with pytest.raises(BadRequest, match="whole distributions"):
        list(there.logit_steps([1, 2, 3]))
    with pytest.raises(BadRequest, match="least number"):
        there.generate(Generate("Once", min_new_tokens=3))
    with pytest.raises(TooLong):
        there.generate(Generate("word " * 2000))
