"""lm-evaluation-harness's side of a comparison: its own task files, with local rows in the place of the Hub's.

Who imports this is skipped without lm_eval; the golden file stands in for it there. Not compared are tasks that both
have under other protocols: its squadv2 writes the answer (ours finds the span), its cnn_dailymail has another prompt
(ours is MLPerf's), its ag_news is made by a package that needs the Hub.
"""

import json
import logging
import os
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from tests.evals.lm_eval_parity.cases import Case
from tests.evals.lm_eval_parity.side_numbers import Numbers

pytest.importorskip("lm_eval")
from lm_eval import evaluator
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.tasks._yaml_loader import load_yaml

TASK_FILES = {
    "lambada_openai": "lambada/lambada_openai.yaml",
    "lambada_standard": "lambada/lambada_standard.yaml",
    "hellaswag": "hellaswag/hellaswag.yaml",
    "piqa": "piqa/piqa.yaml",
    "winogrande": "winogrande/default.yaml",
    "arc_easy": "arc/arc_easy.yaml",
    "arc_challenge": "arc/arc_challenge.yaml",
    "openbookqa": "openbookqa/openbookqa.yaml",
    "sciq": "sciq/sciq.yaml",
    "boolq": "super_glue/boolq/default.yaml",
    "copa": "super_glue/copa/default.yaml",
    "rte": "glue/rte/default.yaml",
    "cb": "super_glue/cb/default.yaml",
    "wsc273": "wsc273/default.yaml",
    "truthfulqa_mc1": "truthfulqa/truthfulqa_mc1.yaml",
    "triviaqa": "triviaqa/default.yaml",
    "wikitext": "wikitext/wikitext.yaml",
    "sst2": "glue/sst2/default.yaml",
}
MEASURES = ("acc", "acc_norm", "acc_bytes", "acc_mutual_info", "brier_score")
"""Asked of every multiple-choice task, whichever its own file names."""


def their_model(checkpoint: Path, dtype: str = "float64", batch_size: int = 8) -> Any:
    """Its "hf" model of a checkpoint folder, on the CPU; in float32 its sums lose the last digits of long texts."""
    return HFLM(pretrained=str(checkpoint), dtype=dtype, device="cpu", batch_size=batch_size)


def their_numbers(case: Case, model: Any, measures: tuple[str, ...], folder: Path) -> Numbers:
    """Asks its task about the case's rows.

    Args:
        measures: for multiple choice; empty: those of its own file.
        folder: for the rows and what its libraries keep.
    """
    logging.getLogger("lm_eval").setLevel(logging.ERROR)
    task = ConfigurableTask(config=_config(case, measures, folder))
    # Its switch for this asks whether the console is a terminal; one process gives the same numbers.
    os.environ["DISABLE_MULTIPROC"] = "1"
    results = evaluator.simple_evaluate(
        model=model,
        tasks=[task],
        num_fewshot=case.shots,
        log_samples=True,
        task_manager=TaskManager(include_defaults=False),  # reading all its files takes longer than asking
    )
    if results is None:
        raise ValueError("Only the first process has results.")
    samples = sorted(results["samples"][case.task], key=lambda sample: sample["doc_id"])
    responses = [[response[0] for response in sample["resps"]] for sample in samples]
    texts = [sample["filtered_resps"][0] for sample in samples] if isinstance(responses[0][0], str) else []
    scores = [] if texts else [[one[0] if isinstance(one, tuple) else one for one in row] for row in responses]
    return Numbers(scores or [[] for _ in samples], texts, _metrics(results["results"][case.task]))


def _config(case: Case, measures: tuple[str, ...], folder: Path) -> dict[str, Any]:
    """Its own task file, with other data."""
    with resources.as_file(resources.files("lm_eval") / "tasks" / TASK_FILES[case.task]) as path:
        config = load_yaml(path)
    split = config.get("test_split") or config["validation_split"]
    files = {split: _written(folder / f"{case.digest}-rows.jsonl", case.rows)}
    if case.shot_rows:
        files["shots"] = _written(folder / f"{case.digest}-shots.jsonl", case.shot_rows)
        config |= {"fewshot_split": "shots", "fewshot_config": {"sampler": "first_n"}}
    config |= {"dataset_path": "json", "dataset_name": None}
    config["dataset_kwargs"] = {"data_files": files, "cache_dir": str(folder / "cache")}
    for name in ("training_split", "validation_split", "test_split"):
        if config.get(name) not in files:
            config[name] = None
    if measures and config["output_type"] == "multiple_choice":
        own = [metric for metric in config["metric_list"] if metric["metric"] not in MEASURES]
        config["metric_list"] = [{"metric": name} for name in measures] + own
    return {key: value for key, value in config.items() if key not in ("tag", "include")}


def _written(path: Path, rows: tuple[dict[str, Any], ...]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def _metrics(results: dict[str, Any]) -> dict[str, tuple[float, float | None]]:
    """By name, without the filter's; "N/A" is no standard error."""
    found = {}
    for key, value in results.items():
        name, comma, filtered = key.partition(",")
        if comma and not name.endswith("_stderr"):
            stderr = results.get(f"{name}_stderr,{filtered}")
            found[name] = (float(value), float(stderr) if isinstance(stderr, (int, float)) else None)
    return found
