"""What training a head will need beside what is free, said before anything is loaded.

The formulas count what PyTorch keeps for the backward pass of this network (`kept_bytes`) and the largest pieces that
come and go; tests/performance/training_memory.py measures how far they are from the truth.
"""

import dataclasses
from dataclasses import dataclass

from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJModel
from workbench.loading.memory import (
    available_memory_bytes,
    default_device,
    folder_precision,
    parameter_shapes,
    size_text,
    weights_bytes,
)
from workbench.loading.precision import Precision, named, rest_dtype
from workbench.training.features import BATCH_TOKENS, LARGEST_IN_MEMORY
from workbench.training.finetune import worst_batch_tokens
from workbench.training.head_request import METHODS, TrainAnswer, TrainClassify, TrainHead
from workbench.training.optimizers import STATE_BYTES
from workbench.training.outcome import Base
from workbench.training.task import Task, find_base, read_task, settings_of

FLOAT32 = 4
SLACK = 1.4
"""What allocator and kernels hold beyond the activations themselves: measured, on CPUs."""


@dataclass(frozen=True)
class TrainPlan:
    """What one way of training needs, in bytes, beside what is free."""

    method: str
    parameters: int
    """Of the trunk and the head."""
    trained_parameters: int
    weights_bytes: int
    """With the 16-bit copies that full fine-tuning computes with."""
    gradient_bytes: int
    optimizer_bytes: int
    activation_bytes: int
    """What is kept for the backward pass at the largest batch, and the largest pieces that come and go."""
    features_bytes: int
    """A probe's features in memory."""
    total_bytes: int
    available_bytes: int
    fits: bool
    advice: str
    """One or two sentences fit to be shown."""
    alternatives: tuple[tuple[str, int, bool], ...]
    """The other methods: (name, total bytes, whether it fits)."""


def plan_training(request: TrainClassify | TrainAnswer, available_bytes: int | None = None) -> TrainPlan:
    """The plan of a request; reads its rows, but of the model only the shapes.

    Args:
        available_bytes: None asks the device that the training would use.

    Raises:
        BadRequest: the request or its rows can't be used. CannotLoad: there is no such model.
    """
    base = find_base(request)
    return plan_task(request, base, read_task(request, base), available_bytes)


def plan_task(
    request: TrainClassify | TrainAnswer, base: Base, task: Task, available_bytes: int | None = None
) -> TrainPlan:
    """As `plan_training`, for rows that are read already."""
    available = available_memory_bytes(default_device()) if available_bytes is None else available_bytes
    needs = {method: _Need(_by(request, method), base, task) for method in METHODS}
    need = needs[request.method]
    alternatives = tuple((name, n.total, n.total <= available) for name, n in needs.items() if name != request.method)
    return TrainPlan(
        method=request.method, parameters=need.parameters, trained_parameters=need.trained,
        weights_bytes=need.weights, gradient_bytes=need.gradients, optimizer_bytes=need.optimizer,
        activation_bytes=need.activations, features_bytes=need.features, total_bytes=need.total,
        available_bytes=available, fits=need.total <= available,
        advice=_advice(request, need, available, [name for name, _, fits in alternatives if fits]),
        alternatives=alternatives,
    )  # fmt: skip


def kept_bytes(
    config: GPTJConfig, computed: int, passed_on: int, trains_trunk: bool, adapted: tuple[str, ...], quantised: bool
) -> int:
    """What one layer keeps of one token for the backward pass.

    Always: its input, queries, keys, values, what attention gives, and what goes into the activation function. Weights
    that learn keep their inputs as well: the merged heads, what comes out of the activation, and the normed input,
    which autocast copies for each of the four layers that read it. LoRA's matrices keep theirs in float32: where that
    is the layers' type, one tensor serves those with one input. A quantised layer keeps its input as well.

    Args:
        computed: bytes of a number in the layers' arithmetic.
        passed_on: bytes of a number between layers.
        adapted: the last names of the layers that LoRA adapts.
    """
    width, inner = config.n_embd, config.inner_width
    kept = passed_on * width + computed * (4 * width + inner)
    if trains_trunk:
        return kept + computed * ((2 if computed == passed_on else 5) * width + inner)
    if quantised:
        kept += computed * (2 * width + inner)
    inputs = {"out_proj": ("merged", width), "fc_out": ("inner", inner)}
    read = [inputs.get(name, ("normed", width)) for name in adapted]
    return kept + FLOAT32 * sum(size for _, size in (set(read) if computed == FLOAT32 else read))


