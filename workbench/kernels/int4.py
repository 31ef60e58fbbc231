"""Linear layers with 4-bit weights: codes for 16 levels, a table of levels for each group of 128 columns of a row.

Levels are 8-bit integers on a grid that spans each row, and the tables are one shape in 127 sizes, each upright and
mirrored. So a product is that of 8-bit weights (kernels/int8.py), with the same exact sums: compiled, a row's bits
depend on that row alone. The shape is that of the least squared error over normal numbers, found by Lloyd's method.
"""

import ctypes

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.errors import BadRequest
from workbench.kernels.arguments import check_columns, is_vector, rows_of
from workbench.kernels.compiled import FLOAT_TYPES, kernels

GROUP = 128
HALF = GROUP // 2
SHAPE = (
    -0.8712, -0.6716, -0.5260, -0.4051, -0.2990, -0.2018, -0.1104, -0.0222,
    0.0649, 0.1540, 0.2464, 0.3451, 0.4554, 0.5838, 0.7477, 1.0000,
)  # fmt: skip
"""The levels as shares of a table's size. One end reaches further: a group's largest weight has one sign."""
LARGEST = 127
MIRRORED = LARGEST + 1
"""Tables from here on are the first ones' negatives, their levels in rising order again."""
FINE = 8
"""Parts of an 8-bit step in which weights are compared with levels."""
SHARES = tuple(range(25, 35))
"""Sizes tried for a group, in 32nds of its largest weight; beyond them lies next to no optimum."""
SMALLEST = 1e-30
"""Rows below it are 0: their scale's inverse would be too large."""
MOST_GAIN = 1.02
"""Of a row: more than that one weight among thousands asks for, at the others' cost."""
UNPACKED_ROWS = 1024
"""Weight rows unpacked at a time."""


def _tables() -> Tensor:
    upright = (torch.arange(MIRRORED)[:, None] * torch.tensor(SHAPE, dtype=torch.float64)).round()
    return torch.cat([upright, -upright.flip(1)]).to(torch.int8)


TABLES = _tables()
"""(256, 16) int8: the levels by the number of a group's table."""


