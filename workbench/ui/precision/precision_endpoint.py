"""The page's endpoint /precision, with plain values in and out."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from gradio.events import api

from workbench.errors import BadRequest
from workbench.evals.precision_summary import record, summaries
from workbench.evals.precision_work import measure
from workbench.precision_sides import compared_precisions, prompt_material, text_material
from workbench.ui.bench import Bench
from workbench.ui.benchmark.evaluate_endpoint import task_names
from workbench.ui.generate.endpoints import page_error, served_spec

_NEW_TOKENS = 2048


def precision_endpoint(bench: Bench) -> None:
    """Registers /precision."""

    def precision(
        precisions: list[str] | str, prompt: str = "", text: str = "", model: str = "", new_tokens: int = 64
    ) -> Iterator[dict[str, Any]]:
        """What a model's precisions cost beside the widest of them: divergence, partings, speed, with intervals.

        precisions is a list of at least two, or a text with commas between them; they are compared on what the widest
        writes after prompt, or on a text that all read; model is a checkpoint (empty: the one served first);
        new_tokens is how long the continuations are. Progress until the report.
        """
        try:
            if bool(prompt.strip()) == bool(text.strip()) or not 1 <= new_tokens <= _NEW_TOKENS:
                raise BadRequest(f"Give a prompt or a text, one of them, and new_tokens from 1 to {_NEW_TOKENS}.")
            longest = bench.settings.profile.benchmarks.precision_characters
            if len(prompt + text) > longest:
                raise BadRequest(f"The text has {len(prompt + text):,} characters; at most {longest:,} are compared.")
            material = prompt_material(prompt, new_tokens) if prompt.strip() else text_material(text, new_tokens)
            spec = served_spec(bench, model, "")
            report = None
            with closing(measure(compared_precisions(bench.manager, spec, task_names(precisions)), material)) as steps:
                for report in steps:
                    yield {"progress": {"done": report.done, "note": report.note}}
            if report is not None:
                yield {"model": spec.checkpoint, **record(report, summaries(report))}
        except Exception as error:
            raise page_error(error) from error

    api(precision, api_name="precision", concurrency_limit=1, concurrency_id="precision")
