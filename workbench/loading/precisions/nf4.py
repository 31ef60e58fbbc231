"""NormalFloat 4 (Dettmers et al., 2023) through bitsandbytes: 4 bits a weight, one float32 scale for 64 weights.

The scales are not quantised again ("double quantisation"): that would need a whole matrix's scales at once, and saves
a tenth of what the 4 bits save.
"""

import importlib
import json
import logging
import math
from typing import Any

import torch
from torch import nn

from workbench.errors import BadCheckpoint, MissingDependency
from workbench.loading.checkpoint import Checkpoint, TensorInfo, parse_json, whole
from workbench.loading.precision import Precision, finite

BLOCK = 64
"""Weights that share a scale."""
PACKED_ROWS = 32
SLICE = 2**20
"""Weights quantised at once: the search for the nearest of 16 values needs 60 bytes a weight for a moment."""
STATE = ".quant_state.bitsandbytes__nf4"


class Nf4Matrices:
    """The blocks' matrices as `Linear4bit`."""

    marker = STATE
    dtype = torch.uint8
    packs = True
    devices: tuple[str, ...] = ("cpu", "cuda")

    def quantization_config(self) -> dict[str, Any]:
        """What config.json says of a folder saved so."""
        return {
            "quant_method": "bitsandbytes",
            "load_in_8bit": False,
            "load_in_4bit": True,
            "bnb_4bit_quant_type": "nf4",
            "bnb_4bit_use_double_quant": False,
            "bnb_4bit_quant_storage": "uint8",
            "llm_int8_skip_modules": ["lm_head", "score", "qa_outputs"],
        }

    def bytes(self, rows: int, columns: int) -> int:
        """Half a byte a weight, 4 bytes a block, and a table of 16 float32 values."""
        return _packed(rows * columns) + 4 * _blocks(rows * columns) + 64

    def module(self, linear: nn.Linear, dtype: torch.dtype) -> nn.Module:
        """A Linear4bit on the meta device that computes in `dtype`."""
        new: nn.Module = _bitsandbytes().nn.Linear4bit(
            linear.in_features,
            linear.out_features,
            bias=linear.bias is not None,
            compute_dtype=dtype,
            compress_statistics=False,
            quant_type="nf4",
            device="meta",
        )
        if linear.bias is not None:
            new.bias = nn.Parameter(torch.empty(linear.out_features, dtype=dtype, device="meta"))
        _guard_packing(new)
        return new

    def companions(self, weight: str) -> tuple[str, ...]:
        """The block scales, the table of 16 values, and the description."""
        return weight + ".absmax", weight + ".quant_map", weight + STATE

    def quantise(self, module: nn.Module, checkpoint: Checkpoint, name: str, device: torch.device) -> nn.Parameter:
        """Block-wise quantisation on the device; blocks end where pieces do."""
        functional = _bitsandbytes().functional
        info = checkpoint.tensors[name]
        dtype: torch.dtype = module.compute_dtype  # type: ignore[assignment]
        count = math.prod(info.shape)
        packed = torch.empty(_packed(count), 1, dtype=torch.uint8, device=device)
        scales = torch.empty(_blocks(count), dtype=torch.float32, device=device)
        at, code = 0, None
        for piece in checkpoint.pieces(name):
            for part in finite(piece, dtype, info).to(device).split(SLICE):
                quantised, state = functional.quantize_4bit(
                    part, blocksize=BLOCK, compress_statistics=False, quant_type="nf4"
                )
                packed[at // 2 : at // 2 + len(quantised)] = quantised
                scales[at // BLOCK : at // BLOCK + len(state.absmax)] = state.absmax
                at, code = at + part.numel(), state.code
        return _parameter(module, packed, scales, code, info.shape, dtype)

    def restore(self, module: nn.Module, checkpoint: Checkpoint, name: str, device: torch.device) -> nn.Parameter:
        """The saved bytes, scales and table."""
        info = checkpoint.tensors[name]
        shape = (module.out_features, module.in_features)
        count = math.prod(shape)  # type: ignore[arg-type]
        scale_name, table_name, state_name = self.companions(name)
        sizes = {name: _packed(count), scale_name: _blocks(count), table_name: 16, state_name: None}
        for part, size in sizes.items():
            _check_size(checkpoint, part, size, info)
        state = parse_json(info.file, whole(checkpoint, state_name).numpy().tobytes())
        dtype = getattr(torch, str(state.get("dtype")), None)
        if state.get("blocksize") != BLOCK or tuple(state.get("shape") or ()) != shape or "nested_offset" in state:
            described = json.dumps(state)[:200]
            raise BadCheckpoint(info.file, f"{name!r} is kept as {described}; only {list(shape)} in plain nf4 is read")
        if dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise BadCheckpoint(info.file, f"{state_name!r} has the dtype {state.get('dtype')!r}")
        scales = finite(whole(checkpoint, scale_name), torch.float32, checkpoint.tensors[scale_name])
        table = finite(whole(checkpoint, table_name), torch.float32, checkpoint.tensors[table_name])
        packed = whole(checkpoint, name).view(-1, 1).to(device)
        return _parameter(module, packed, scales.to(device), table.to(device), shape, dtype)  # type: ignore[arg-type]


def _guard_packing(layer: nn.Module) -> None:
    """Undoes, when the plain layout is needed, what the first forward on a CPU with AVX512-BF16 does to a layer.

    There bitsandbytes repacks the weights and rounds the scales to bfloat16, a hundred times faster for one token. It
    can't take the rounding back before saving, the packed product has no gradient, and odd sizes fail.
    """
    layer.support_avx512bf16_for_cpu = bool(  # type: ignore[assignment]
        layer.support_avx512bf16_for_cpu
        and layer.out_features % PACKED_ROWS == 0  # type: ignore[operator]
        and layer.in_features % BLOCK == 0  # type: ignore[operator]
    )
    layer.register_state_dict_pre_hook(_unpack)
    layer.register_forward_pre_hook(_unpack_for_gradients)


def _unpack(layer: Any, *_: object) -> None:
    """Restores the weights and the exact scales."""
    state = layer.weight.quant_state
    if getattr(state, "packing_format_for_cpu", False):
        restore = _bitsandbytes().functional._convert_weight_packed_for_cpu_inverse
        layer.weight.data, _state = restore(layer.weight.data, state)
        state.absmax = layer.exact_scales


def _unpack_for_gradients(layer: Any, inputs: tuple[torch.Tensor, ...]) -> None:
    if torch.is_grad_enabled() and inputs[0].requires_grad:
        _unpack(layer)


def _check_size(checkpoint: Checkpoint, part: str, size: int | None, info: TensorInfo) -> None:
    found = checkpoint.tensors.get(part)
    if found is None:
        raise BadCheckpoint(info.file, f"the tensor {part!r}, which belongs to {info.name!r}, is missing")
    if size is not None and math.prod(found.shape) != size:
        raise BadCheckpoint(found.file, f"the tensor {part!r} has {math.prod(found.shape)} values, not {size}")


def _parameter(
    module: nn.Module,
    packed: torch.Tensor,
    scales: torch.Tensor,
    code: torch.Tensor | None,
    shape: tuple[int, ...],
    dtype: torch.dtype,
) -> nn.Parameter:
    bnb = _bitsandbytes()
    state = bnb.functional.QuantState(
        absmax=scales, shape=torch.Size(shape), code=code, blocksize=BLOCK, quant_type="nf4", dtype=dtype
    )
    module.quant_state = state
    module.exact_scales = scales
    made: nn.Parameter = bnb.nn.Params4bit(
        packed,
        requires_grad=False,
        quant_state=state,
        blocksize=BLOCK,
        compress_statistics=False,
        quant_type="nf4",
        quant_storage=torch.uint8,
        module=module,  # type: ignore[arg-type]
        bnb_quantized=True,
    )
    return made


def _packed(count: int) -> int:
    return -(-count // 2)


def _blocks(count: int) -> int:
    return -(-count // BLOCK)


def _bitsandbytes() -> Any:
    # On import it looks for an optional package of the Hub and warns that it is not there; it is not needed.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)
    try:
        return importlib.import_module("bitsandbytes")
    except ImportError as error:
        raise MissingDependency("nf4 needs the package bitsandbytes: pip install bitsandbytes") from error


PRECISION = Precision("nf4", matrices=Nf4Matrices())