def groups_of(columns: int) -> int:
    """How many tables a row of so many columns takes; the last group may reach beyond it."""
    return -(-columns // GROUP)


def int4_linear(x: Tensor, codes: Tensor, tables: Tensor, row_scales: Tensor, bias: Tensor | None = None) -> Tensor:
    """x W^T + b: (..., K) -> (..., N) in x's type, on the CPU; W = level * row_scales / 127.

    Args:
        codes: (N, groups x 64) uint8; byte i of a group holds column i in its low four bits, column i + 64 in the high.
        tables: (N, groups) uint8, the number of each group's table.
        row_scales: (N,) in any float type.
        bias: (N,) in any float type.

    Raises:
        BadRequest: x or the layer is not on the CPU.
        ValueError: the tensors do not belong together, or K is above 65,536.
    """
    if x.device.type != "cpu" or codes.device.type != "cpu":
        raise BadRequest(f"int4 layers compute on the CPU alone, not on {x.device}. Choose nf4 for GPUs.")
    groups, size = groups_of(x.shape[-1]), len(codes)
    fits = codes.dtype == tables.dtype == torch.uint8 and codes.dim() == tables.dim() == 2
    fits = fits and codes.shape[1] == groups * HALF and tables.shape[1] == groups and len(tables) == size
    fits = fits and is_vector(row_scales, size) and is_vector(bias, size)
    rows = rows_of(x, fits, codes, tables, row_scales, bias)
    check_columns(x.shape[-1])
    if not len(rows):
        return x.new_empty(*x.shape[:-1], size)
    library, scales = kernels().library, row_scales.float()
    if library is None:
        return _torch_linear(rows, codes, tables, scales, bias).view(*x.shape[:-1], size)
    return _compiled_linear(library, rows, codes, tables, scales, bias).view(*x.shape[:-1], size)


def quantise(rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The codes, tables and scales (as `int4_linear` takes them) nearest to finite float rows (R, K).

    Each group gets the table with the least squared error among some sizes; whole numbers decide, the same everywhere.
    A row's scale then makes its product with itself what it was: nearest levels alone would shorten it, by 0.8 %.
    """
    values = rows.float().contiguous()
    count, columns = values.shape
    library = kernels().library
    if library is None:
        return _torch_quantise(values)
    codes = torch.empty(count, groups_of(columns) * HALF, dtype=torch.uint8)
    tables = torch.empty(count, groups_of(columns), dtype=torch.uint8)
    scales = torch.empty(count)
    library.int4_quantise(
        values.data_ptr(),
        count,
        columns,
        TABLES.data_ptr(),
        codes.data_ptr(),
        tables.data_ptr(),
        scales.data_ptr(),
        torch.get_num_threads(),
    )
    return codes, tables, scales


def unpacked(codes: Tensor, tables: Tensor, columns: int) -> Tensor:
    """The levels (N, K) int8 of packed rows."""
    pairs = codes.view(*tables.shape, HALF)
    places = torch.cat([pairs & 15, pairs >> 4], dim=-1).int() + 16 * tables.int()[..., None]
    return TABLES.view(-1).index_select(0, places.view(-1)).view(len(codes), -1)[:, :columns]


def back_through(gradient: Tensor, codes: Tensor, tables: Tensor, row_scales: Tensor, columns: int) -> Tensor:
    """The gradient (..., K) with respect to the input of a layer whose output's is `gradient` (..., N)."""
    total = gradient.new_zeros(*gradient.shape[:-1], columns)
    for start in range(0, len(codes), UNPACKED_ROWS):
        part = slice(start, start + UNPACKED_ROWS)
        weights = unpacked(codes[part], tables[part], columns).to(gradient.dtype)
        total += (gradient[..., part] * (row_scales[part] / LARGEST).to(gradient.dtype)) @ weights
    return total


def _compiled_linear(
    library: ctypes.CDLL, x: Tensor, codes: Tensor, tables: Tensor, row_scales: Tensor, bias: Tensor | None
) -> Tensor:
    dtype = torch.bfloat16 if x.dtype == torch.bfloat16 else torch.float32
    rows = x.to(dtype).contiguous()
    codes, tables, row_scales = codes.contiguous(), tables.contiguous(), row_scales.contiguous()
    added = None if bias is None else bias.to(dtype).contiguous()
    out = torch.empty(len(x), len(codes), dtype=dtype)
    failed = library.int4_linear(
        FLOAT_TYPES[dtype],
        rows.data_ptr(),
        rows.shape[0],
        rows.shape[1],
        codes.data_ptr(),
        tables.data_ptr(),
        TABLES.data_ptr(),
        row_scales.data_ptr(),
        None if added is None else added.data_ptr(),
        len(codes),
        out.data_ptr(),
        torch.get_num_threads(),
    )
    if failed:
        raise MemoryError("no memory is left for a linear layer's activations")
    return out.to(x.dtype)


def _torch_linear(x: Tensor, codes: Tensor, tables: Tensor, row_scales: Tensor, bias: Tensor | None) -> Tensor:
    """The product by PyTorch alone, in bfloat16, with some weight rows unpacked at a time."""
    rows = x.to(torch.bfloat16)
    out = torch.empty(len(x), len(codes))
    for start in range(0, len(codes), UNPACKED_ROWS):
        part = slice(start, start + UNPACKED_ROWS)
        out[:, part] = F.linear(rows, unpacked(codes[part], tables[part], x.shape[-1]).to(torch.bfloat16))
    out *= row_scales / LARGEST
    if bias is not None:
        out += bias.float()
    return out.to(x.dtype)


def _torch_quantise(values: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What int4_quantise.c does, by PyTorch alone."""
    count, columns = values.shape
    scales = values.abs().amax(1)
    scales = torch.where(scales < SMALLEST, 0, scales)
    # A tensor, not a number: PyTorch would divide a number by multiplying it with rounded reciprocals.
    inverse = torch.where(scales > 0, torch.tensor(float(FINE * LARGEST)) / scales, 0)
    fine = torch.zeros(count, groups_of(columns) * GROUP)
    torch.round(values * inverse[:, None], out=fine[:, :columns])
    fine = fine.view(-1, GROUP)
    largest = ((fine.abs().amax(1) + FINE - 1) / FINE).int()
    least = torch.full((len(fine),), torch.inf, dtype=torch.float64)
    tables = torch.zeros(len(fine), dtype=torch.int64)
    for share in SHARES:
        size = ((largest * share + 16) // 32).clamp(max=LARGEST).long()
        for table in (size, size + MIRRORED):
            nearest = FINE * TABLES[table].float().gather(1, _codes(fine, table))
            distance = (nearest - fine).double().square().sum(1)
            better = distance < least
            least, tables = torch.where(better, distance, least), torch.where(better, table, tables)
    codes = _codes(fine, tables)
    nearest = FINE * TABLES[tables].double().gather(1, codes).view(count, -1)
    own, both = fine.double().view(count, -1), (fine.double().view(count, -1) * nearest).sum(1)
    gains = torch.where(both > 0, own.square().sum(1) / both, 1).clamp(max=MOST_GAIN)
    low, high = codes.to(torch.uint8).chunk(2, dim=1)
    packed = (low | high << 4).view(count, -1)
    return packed, tables.to(torch.uint8).view(count, -1), (scales.double() * gains).float()


def _codes(fine: Tensor, tables: Tensor) -> Tensor:
    """The nearest levels' numbers (G, 128) of groups in fine steps, each with its table (G,)."""
    levels = TABLES[tables].float()
    return torch.searchsorted(FINE / 2 * (levels[:, 1:] + levels[:, :-1]), fine)
