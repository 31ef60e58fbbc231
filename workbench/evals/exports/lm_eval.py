"""A run as lm-evaluation-harness 0.4.13 would have recorded it, so that the programs that read its files read ours.

Where the harness has the data set's row, here stands what the run has of it: id, row number, digest, prompt, gold.
"""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from workbench.evals.metrics.estimates import RESAMPLES
from workbench.evals.metrics.metric import Metric
from workbench.evals.prediction import Prediction
from workbench.evals.runs.run import Run

OUTPUT_TYPES = {
    "multiple_choice": "multiple_choice",
    "classification": "multiple_choice",
    "cloze": "loglikelihood",
    "perplexity": "loglikelihood_rolling",
    "generation": "generate_until",
    "extraction": "generate_until",
}
"""The harness's word for each method."""
FILTER = "none"
"""The harness post-processes answers by named filters; this one does nothing."""
_HASHES = ("doc_hash", "prompt_hash", "target_hash")
Arguments = Sequence[Sequence[Any]]
Responses = Sequence[Any]


def results_record(run: Run, metrics: Sequence[Metric]) -> dict[str, Any]:
    """The file of results, for a run that is done."""
    record, task = run.record, run.task
    about, shots = record["task"], record["shots"]
    samples = sample_records(run, metrics)
    return {
        "results": {task: {"name": task, "alias": task, "sample_len": run.n, **_results(run)}},
        "group_subtasks": {task: []},
        "configs": {task: _config(run, metrics)},
        "versions": {task: about["version"]},
        "n-shot": {task: shots["count"]},
        "higher_is_better": {task: {metric.name: metric.higher_is_better for metric in metrics}},
        "n-samples": {task: {"original": _rows_of_all(record), "effective": run.n}},
        "config": _model_config(record),
        "git_hash": None,
        "date": _began(run).timestamp(),
        "max_length": record["model"]["context_tokens"],
        "task_hashes": {task: _sha256("".join(one[name] for one in samples for name in _HASHES))},
        "model_source": "workbench",
        "model_name": record["model"]["checkpoint"],
        "model_name_sanitized": re.sub(r"[\"<>:/|\\?*\[\]]+", "__", record["model"]["checkpoint"]),
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": False,
        "chat_template": None,
        "chat_template_sha": None,
        "total_evaluation_time_seconds": str(run.cost.seconds),
    }


def sample_records(run: Run, metrics: Sequence[Metric]) -> list[dict[str, Any]]:
    """The lines of the file of samples, in the data's order."""
    return [_sample(run.record, metrics, one) for one in run.predictions]


def file_date(run: Run) -> str:
    """When the run began, as the harness puts it into file names."""
    return _began(run).replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", "-")


def _sample(record: Mapping[str, Any], metrics: Sequence[Metric], one: Prediction) -> dict[str, Any]:
    doc = {"id": one.id, "row": one.row, "digest": one.digest, "prompt": one.prompt, "gold": one.gold}
    target = _target(one)
    arguments, responses = _asked(record, one)
    found = {metric.name: _value(metric, one) for metric in metrics}
    counted = {name: value for name, value in found.items() if value is not None}
    return {
        "doc_id": one.row,
        "doc": doc,
        "target": target,
        "arguments": {
            f"gen_args_{number}": {f"arg_{place}": value for place, value in enumerate(values)}
            for number, values in enumerate(arguments)
        },
        "resps": [[response] for response in responses],
        "filtered_resps": list(responses),
        "filter": FILTER,
        "metrics": list(counted),
        "doc_hash": _sha256(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _sha256(str(arguments[0][0])),
        "target_hash": _sha256(target),
        **counted,
        **({"error": one.error} if one.error is not None else {}),
    }


def _target(one: Prediction) -> str:
    """The gold answer; of a label its number among the choices."""
    labels = [choice["text"] for choice in one.detail.get("choices", ())]
    return str(labels.index(one.gold) if one.gold in labels else one.gold)


def _asked(record: Mapping[str, Any], one: Prediction) -> tuple[Arguments, Responses]:
    """What the model was asked of an example, and its answers, all of whose values are texts, as in the harness."""
    settings = record["task"]["settings"]
    prefix = record["shots"].get("prefix", "") if one.prefix is None else one.prefix
    prompt = prefix + one.prompt
    match record["task"]["method"], one.detail:
        case (("multiple_choice" | "classification"), {"choices": choices}):
            delimiter = settings.get("delimiter", "" if one.prompt[-1:].isspace() else " ")
            arguments = [
                (prefix + choice.get("prompt", one.prompt), delimiter + choice.get("continuation", choice["text"]))
                for choice in choices
            ]
            return arguments, [_scored(choice) for choice in choices]
        case "cloze", detail:
            return [(prompt, one.gold)], [_scored(detail)]
        case "perplexity", detail:
            return [(prompt,)], [_scored(detail)[0]]
        case "generation", _:
            return [(prompt, _generation_settings(settings))], [_said(one)]
    return [(prompt,)], [_said(one)]


def _scored(about: Mapping[str, Any]) -> list[str]:
    """A log-likelihood, or a head's logit, and whether greedy decoding says the same; empty where it is not known."""
    return [str(about.get("loglikelihood", about.get("logit", ""))), str(about.get("is_greedy", ""))]


def _said(one: Prediction) -> str:
    return "" if one.answer is None else str(one.answer)


def _generation_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "until": settings["stop"],
        "max_gen_toks": settings["max_new_tokens"],
        "min_new_tokens": settings["min_new_tokens"],
        "num_beams": settings["num_beams"],
        "do_sample": False,
    }


