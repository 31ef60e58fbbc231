"""How a model is stepped: numbers that depend on the model and the device alone, never on the load."""

from workbench.engine.served import AnyModel, input_device

CHUNK_BUDGET_FLOP = 2e11
"""Work of one prefill chunk on a CPU: about a second on two cores, so Stop and other streams never wait long."""
SMALLEST_CHUNK_TOKENS, LARGEST_CHUNK_TOKENS = 16, 512
ROW_BLOCK = 8
SMALL_MODEL_PARAMETERS = 50_000_000
MOST_WORKERS = 8


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

    Quantized weights take what there is (0): LLM.int8 looks for outliers over all rows of a step.
    """
    return ROW_BLOCK if all(weight.is_floating_point() for weight in model.parameters()) else 0


def chunk_tokens(model: AnyModel) -> int:
    """Tokens a prefill chunk: a power of two that depends on the model and device alone, never on the load."""
    if input_device(model).type != "cpu":
        return LARGEST_CHUNK_TOKENS
    fitting = int(CHUNK_BUDGET_FLOP / (2 * block_parameters(model)))
    return max(SMALLEST_CHUNK_TOKENS, min(LARGEST_CHUNK_TOKENS, 2 ** fitting.bit_length() // 2))


def block_parameters(model: AnyModel) -> int:
    """Parameters of the blocks' matrices, from the configuration: four-bit weights pack two into one element."""
    c = model.config
    return c.n_layer * (4 * c.n_embd**2 + 2 * c.n_embd * c.inner_width)
