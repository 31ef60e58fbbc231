"""How fast this machine reads memory: the limit of decoding, which reads all weights for each token."""

import time

import torch
from torch import Tensor

from workbench.kernels.compiled import kernels

PROBE_BYTES = 256 * 2**20
"""Several times the largest cache in reach."""
PASSES = 5


def read_bytes_per_second(threads: int | None = None, passes: int = PASSES) -> float:
    """The best of a few streaming reads with all of a process' threads; takes a quarter of a GiB and some 50 ms.

    Args:
        threads: None: as many as PyTorch uses.
    """
    memory = torch.ones(PROBE_BYTES // 4)
    return max(_read_once(memory, threads or torch.get_num_threads()) for _ in range(passes))


def _read_once(memory: Tensor, threads: int) -> float:
    """Bytes a second of one pass."""
    library = kernels().library
    began = time.perf_counter()
    if library is None:
        memory.view(torch.int64).sum()
    else:
        library.read_all(memory.data_ptr(), memory.numel(), threads)
    return memory.nbytes / (time.perf_counter() - began)