def _value(metric: Metric, one: Prediction) -> float | list[float] | None:
    """What the metric is computed from; None where the example does not count for it."""
    if any(column not in one.scores for column in metric.columns):
        return None
    values = [one.scores[column] for column in metric.columns]
    return values[0] if len(values) == 1 else values


def _results(run: Run) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, estimate in run.metrics.items():
        found[f"{name},{FILTER}"] = estimate.value
        found[f"{name}_stderr,{FILTER}"] = "N/A" if estimate.stderr is None else estimate.stderr
    return found


def _config(run: Run, metrics: Sequence[Metric]) -> dict[str, Any]:
    """The task's, under the names of the harness's own files of tasks."""
    about, data, shots = run.record["task"], run.record["data"], run.record["shots"]
    return {
        "task": run.task,
        "dataset_path": data.get("path"),
        "dataset_name": data.get("name"),
        "dataset_kwargs": {"revision": data.get("revision"), "sha256": data.get("sha256")},
        "test_split": data.get("split"),
        "target_delimiter": about["settings"].get("delimiter", " "),
        "fewshot_delimiter": "\n\n",
        "num_fewshot": shots["count"],
        "metric_list": [
            {
                "metric": metric.name,
                "aggregation": getattr(metric.statistic, "__name__", metric.name),
                "higher_is_better": metric.higher_is_better,
            }
            for metric in metrics
        ],
        "output_type": OUTPUT_TYPES[about["method"]],
        "generation_kwargs": _generation_settings(about["settings"]) if about["method"] == "generation" else None,
        "repeats": 1,
        "should_decontaminate": False,
        "metadata": {"version": about["version"], "settings": about["settings"]},
    }


def _model_config(record: Mapping[str, Any]) -> dict[str, Any]:
    model, shots = record["model"], record["shots"]
    return {
        "model": "workbench",
        "model_args": f"pretrained={model['checkpoint']},precision={model['precision']}",
        "model_num_parameters": model["parameters"],
        "model_dtype": model["dtype"],
        "model_revision": model["revision"],
        "model_sha": model["fingerprint"],
        "batch_size": None,
        "batch_sizes": [],
        "device": model.get("device"),
        "use_cache": None,
        "limit": record["limit"],
        "bootstrap_iters": RESAMPLES,
        "gen_kwargs": {},
        "random_seed": shots["seed"],
        "numpy_seed": None,
        "torch_seed": None,
        "fewshot_seed": shots["seed"],
    }


def _rows_of_all(record: Mapping[str, Any]) -> int | None:
    """In the whole data; not known where the limit was reached."""
    rows: int = record["data"]["rows"]
    return rows if record["limit"] is None or rows < record["limit"] else None


def _began(run: Run) -> datetime:
    """The time of a run whose cost was lost is the beginning of time: nothing else than the cost has one."""
    began = run.cost.began
    return datetime.fromisoformat(began).astimezone(UTC) if began else datetime.fromtimestamp(0, UTC)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