class _Need:
    """The bytes of one method."""

    def __init__(self, request: TrainHead, base: Base, task: Task):
        config, full = base.config, request.method == "full"
        precision = named("float32" if full else request.precision or folder_precision(base.folder))
        shapes = parameter_shapes(GPTJModel, config)
        head = config.n_embd * task.objective.outputs
        self.parameters = sum(_count(shape) for shape in shapes.values()) + head
        matrices = sum(_count(shape) for name, shape in shapes.items() if len(shape) == 2 and "wte" not in name)
        adapted = _adapted(request, shapes) if request.method == "lora" else {}
        self.trained = self.parameters if full else head + sum(request.rank * sum(shape) for shape in adapted.values())
        half = full and request.precision != "float32"
        dtype = rest_dtype(precision, base.dtype)
        self.weights = weights_bytes(shapes, precision, dtype) + FLOAT32 * head + 2 * matrices * half
        steps = request.method != "probe" or task.kind == "answer"
        self.gradients = FLOAT32 * self.trained * steps
        self.optimizer = int(STATE_BYTES[request.optimizer] * self.trained) * steps
        self.features = _features(task, config) if request.method == "probe" else 0
        computed, passed_on = (2 if half else dtype.itemsize), (FLOAT32 if full else dtype.itemsize)
        forward = (passed_on + 8 * computed) * config.n_embd + 2 * computed * config.inner_width
        rows = (*task.split.training, *task.split.validation)
        self.activations = min(BATCH_TOKENS, sum(len(row.tokens) for row in rows)) * forward
        self.activations += _dequantised(precision, shapes)
        if request.method in ("lora", "full"):
            names = tuple(name.rpartition(".")[2] for name in adapted if name.startswith("h.0."))
            layer = kept_bytes(config, computed, passed_on, full, names, precision.matrices is not None)
            kept = layer + config.n_layer * passed_on * config.n_embd if request.gradient_checkpointing else (
                config.n_layer * layer)  # fmt: skip
            tokens = worst_batch_tokens(task.split.training, settings_of(request, base))
            trained = int(SLACK * tokens * (kept + forward)) + _dequantised(precision, shapes)
            self.activations = max(self.activations, trained)
        self.total = self.weights + self.gradients + self.optimizer + self.activations + self.features


def _adapted(request: TrainHead, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The matrices that LoRA adapts, by their layers' names."""
    layers = {name.removesuffix(".weight"): shape for name, shape in shapes.items() if len(shape) == 2}
    ends = tuple(f".{target}" for target in request.targets)
    return {name: shape for name, shape in layers.items() if f".{name}".endswith(ends)}


def _features(task: Task, config: GPTJConfig) -> int:
    """A classification probe keeps one token of each row in float32, twice; a span probe all, in 16 bits."""
    examples = (*task.split.training, *task.split.validation)
    if task.kind == "classify":
        return 2 * FLOAT32 * config.n_embd * len(examples)
    sides = (task.split.training, task.split.validation)
    sizes = [2 * config.n_embd * sum(len(example.tokens) for example in side) for side in sides]
    return sum(size for size in sizes if size <= LARGEST_IN_MEMORY)


def _dequantised(precision: Precision, shapes: dict[str, tuple[int, ...]]) -> int:
    """The largest matrix in float32, twice, where a quantised trunk unpacks one at a time."""
    return 2 * FLOAT32 * max(map(_count, shapes.values())) if precision.matrices is not None else 0


def _by(request: TrainClassify | TrainAnswer, method: str) -> TrainClassify | TrainAnswer:
    """The same request by another method, in a precision that the method knows."""
    allowed = {"full": ("float32", "bfloat16"), "lora": ("float32", "bfloat16", "int8", "nf4", "int4")}.get(method)
    fits = allowed is None or request.precision is None or request.precision in allowed
    return dataclasses.replace(request, method=method, precision=request.precision if fits else None)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _advice(request: TrainHead, need: _Need, available: int, fitting: list[str]) -> str:
    stated = (
        f"Method {request.method} trains {need.trained:,} of {need.parameters:,} parameters and needs "
        f"{size_text(need.total)}: {size_text(need.weights)} for weights, {size_text(need.gradients)} for gradients, "
        f"{size_text(need.optimizer)} for the optimizer, {size_text(need.activations + need.features)} for activations "
        f"and features. {size_text(available)} are free."
    )
    if need.total <= available:
        return stated
    ways = [f"method {' or '.join(fitting)}"] if fitting else []
    if need.activations > available / 4 and request.method in ("lora", "full"):
        ways.append("a smaller batch_size with more accumulate" + ("" if request.gradient_checkpointing else
                    ", or gradient_checkpointing"))  # fmt: skip
    if request.optimizer == "adamw" and need.optimizer > available / 4:
        ways.append("optimizer adamw8bit")
    if request.method in ("probe", "head", "lora") and request.precision not in ("int8", "nf4", "int4"):
        ways.append("precision int8 or nf4")
    return f"{stated} Choose {'; or '.join(ways)}." if ways else f"{stated} Choose a smaller model."
