"""A checkpoint in several precisions, and the texts or rows they are compared on: what page and command line share."""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

from workbench.errors import BadRequest, Busy
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL, Limits
from workbench.evals.precision import widest_first
from workbench.evals.precision_report import Material, Opened, Precision, RowAsked
from workbench.evals.precision_work import asked_text
from workbench.evals.runs.protocol import content_digest
from workbench.evals.task import BenchmarkMethod, Task
from workbench.loading.precision import named
from workbench.manager import ModelManager, ModelSpec

MOST_PRECISIONS = 6
MOST_WRITTEN = 8
"""Texts of a data set that are continued: those at its beginning."""
_PROMPT_CHARACTERS = 200


def compared_precisions(
    manager: ModelManager, spec: ModelSpec, names: Sequence[str], task: Task[Any] | None = None
) -> list[Precision]:
    """The checkpoint in each precision, the widest first: it is what the others are measured against.

    Args:
        task: whose rows are asked about, fitted to them; None: there are none.

    Raises:
        BadRequest: fewer than two precisions, or one that there is not.
    """
    ordered = widest_first(names)
    for name in ordered:
        named(name)
    if not 2 <= len(ordered) <= MOST_PRECISIONS:
        raise BadRequest(f"Choose from 2 to {MOST_PRECISIONS} precisions to compare; {len(ordered)} are chosen.")
    method = None if task is None else task.method
    return [Precision(name, _opener(manager, replace(spec, precision=name), method)) for name in ordered]


def _opener(
    manager: ModelManager, spec: ModelSpec, method: BenchmarkMethod[Any] | None
) -> Callable[[], AbstractContextManager[Opened]]:
    @contextmanager
    def opened() -> Iterator[Opened]:
        """The precision while it is needed; one that was not in memory before leaves it again."""
        was_loaded = manager.is_loaded(spec)
        try:
            with manager.lease(spec) as model:
                yield Opened(model, manager.identity(spec).weights_bytes, method)
        finally:
            if not was_loaded:
                with suppress(Busy):  # somebody else began to use it: it stays for them
                    manager.unload(spec)

    return opened


def prompt_material(prompt: str, new_tokens: int) -> Material:
    """One prompt: what the reference writes after it is read by all.

    Raises:
        BadRequest: it is empty.
    """
    if not prompt.strip():
        raise BadRequest("The prompt is empty. Write the beginning of a text.")
    return Material((prompt,), (prompt,), follows=True, new_tokens=new_tokens)


def text_material(text: str, new_tokens: int) -> Material:
    """A text that is read; the beginnings of its first paragraphs are continued.

    Raises:
        BadRequest: it is empty.
    """
    if not text.strip():
        raise BadRequest("The text is empty. Paste one, or give a file that holds some.")
    return Material((text,), _beginnings(text) if new_tokens else (), new_tokens=max(1, new_tokens))


def _beginnings(text: str) -> tuple[str, ...]:
    """Of the first paragraphs, cut at a word's end."""
    paragraphs = [one.strip() for one in re.split(r"\n\s*\n", text) if one.strip()]
    cut = [one if len(one) <= _PROMPT_CHARACTERS else one[:_PROMPT_CHARACTERS].rpartition(" ")[0] or
           one[:_PROMPT_CHARACTERS] for one in paragraphs]  # fmt: skip
    return tuple(cut[:MOST_WRITTEN])


def task_material(
    task: Task[Any],
    data: Path | Literal["samples"] | None,
    limit: int | None,
    new_tokens: int,
    limits: Limits = LOCAL,
) -> tuple[Task[Any], Material]:
    """A task's rows: each is read and asked about, the first ones are continued. Gives the task fitted to them too.

    Raises:
        BadRequest: the rows can't be had, or hold nothing to read.
    """
    found = load_data(task, data, limit, limits)
    task = task.for_data(found)
    rows, texts = [], []
    for row in found.rows:
        example = task.read(row)
        rows.append(RowAsked(row.identity(task.id_column), row.index, content_digest(example), example))
        try:
            texts.append(asked_text(task.method.requests(example)[0]))
        except BadRequest:
            continue  # its prediction says what is wrong with it
    texts = [text for text in texts if text.strip()]
    prompts = texts[:MOST_WRITTEN] if new_tokens else []
    return task, Material(tuple(texts), tuple(prompts), rows=tuple(rows), new_tokens=max(1, new_tokens))
