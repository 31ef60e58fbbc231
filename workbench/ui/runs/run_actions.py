"""What a visitor may do with the runs that are kept here: find, finish, ask again on another model, delete."""

import shutil
from collections.abc import Sequence
from dataclasses import replace

from workbench.errors import BadRequest
from workbench.evals.runs.run import Run
from workbench.evaluating import Evaluation, asked_again
from workbench.ui.bench import Bench
from workbench.ui.benchmark.benchmark_form import check_evaluations


def found_runs(bench: Bench, names: Sequence[str]) -> list[Run]:
    """The runs of these names, in their order; a name is never a path.

    Raises:
        BadRequest: one is not there any more, or is damaged.
    """
    there = {run.name: run for run in bench.runs.runs()}
    for name in names:
        if name not in there:
            gone = f"There is no run {name[:80]!r} here any more."
            raise BadRequest(bench.runs.damaged().get(name, gone))
    return [there[name] for name in names]


def what_finishes(bench: Bench, name: str) -> Evaluation:
    """The evaluation that goes on with an unfinished run.

    Raises:
        BadRequest: it is not there, or can't be asked any more.
    """
    (run,) = found_runs(bench, [name])
    evaluation = asked_again(run, bench.settings.runs_folder)
    check_evaluations([evaluation], bench.settings.profile)
    return evaluation


def same_on_another(bench: Bench, runs: Sequence[Run], model: str, precision: str) -> list[Evaluation]:
    """The runs' tasks, rows and settings, each once, on another model or precision.

    Args:
        model: its name on the page.
        precision: empty for the model's own.

    Raises:
        BadRequest: no run is given, or one can't be asked any more.
    """
    if not runs:
        raise BadRequest("No run is open. Open one first.")
    spec = bench.spec_named(model)
    spec = replace(spec, precision=precision or spec.precision)
    asked = [asked_again(run, bench.settings.runs_folder, spec) for run in runs]
    unlike = {(one.task.name, repr(one.options), str(one.data)): one for one in asked}
    check_evaluations(list(unlike.values()), bench.settings.profile)
    return list(unlike.values())


def delete_runs(bench: Bench, names: Sequence[str]) -> None:
    """Takes runs from the disk.

    Raises:
        BadRequest: others use the page too, a run is not there, or it is being written.
    """
    if not bench.settings.serves_locally:
        raise BadRequest("Runs of a page that others use are deleted on its machine only.")
    runs = found_runs(bench, names)
    for run in runs:
        if run.state == "running":
            raise BadRequest(f"{run.name} is being written. Stop it first, on the Benchmark tab.")
    for run in runs:
        shutil.rmtree(run.folder)
