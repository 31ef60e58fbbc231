"""The same rows asked three ways of one tiny model: our runner, lm-eval through the API, lm-eval's hf backend.

    python -m tests.api.three_ways [--rows 200]

Needs lm_eval and the rows of ../shared/data. lm-eval's hf backend computes in float64, ours in float32.
"""

import argparse
import tempfile
from pathlib import Path

from lm_eval.models.openai_completions import LocalCompletionsAPI

from tests.api.serving import NAME, served
from tests.evals.lm_eval_parity.cases import Case
from tests.evals.lm_eval_parity.ours import our_numbers
from tests.evals.lm_eval_parity.side_numbers import Numbers, different_metrics, largest_difference
from tests.evals.lm_eval_parity.theirs import MEASURES, their_model, their_numbers
from tests.evals.lm_eval_parity.tiny_model import CONTEXT_TOKENS, write_model
from tests.tasks.shared_rows import shared_rows

TASKS = ("lambada_openai", "piqa")


def main() -> None:
    """Prints how far the three are apart, task by task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=200)
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory() as folder, served(context_tokens=CONTEXT_TOKENS) as api:
        scratch = Path(folder)
        checkpoint = write_model(scratch / "tiny", CONTEXT_TOKENS)
        remote = LocalCompletionsAPI(
            base_url=f"{api.url}/v1/completions", model=NAME, tokenizer=str(checkpoint), num_concurrent=8,
            tokenizer_backend="huggingface", max_length=CONTEXT_TOKENS,
        )  # fmt: skip
        for task in TASKS:
            case = Case(task, "shared", 0, CONTEXT_TOKENS, tuple(shared_rows(task)[:rows]), ())
            ours = our_numbers(case, api.model)
            measured = tuple(name for name in MEASURES if name in ours.metrics)
            through = their_numbers(case, remote, measured, scratch)
            beside = their_numbers(case, their_model(checkpoint), measured, scratch)
            asked = sum(map(len, ours.loglikelihoods))
            print(f"{task}: {len(case.rows)} rows, {asked} log-likelihoods")
            print(f"  lm-eval through the API: {_apart(ours, through)}")
            print(f"  lm-eval's hf backend:    {_apart(ours, beside)}", flush=True)


def _apart(ours: Numbers, theirs: Numbers) -> str:
    wrong = different_metrics(ours, theirs)
    return f"within {largest_difference(ours, theirs):.1e}; {', '.join(theirs.metrics)}: {wrong or 'equal'}"


if __name__ == "__main__":
    main()
