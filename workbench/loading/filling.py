"""Tensors filled from a checkpoint by several threads, so that neither reading nor converting is one core's work."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch

from workbench.loading.checkpoint import Checkpoint, TensorInfo, rows_a_piece

PIECES_A_SHARE = 4
"""Several shares a thread: one whose core is taken away for a moment leaves the rest to the others."""
MOST_THREADS = 8
"""Each holds a piece: more would not read faster, and what a load may take beside the model is promised."""


def fill(
    out: torch.Tensor, checkpoint: Checkpoint, name: str, convert: Callable[[torch.Tensor], torch.Tensor]
) -> torch.Tensor:
    """Fills a tensor on any device with the values of a checkpoint's tensor of the same shape, and gives it back.

    Args:
        convert: from a piece as it is saved to the type of `out`; may raise. Where both are of one type, and `out` is
            on the CPU, the values are read into their place and only shown to it.
    """
    info, flat = checkpoint.tensors[name], out.view(-1)
    in_place = flat if out.dtype == info.dtype and out.device.type == "cpu" else None
    width = out.numel() // max(1, info.shape[0]) if info.shape else 1

    def read(rows: range) -> None:
        at = rows.start * width
        for piece in checkpoint.pieces(name, rows, in_place):
            values = convert(piece)
            if in_place is None:
                flat[at : at + piece.numel()] = values
            at += piece.numel()

    share_out(info, read)
    return out


def share_out(info: TensorInfo, work: Callable[[range], None]) -> None:
    """Calls `work` with ranges that together are all rows of a tensor, in as many threads as PyTorch uses here.

    In them PyTorch computes alone. Its own threads wait for each other after every operation, which costs far more
    than a second core brings as soon as one of the cores is busy with something else.
    """
    rows = info.shape[0] if info.shape else 1
    step = PIECES_A_SHARE * rows_a_piece(info.shape, info.dtype.itemsize)
    shares = [range(start, min(rows, start + step)) for start in range(0, rows, step)]
    before = torch.get_num_threads()
    threads = min(before, len(shares), MOST_THREADS)
    if threads <= 1:
        for share in shares:
            work(share)
        return
    try:
        with ThreadPoolExecutor(threads, "load", initializer=torch.set_num_threads, initargs=(1,)) as pool:
            for _ in pool.map(work, shares):
                pass
    finally:
        # A thread that begins later takes over the number that was set last, in whichever thread.
        torch.set_num_threads(before)
