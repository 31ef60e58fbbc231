"""Several processes that are to share benchmark runs find out, before anything is asked, whether they see the same."""

import json
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from torch.distributed import DistError
from torch.distributed.rendezvous import rendezvous

from workbench.errors import BadRequest, Cancelled
from workbench.evals.runs.process import Process
from workbench.evals.runs.protocol import differences

PATIENCE_SECONDS = 600.0
"""For a process that is still loading its model, on a slow disk maybe."""


def agree(
    process: Process,
    plans: Sequence[Mapping[str, Any]],
    environment: Mapping[str, str] = os.environ,
    patience_seconds: float = PATIENCE_SECONDS,
) -> None:
    """Compares what decides the runs' numbers with the first process's, through the launcher's own store.

    Without a launcher that tells where the processes meet (MASTER_ADDR) nothing is compared.

    Args:
        plans: of each run what it depends on, by name.

    Raises:
        BadRequest: they differ; it says in what. Cancelled: a process did not come.
    """
    if process.count == 1 or not environment.get("MASTER_ADDR"):
        return
    mine = json.dumps(plans, sort_keys=True)
    try:
        patience = timedelta(seconds=patience_seconds)
        meeting = rendezvous("env://", process.rank, process.count, timeout=patience)  # type: ignore[no-untyped-call]
        store, *_ = next(meeting)
        store.set(f"plan of {process.rank}", mine)
        told = [store.get(f"plan of {rank}").decode() for rank in range(process.count)]
        store.set(f"{process.rank} has read", "")
        if process.rank == 0:  # it may hold the store, which the others must not miss while they read
            store.wait([f"{rank} has read" for rank in range(process.count)], patience)
    except (DistError, RuntimeError) as error:
        raise Cancelled(
            f"Not all {process.count} processes came together within {patience_seconds:.0f} seconds: one has failed, "
            "or can't be reached. Look at what it said, then start all of them again."
        ) from error
    for rank, theirs in enumerate(told):
        if theirs != mine:
            raise BadRequest(
                f"The processes of this run do not see the same: {_where(plans, json.loads(theirs))} of process {rank} "
                f"differ from those of process {process.rank}. Give every process the same command and files."
            )


def _where(mine: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> str:
    """What differs, of all runs together."""
    if len(mine) != len(theirs):
        return "tasks"
    found = [name for one, other in zip(mine, theirs, strict=True) for name in differences(one, other)]
    return ", ".join(dict.fromkeys(found))
