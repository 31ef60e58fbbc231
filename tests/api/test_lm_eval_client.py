"""`lm_eval --model local-completions` against the API finds what our own runner finds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.serving import NAME, Served, eventually, served
from tests.evals.lm_eval_parity.cases import cases
from tests.evals.lm_eval_parity.ours import our_numbers
from tests.evals.lm_eval_parity.side_numbers import different_metrics, largest_difference
from tests.evals.lm_eval_parity.tiny_model import CONTEXT_TOKENS, write_model

pytest.importorskip("lm_eval")
pytest.importorskip("tenacity")
from lm_eval.models.openai_completions import LocalCompletionsAPI

from tests.evals.lm_eval_parity.theirs import MEASURES, their_numbers

ROUNDING = 2e-5
"""Between the same sums in another order: the runner scores what texts have in common once."""


@pytest.fixture(scope="module")
def api() -> Iterator[Served]:
    with served(context_tokens=CONTEXT_TOKENS) as found:
        yield found


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The checkpoint's folder, of which its client reads the tokenizer."""
    return str(write_model(tmp_path_factory.mktemp("tiny"), CONTEXT_TOKENS))


@pytest.mark.parametrize("task, way", [
    ("lambada_openai", {"num_concurrent": 1}),
    ("piqa", {"num_concurrent": 4, "batch_size": 3}),
    ("triviaqa", {"num_concurrent": 4}),
])  # fmt: skip
def test_its_numbers_are_our_runners(
    api: Served, tokenizer: str, task: str, way: dict[str, Any], tmp_path: Path
) -> None:
    case = cases(task, "samples")[0]
    ours = our_numbers(case, api.model)
    client = LocalCompletionsAPI(
        base_url=f"{api.url}/v1/completions", model=NAME, tokenizer=tokenizer, tokenizer_backend="huggingface",
        max_length=CONTEXT_TOKENS, **way,
    )  # fmt: skip
    measured = tuple(name for name in MEASURES if name in ours.metrics and name != "brier_score")
    theirs = their_numbers(case, client, measured, tmp_path)
    assert largest_difference(ours, theirs) <= ROUNDING
    assert different_metrics(ours, theirs) == []
    assert ours.texts == theirs.texts
    eventually(lambda: api.at_rest)
