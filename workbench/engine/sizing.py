"""How a model is stepped: numbers that depend on the model and the device alone, never on the load."""

from collections.abc import Mapping

import torch
from torch import nn

from workbench.engine.served import AnyModel, Served, ServedHead, input_device
from workbench.gptj.cache import AttendRows, attend_rows
from workbench.kernels import attention
from workbench.kernels.compiled import kernels

CHUNK_BUDGET_FLOP = 2e11
"""Work of one prefill chunk on a CPU: about a second on two cores, so Stop and other streams never wait long."""
QUANTIZED_CHUNK_BUDGETS_FLOP = {"AVX-512 VNNI": 1.6e12, "AVX2": 5e11}
"""The same of quantized weights, by the instructions that the kernels begin with; others are no faster than floats."""
SMALLEST_CHUNK_TOKENS, LARGEST_CHUNK_TOKENS = 16, 512
ROW_BLOCK = 8
SMALL_MODEL_PARAMETERS = 50_000_000
MOST_WORKERS = 8


def serve(model: AnyModel, known_tokens: int | None, heads: Mapping[str, nn.Module]) -> Served:
    """The model, stepped as suits it and the machine; `known_tokens` None: all its columns are tokens."""
    return Served(
        model=model,
        chunk_tokens=chunk_tokens(model),
        row_block=row_block(model),
        fill_rows=fill_rows(model) if reads_head_once(model) else 0,  # else the head's rows look at each other
        attend=row_attention(model),
        reads_head_once=reads_head_once(model),
        known_tokens=model.config.vocab_size if known_tokens is None else known_tokens,
        heads={name: ServedHead(module) for name, module in heads.items()},
    )


def cpu_threads_for(model: AnyModel, available: int) -> int:
    """How many CPU threads serve a model best: a small one loses more to waiting for threads than they bring."""
    return available if block_parameters(model) >= SMALL_MODEL_PARAMETERS else 1


def workers_for(model: AnyModel, available: int) -> int:
    """How many threads serve a model best: of a small one several passes are computed side by side, a core each.

    Only where its weights are plain numbers on the CPU that nobody moves about meanwhile.
    """
    plain = all(weight.is_floating_point() and weight.device.type == "cpu" for weight in model.parameters())
    hooked = any(hasattr(module, "_hf_hook") for module in model.modules())
    alone = cpu_threads_for(model, available) > 1 or not plain or hooked
    return 1 if alone else min(available, MOST_WORKERS)


def row_block(model: AnyModel) -> int:
    """Rows of a decoding step: a fixed number for float weights, so that company changes no bit of a stream.

    Quantized weights take what there is (0): LLM.int8 looks for outliers over all rows of a step, and a kernel that
    computes each row for itself needs no padding.
    """
    return ROW_BLOCK if all(weight.is_floating_point() for weight in model.parameters()) else 0


def fill_rows(model: AnyModel) -> int:
    """Rows that guesses may fill a decoding step up to, where quantized weights compute each row for itself; else 0."""
    quantized = [part for part in model.modules() if not all(w.is_floating_point() for w in part.parameters(False))]
    return ROW_BLOCK if quantized and all(getattr(part, "rows_alone", False) for part in quantized) else 0


def row_attention(model: AnyModel) -> AttendRows:
    """How a decoding step attends: by the compiled kernel over a CPU's 16-bit caches, elsewhere by PyTorch's."""
    return attention.attend_rows if _is_short_on_cpu(model) else attend_rows


def reads_head_once(model: AnyModel) -> bool:
    """Whether the compiled kernel computes the logits of few rows: a 16-bit head on a CPU, which nobody moves about."""
    head = getattr(model, "lm_head", None)
    return head is not None and not hasattr(head, "_hf_hook") and _is_short_on_cpu(model)


def _is_short_on_cpu(model: AnyModel) -> bool:
    """Whether all of a model is on the CPU with activations of 16 bits, and the kernels for such are compiled."""
    short = model.transformer.ln_f.weight.dtype in (torch.bfloat16, torch.float16)
    on_cpu = all(weight.device.type == "cpu" for weight in model.parameters())
    return short and on_cpu and kernels().library is not None


def chunk_tokens(model: AnyModel) -> int:
    """Tokens a prefill chunk: a power of two that depends on the model and device alone, never on the load."""
    if input_device(model).type != "cpu":
        return LARGEST_CHUNK_TOKENS
    fitting = int(_chunk_budget(model) / (2 * block_parameters(model)))
    return max(SMALLEST_CHUNK_TOKENS, min(LARGEST_CHUNK_TOKENS, 2 ** fitting.bit_length() // 2))


def _chunk_budget(model: AnyModel) -> float:
    """Floating-point operations of a chunk on a CPU."""
    if not fill_rows(model):
        return CHUNK_BUDGET_FLOP
    runs = kernels().instructions
    budgets = (budget for name, budget in QUANTIZED_CHUNK_BUDGETS_FLOP.items() if runs.startswith(name))
    return next(budgets, CHUNK_BUDGET_FLOP)


def block_parameters(model: AnyModel) -> int:
    """Parameters of the blocks' matrices, from the configuration: four-bit weights pack two into one element."""
    c = model.config
    return c.n_layer * (4 * c.n_embd**2 + 2 * c.n_embd * c.inner_width)
