"""The snippets of the Benchmark tab: the same runs from elsewhere."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

from workbench.evals.runs.runner import Options
from workbench.evaluating import SAMPLES
from workbench.manager import ModelSpec
from workbench.ui.links.snippets import (
    Call,
    Snippet,
    changed,
    code,
    command,
    model_code,
    model_options,
    served_model,
    snippets,
)

HUB = "hub"


@dataclass(frozen=True)
class AskedTasks:
    """Tasks that one model is asked alike."""

    tasks: tuple[str, ...]
    options: Options
    data: str = HUB
    """HUB, SAMPLES, or the name of a file that stands in for every task's rows."""
    head: str | None = None


Asked = Sequence[tuple[ModelSpec, AskedTasks]]


def benchmark_snippets(asked: Asked, url: str) -> list[Snippet]:
    """How the same tasks are run from elsewhere, on one model after another."""
    commands = [_command(spec, one) for spec, one in asked]
    return snippets(_python(asked), commands, [_call(spec, one) for spec, one in asked], url)


def _python(asked: Asked) -> str:
    with_heads = any(one.head for _, one in asked)
    given = "heads_folder=read_settings().heads_folder" if with_heads else ""
    lines = [
        "from pathlib import Path",
        "from workbench.evals.runs.runner import Options",
        "from workbench.evaluating import Evaluation, run_evaluation, tasks_named",
        "from workbench.manager import ModelManager, ModelSpec",
        *(["from workbench.settings import read_settings"] if with_heads else []),
        "",
        f"manager = ModelManager({given})",
    ]
    for spec, one in asked:
        rows = {HUB: "None", SAMPLES: repr(SAMPLES)}.get(one.data, f"Path({one.data!r})")
        head = f", head={one.head!r}" if one.head else ""
        lines += [
            f"for task in tasks_named({list(one.tasks)!r}):",
            f"    evaluation = Evaluation(task, {model_code(spec)}, {code(one.options)}, data={rows}{head})",
            "    for progress in run_evaluation(manager, evaluation, Path('runs')):",
            "        pass",
            "    print(task.name, {name: found.value for name, found in progress.metrics.items()})",
        ]
    return "\n".join([*lines, "manager.close()"])


def _command(spec: ModelSpec, asked: AskedTasks) -> str:
    rows = [("--data", f"{task}={asked.data}") for task in asked.tasks if asked.data != HUB]
    options = asked.options
    return command("evaluate", [
        *model_options(spec), ("--tasks", ",".join(asked.tasks)), ("--limit", options.limit),
        ("--shots", options.shots), ("--seed", options.seed), *rows, ("--head", asked.head),
    ])  # fmt: skip


def _call(spec: ModelSpec, asked: AskedTasks) -> Call:
    model, note = served_model(spec)
    if asked.data not in (HUB, SAMPLES):
        note = " ".join(filter(None, [note, "The endpoint takes no file: this asks for the tasks' own data sets."]))
    plain = asdict(asked.options)
    given = {"tasks": list(asked.tasks), "limit": plain["limit"]}
    given |= changed({name: plain[name] for name in ("shots", "seed")}, asdict(Options()))
    given |= {"data": SAMPLES} if asked.data == SAMPLES else {}
    given |= {"head": asked.head} if asked.head else {}
    return Call("evaluate", given | model, note)
