"""Several processes, on one machine or many: accelerate decides how, by the command that started them.

Alone, under `torchrun` (data parallel; on CPUs through gloo with ACCELERATE_USE_CPU=true), or under `accelerate launch`
with FSDP or DeepSpeed configured. A step's rows do not depend on the number of processes: each takes its share of them.
"""

import os
from collections.abc import Sequence
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import DistributedType, GradientAccumulationPlugin, gather_object
from torch import Tensor, nn

SHARDED = (DistributedType.FSDP, DistributedType.DEEPSPEED, DistributedType.MEGATRON_LM)
"""Where no process holds all of the weights."""


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

    @property
    def sharded(self) -> bool:
        """Whether no process holds all of the weights."""
        return self.accelerator.distributed_type in SHARDED

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
