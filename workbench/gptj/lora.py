"""LoRA (Hu et al., 2021): low-rank matrices added to linear layers of a trunk that itself stays as it is."""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.hooks import RemovableHandle

LARGEST_RANK = 2**15
"""The width of the largest GPT-J that is read: beyond it a product is no longer of low rank."""
Hook = Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]


class LowRankPair(nn.Module):
    """What one linear layer gets added: dropout, A to `rank` columns, B to the layer's own width."""

    def __init__(self, in_features: int, out_features: int, rank: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.lora_A = nn.Linear(in_features, rank, bias=False, dtype=torch.float32)
        self.lora_B = nn.Linear(rank, out_features, bias=False, dtype=torch.float32)
        nn.init.kaiming_uniform_(self.lora_A.weight, a=math.sqrt(5))
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) of any float type -> (..., out) in float32, where x is."""
        # The matrices follow the layer's inputs, which accelerate may have moved from device to device.
        down = F.linear(self.dropout(x.float()), self.lora_A.weight.to(x.device))
        return F.linear(down, self.lora_B.weight.to(x.device))


class Adapter(nn.Module):
    """The matrices of all adapted layers, in float32; fresh ones change nothing, because every B starts at 0.

    Args:
        trunk: a GPTJModel, or a model that holds one as `transformer`; read for its layers' names and widths alone.
        targets: ends of the adapted layers' names, whole parts of them: "q_proj", "mlp.fc_in".
        rank: of the matrices.
        alpha: what is added is B(A(x)) * alpha / rank.
        dropout: on the layer's input on its way to A, in training mode.

    Raises:
        ValueError: a target that names no linear layer, or a number out of its range.
    """

    def __init__(
        self,
        trunk: nn.Module,
        targets: Sequence[str] = ("q_proj", "v_proj"),
        rank: int = 8,
        alpha: float = 16,
        dropout: float = 0.0,
    ):
        super().__init__()
        if (
            not (isinstance(rank, int) and 1 <= rank <= LARGEST_RANK)
            or not math.isfinite(alpha)
            or not 0 <= dropout < 1
        ):
            raise ValueError(
                f"LoRA needs a whole rank from 1 to {LARGEST_RANK}, a finite alpha, and a dropout from 0 to below 1; "
                f"got rank={rank!r}, alpha={alpha!r}, dropout={dropout!r}"
            )
        self.targets, self.rank, self.alpha, self.dropout = tuple(targets), rank, alpha, dropout
        linears = _targeted(_trunk_of(trunk), self.targets)
        self.layers = tuple(linears)
        """The adapted layers' names in the trunk, as "h.0.attn.q_proj"."""
        self.pairs = nn.ModuleList(
            LowRankPair(layer.in_features, layer.out_features, rank, dropout) for layer in linears.values()
        )

    @property
    def scaling(self) -> float:
        """The factor on what is added."""
        return self.alpha / self.rank

    @contextmanager
    def attached(self, model: nn.Module) -> Iterator[None]:
        """Adds the matrices' outputs to the layers' while the context lasts; afterwards no trace of it is left.

        With gradient checkpointing the backward pass runs the layers once more: it belongs into the context too.

        Raises:
            ValueError: the model lacks one of the layers.
        """
        trunk, handles = _trunk_of(model), list[RemovableHandle]()
        try:
            for name, pair in zip(self.layers, self.pairs, strict=True):
                handles.append(_layer(trunk, name).register_forward_hook(self._hook(pair)))
            yield
        finally:
            for handle in handles:
                handle.remove()

    def place(self, model: nn.Module) -> None:
        """Moves each pair of matrices to where its layer has its weights; one that is offloaded leaves them."""
        trunk = _trunk_of(model)
        for name, pair in zip(self.layers, self.pairs, strict=True):
            device = next(_layer(trunk, name).parameters()).device
            if device.type != "meta":
                pair.to(device)

    def _hook(self, pair: nn.Module) -> Hook:
        def add(layer: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            added = pair(inputs[0].to(output.device)) * self.scaling
            return (output + added).to(output.dtype)  # the sum is float32, as PEFT's is

        return add


def _trunk_of(model: nn.Module) -> nn.Module:
    trunk = getattr(model, "transformer", model)
    return trunk if isinstance(trunk, nn.Module) else model


def _layer(trunk: nn.Module, name: str) -> nn.Module:
    try:
        return trunk.get_submodule(name)
    except AttributeError as error:
        raise ValueError(f"the adapter has matrices for the layer {name}, and the model has no such layer") from error


def _targeted(trunk: nn.Module, targets: Sequence[str]) -> dict[str, nn.Linear]:
    """The linear layers whose names are a target or end in one; quantised ones are linear layers too."""
    linears = {name: module for name, module in trunk.named_modules() if isinstance(module, nn.Linear)}
    found = {name: [target for target in targets if f".{name}".endswith(f".{target}")] for name in linears}
    used = {target for matching in found.values() for target in matching}
    unused = [target for target in targets if target not in used]
    if unused or not targets:
        known = ", ".join(dict.fromkeys(name.rpartition(".")[2] for name in linears))
        raise ValueError(f"LoRA targets {unused or '(none)'} name no linear layer of the model; there are {known}")
    return {name: linears[name] for name, matching in found.items() if matching}
