"""`precision`: the same checkpoint in several precisions, and what each costs in what it says."""

import argparse
import re
from collections.abc import Generator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Literal

from workbench.console import Command, add_model_options, asked_model, note, rewritten
from workbench.errors import BadRequest
from workbench.evals.data.tables import LOCAL
from workbench.evals.data.text_file import open_text
from workbench.evals.precision import Figure
from workbench.evals.precision_report import Material, Report
from workbench.evals.precision_summary import Summary, record, summaries
from workbench.evals.precision_work import measure
from workbench.evals.task import Task
from workbench.evaluating import SAMPLES, tasks_named
from workbench.loading.memory import size_text
from workbench.manager import ModelManager
from workbench.precision_sides import compared_precisions, prompt_material, task_material, text_material
from workbench.settings import read_settings
from workbench.terminal import table


def add_options(parser: argparse.ArgumentParser) -> None:
    """The model, its precisions, and what they are compared on."""
    add_model_options(parser)
    parser.add_argument(
        "--precisions", required=True, metavar="a,b", nargs="+",
        help="two or more, such as float32,int8; the widest is what the others are measured against",
    )  # fmt: skip
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--prompt", metavar="TEXT", help="a text that each continues; what float32 writes all read")
    what.add_argument("--text", metavar="FILE", help="a text in UTF-8 that each reads")
    what.add_argument("--task", metavar="T", help="a benchmark whose rows each reads and answers; see `tasks`")
    parser.add_argument(
        "--data", metavar="FILE", help="of --task: rows in place of its data set's; samples: made-up ones"
    )
    parser.add_argument("--limit", type=int, metavar="N", help="of --task: so many rows, from the beginning")
    parser.add_argument(
        "--new-tokens",
        type=int,
        default=64,
        metavar="N",
        help="of each text that is continued (default: 64; 0: none is)",
    )


def precision(options: argparse.Namespace) -> dict[str, Any]:
    """The report, with each figure's 95 % interval."""
    if options.precision is not None:
        raise BadRequest("--precision names one; this command compares several: give them as --precisions a,b.")
    names = re.findall(r"[^\s,]+", " ".join(options.precisions))
    task, material = _material(options)
    heads_folder = read_settings().heads_folder
    with closing(ModelManager(offload_folder=options.offload_folder, heads_folder=heads_folder)) as manager:
        found = _watched(measure(compared_precisions(manager, asked_model(options), names, task), material))
    shown = summaries(found, task)
    if not options.json:
        _show(found, shown)
    return {"model": options.model, **record(found, shown)}


def _material(options: argparse.Namespace) -> tuple[Task[Any] | None, Material]:
    new_tokens = options.new_tokens
    if not 0 <= new_tokens <= 2048:
        raise BadRequest(f"--new-tokens must be from 0 to 2048; got {new_tokens}.")
    if options.task is None and (options.data is not None or options.limit is not None):
        raise BadRequest("--data and --limit belong to --task. Name a task, or leave them away.")
    if options.prompt is not None:
        return None, prompt_material(options.prompt, max(1, new_tokens))
    if options.text is not None:
        return None, text_material(open_text(Path(options.text).expanduser(), LOCAL).text, new_tokens)
    (task,) = tasks_named([options.task])
    data: Path | Literal["samples"] | None = None
    if options.data is not None:
        data = SAMPLES if options.data == SAMPLES else Path(options.data).expanduser()
    return task_material(task, data, options.limit, new_tokens)


def _watched(steps: Generator[Report, None, Report]) -> Report:
    """The report, with a line of progress while it is made."""
    told = False
    try:
        while True:
            report = next(steps)
            if report.kept_bytes and not told:
                told = True
                note(
                    f"One precision is in memory at a time; {report.reference.name}'s distributions wait in a "
                    f"temporary file of {size_text(report.kept_bytes)}."
                )
            rewritten(f"{report.done:4.0%}  {report.note}")
    except StopIteration as end:
        rewritten("", last=True)
        result: Report = end.value
        return result
    finally:
        steps.close()


def _show(report: Report, shown: Sequence[Summary]) -> None:
    rows = [
        [
            one.name, size_text(one.weights_bytes) if one.weights_bytes else "", _words(one.kl), _words(one.same_best),
            _parted(one), _words(one.flipped), _rate(one.written_per_second), _rate(one.read_per_second),
        ]
        for one in shown
    ]  # fmt: skip
    print(f"Measured against {report.reference.name}; in brackets the 95 % interval")
    header = [
        "",
        "weights",
        "KL, nats/token",
        "same best token",
        "texts part at",
        "answers flipped",
        "writes/s",
        "reads/s",
    ]
    print(table(header, rows))
    for one in shown:
        if one.error:
            note(f"{one.name}: {one.error}")
    for one in shown[1:]:
        if one.metric is not None and one.metric.low is not None:
            found = one.metric
            print(
                f"{found.metric}: {one.name} {found.a.value:.4f}, {shown[0].name} {found.b.value:.4f}, difference "
                f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
            )


def _words(found: Figure | None) -> str:
    if found is None:
        return ""
    ends = "" if found.low is None or found.high is None else f" [{found.low:.3g}, {found.high:.3g}]"
    return f"{found.value:.3g}{ends}"


def _parted(one: Summary) -> str:
    """Of one text its place; of several how many part."""
    if not one.partings:
        return ""
    places = [place for place in one.partings if place is not None]
    if len(one.partings) == 1:
        return f"token {places[0] + 1}" if places else "nowhere"
    return f"{len(places)} of {len(one.partings)}"


def _rate(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


COMMAND = Command(
    "precision", "a checkpoint in several precisions: how far apart, how fast, how large", add_options, precision,
    about="Loads a checkpoint in each precision, one after another, and measures what it costs: KL divergence and "
    "agreement on the likeliest token after every token of the same texts, where greedy texts first part, which "
    "answers flip, tokens a second and bytes; with 95 % intervals over whole texts, or over stretches of a long one.",
)  # fmt: skip
