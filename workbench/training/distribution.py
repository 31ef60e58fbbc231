"""Several processes, on one machine or many: accelerate decides how, by the command that started them.

Alone, under `torchrun` (data parallel; on CPUs through gloo with ACCELERATE_USE_CPU=true), or under `accelerate launch`
with one of the configurations that lie beside this file: FSDP's and DeepSpeed's. A step's rows do not depend on the
number of processes: each takes its share of them.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, GradientAccumulationPlugin, broadcast_object_list, gather_object
from torch import Tensor, nn

from workbench.errors import BadRequest, WorkbenchError

Found = TypeVar("Found")
CONFIGURATION, ZERO_CONFIGURATION = "workbench/training/fsdp.yaml", "workbench/training/deepspeed.yaml"
"""For `accelerate launch --config_file`."""
ZERO_STAGES = (1, 2)
"""Of DeepSpeed: those in which each process has all of the weights. FSDP does what the third would."""


def is_first_process() -> bool:
    """Whether this process is the one that writes files and tells people; asked before anything is set up."""
    return int(os.environ.get("RANK", "0")) == 0


class Processes:
    """All processes of a run, seen from one of them.

    Args:
        accumulate: batches whose gradients are added up before a step.
    """

    def __init__(self, accumulate: int):
        plugin = GradientAccumulationPlugin(num_steps=accumulate, sync_with_dataloader=False)
        self.accelerator = Accelerator(gradient_accumulation_plugin=plugin)
        self.count, self.rank = self.accelerator.num_processes, self.accelerator.process_index
        self.device: torch.device = self.accelerator.device
        self.first: bool = self.accelerator.is_main_process
        self._accumulate = accumulate
        self._check_way()

    @property
    def sharded(self) -> bool:
        """Whether no process holds all of the weights."""
        return self.accelerator.distributed_type == DistributedType.FSDP

    @property
    def zero(self) -> bool:
        """Whether DeepSpeed spreads the optimizer's state; it steps, and clips, at the end of the backward pass."""
        return self.accelerator.distributed_type == DistributedType.DEEPSPEED

    def prepare(self, network: nn.Module, optimizer: torch.optim.Optimizer, rows: int, clip: float) -> Any:
        """The network and the optimizer as accelerate makes them for all processes.

        Args:
            rows: of a batch.
            clip: the norm to which DeepSpeed cuts gradients; elsewhere the caller does that.
        """
        if self.zero:
            self.accelerator.state.deepspeed_plugin.deepspeed_config |= {
                "gradient_accumulation_steps": self._accumulate, "train_micro_batch_size_per_gpu": rows,
                "gradient_clipping": clip,
            }  # fmt: skip
        return self.accelerator.prepare(network, optimizer)

    def _check_way(self) -> None:
        """Refuses what has not been built here, rather than to train something else.

        Raises:
            BadRequest: Megatron, the first FSDP or DeepSpeed's third stage is configured.
        """
        kind, state = self.accelerator.distributed_type, self.accelerator.state
        unbuilt = kind == DistributedType.MEGATRON_LM
        unbuilt |= self.sharded and state.fsdp_plugin.fsdp_version != 2
        unbuilt |= self.zero and state.deepspeed_plugin.zero_stage not in ZERO_STAGES
        if unbuilt:
            raise BadRequest(
                f"Training does not work with {kind.value} as configured. Start it with torchrun, each process with "
                f"the whole model, or by accelerate launch --config_file with {CONFIGURATION} (FSDP2) or "
                f"{ZERO_CONFIGURATION} (ZeRO, stage 2)."
            )

    @contextmanager
    def failing_together(self) -> Iterator[None]:
        """A context that ends in an error in all processes if it does in one: none is left waiting for another.

        Raises:
            BadRequest: another process has failed, and why.
        """
        own: WorkbenchError | None = None
        try:
            yield
        except WorkbenchError as error:
            own = error
        failures = self.gather([] if own is None else [f"process {self.rank}: {own}"])
        if own is not None:
            raise own
        if failures:
            raise BadRequest(f"Another process of this training has failed. {failures[0]}")

    def agree(self, told: Sequence[str], names: Sequence[str]) -> None:
        """Compares what each process is about to do.

        Args:
            names: what each text of `told` is, for the message.

        Raises:
            BadRequest: two differ; all processes say so.
        """
        for rank, other in enumerate(self.gather([list(told)])):
            different = [name for name, mine, its in zip(names, told, other, strict=True) if mine != its]
            if different:
                raise BadRequest(
                    f"The processes of this training do not see the same: {', '.join(different)} of process {rank} "
                    f"differ from those of process {self.rank}. Give every process the same command and files."
                )

    def from_first(self, read: Callable[[], Found]) -> Found:
        """What the first process reads, in all of them; its error too."""
        found: list[Any] = [None]
        with self.failing_together():
            if self.first:
                found = [read()]
        return broadcast_object_list(found)[0] if self.count > 1 else found[0]

    def share(self, rows: Sequence[int], stand_in: int) -> tuple[list[int], int]:
        """This process's rows, and how many they count for.

        A process that gets none computes a stand-in that counts for nothing: all of them must take part in a step.
        """
        mine = list(rows[self.rank :: self.count])
        return (mine, len(mine)) if mine else ([stand_in], 0)

    def sum(self, value: Tensor) -> float:
        """A number added up over the processes."""
        return float(self.accelerator.reduce(value.detach(), reduction="sum"))

    def gather(self, values: list[Any]) -> list[Any]:
        """The lists of all processes, one after the other."""
        return gather_object(values) if self.count > 1 else values

    def wait(self) -> None:
        """Until all processes have come here."""
        self.accelerator.wait_for_everyone()

    def learned(self, network: nn.Module) -> dict[str, Tensor]:
        """The weights that learn, by name, whole and on the CPU; where they are whole there already, themselves."""
        plain = self.accelerator.unwrap_model(network)
        learning = {name: weight for name, weight in plain.named_parameters() if weight.requires_grad}
        if self.sharded:
            gathered = self.accelerator.get_state_dict(network)
            return {name: gathered[name].cpu() for name in learning if name in gathered}
        return {name: weight.detach().cpu() for name, weight in learning.items()}
