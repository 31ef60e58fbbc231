"""Runs lm-evaluation-harness and the workbench side by side on the same tiny model and rows, and prints both.

    python -m tests.evals.lm_eval_parity.make_golden [--only "piqa, samples"] [--write]

Needs lm_eval 0.4.13 and, for six of the tasks, the rows of ../shared/data. `--write` keeps lm-eval's numbers in
golden.json, with which test_lm_eval_parity.py compares ours where lm_eval is not installed.
"""

import argparse
import json
import platform
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.evals.lm_eval_parity.cases import GOLDEN, Case, cases, origins, our_task
from tests.evals.lm_eval_parity.ours import our_numbers
from tests.evals.lm_eval_parity.side_numbers import Numbers, different_metrics, largest_difference
from tests.evals.lm_eval_parity.theirs import MEASURES, TASK_FILES, their_model, their_numbers
from tests.evals.lm_eval_parity.tiny_model import fingerprint, our_model, write_model
from workbench.evals.data.rows import Row


def measures(case: Case) -> tuple[str, ...]:
    """What lm-evaluation-harness can measure of the case."""
    task = our_task(case.task)
    ours = [metric.name for metric in task.method.metrics]
    counts = {len(answers) for answers in _choices(case)}
    return tuple(name for name in MEASURES if name in ours and (name != "brier_score" or len(counts) == 1))


def main() -> None:
    """Compares, prints, and with --write keeps lm-evaluation-harness's numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="comparisons whose name holds this text")
    parser.add_argument("--dtype", default="float64", help="lm-eval's; ours is float32")
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    golden = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"] if GOLDEN.exists() else {}
    with tempfile.TemporaryDirectory() as scratch:
        made = (case for name in TASK_FILES for origin in origins(name) for case in cases(name, origin))
        for case in (case for case in made if arguments.only in case.key):
            theirs = compared(case, Path(scratch), arguments.dtype)
            golden[case.key] = {"rows_sha256": case.digest, **theirs.as_json()}
    if arguments.write:
        _write(golden)


def compared(case: Case, scratch: Path, dtype: str) -> Numbers:
    """Both sides of a case, printed; gives theirs."""
    folder = scratch / str(case.context_tokens)
    if not folder.exists():
        write_model(folder, case.context_tokens)
    theirs = their_numbers(case, their_model(folder, dtype), measures(case), scratch)
    model = our_model(case.context_tokens)
    try:
        ours = our_numbers(case, model)
    finally:
        model.engine.close()
    wrong = different_metrics(ours, theirs)
    texts = "" if ours.texts == theirs.texts else f" texts {ours.texts} {theirs.texts}"
    apart = largest_difference(ours, theirs)
    print(f"{case.key}: {len(case.rows)} rows, {apart:.1e}, {', '.join(theirs.metrics)}: {wrong or 'equal'}{texts}")
    return theirs


def _choices(case: Case) -> Iterator[Any]:
    task = our_task(case.task)
    for row in case.rows:
        yield getattr(task.read(Row(row)), "choices", ())


def _write(golden: dict[str, Any]) -> None:
    made_by: dict[str, Any] = {
        name: version(name) for name in ("lm_eval", "transformers", "torch", "tokenizers", "numpy")
    }
    made_by |= {"python": platform.python_version(), "made by": f"python -m {__spec__.name} --write"}
    made_by["model"] = fingerprint()
    lines = ",\n".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in sorted(golden.items()))
    GOLDEN.write_text(f'{{"made_by": {json.dumps(made_by)},\n"cases": {{\n{lines}\n}}}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()
