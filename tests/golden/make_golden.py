"""Makes the golden files from transformers' GPT-J, by hand where transformers is installed.

    python -m tests.golden.make_golden

`network.npz` holds, for each case, its configuration, inputs, and transformers' outputs, loss and some gradients;
`continuations.json` holds what transformers' `generate` gives. Weights are drawn by numpy from a seed, and a checksum
of them is kept. Both files say which versions made them.
"""

import json
import platform
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy
import torch
from torch import Tensor, nn

from tests.gptj.continuations import eager_to_end, random_case
from tests.gptj.oracle import their_model, transformers
from tests.gptj.tiny import CLASSES, fill, tokens
from workbench.gptj.config import GPTJConfig

FOLDER = Path(__file__).parent
VOCABULARY = 29
ANY_GRADIENTS = ("wte.weight", "h.0.ln_1.weight", "attn.q_proj.weight", "attn.k_proj.weight", "mlp.fc_in.bias")


@dataclass(frozen=True)
class Golden:
    """One case: a class, a shape, inputs, and outputs by name."""

    kind: str
    config: dict[str, Any]
    inputs: dict[str, Tensor]
    settings: dict[str, bool] = field(default_factory=dict)


def ids(rows: int, count: int, seed: int, pads: tuple[int, ...] = (), side: str = "left") -> dict[str, Tensor]:
    """Ids and their mask, the first rows padded by so many tokens."""
    values, mask = tokens(rows, count, seed, VOCABULARY), torch.ones(rows, count, dtype=torch.long)
    for row, padded in enumerate(pads):
        mask[row, slice(0, padded) if side == "left" else slice(count - padded, None)] = 0
    return {"input_ids": values * mask, "attention_mask": mask}


def labelled(inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same with next-token labels, -100 at padding."""
    labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    return {**inputs, "labels": labels}


def shape(head_width: int, n_head: int, rotary_dim: int, n_layer: int = 2, **more: Any) -> dict[str, Any]:
    """A configuration as a dictionary."""
    return {
        "vocab_size": VOCABULARY,
        "n_positions": 24,
        "n_embd": head_width * n_head,
        "n_layer": n_layer,
        "n_head": n_head,
        "rotary_dim": rotary_dim,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": 0,
        **more,
    }


def with_embeddings() -> dict[str, Tensor]:
    """Embeddings, token types and an additive 4-D mask."""
    rng = numpy.random.default_rng(4)
    allowed = torch.from_numpy(rng.random((2, 1, 5, 5)) < 0.6) | torch.eye(5, dtype=torch.bool)
    return {
        "inputs_embeds": torch.from_numpy(rng.standard_normal((2, 5, 16))).float(),
        "token_type_ids": tokens(2, 5, 5, VOCABULARY),
        "attention_mask": torch.zeros(2, 1, 5, 5).masked_fill(~allowed, torch.finfo(torch.float32).min),
        "labels": tokens(2, 5, 6, VOCABULARY),
    }


def cases() -> dict[str, Golden]:
    """The cases by name."""
    left = labelled(ids(3, 7, 1, (3, 1)))
    left["position_ids"] = (left["attention_mask"].cumsum(1) - 1).clamp(min=0)
    whole = {"output_attentions": True, "output_hidden_states": True}
    spans = {"start_positions": torch.tensor([1, -3]), "end_positions": torch.tensor([99, 4])}
    return {
        "odd head width, n_inner": Golden("causal", shape(5, 3, 4, n_inner=11), labelled(ids(2, 6, 0)), whole),
        "left padding, positions": Golden("causal", shape(11, 2, 10, 3, activation_function="gelu"), left),
        "right padding": Golden("causal", shape(8, 2, 8), labelled(ids(3, 7, 2, (4, 2), "right")), whole),
        "embeddings, 4-D mask": Golden("causal", shape(4, 4, 4, activation_function="silu"), with_embeddings()),
        "tied, one head": Golden("causal", shape(9, 1, 6, tie_word_embeddings=True), labelled(ids(2, 6, 3))),
        "trunk": Golden("trunk", shape(6, 2, 4, activation_function="relu"), ids(2, 8, 7, (2,)), whole),
        "single label": Golden(
            "classify", shape(8, 2, 4, num_labels=3), {**ids(2, 6, 8, (2,), "right"), "labels": torch.tensor([2, 0])}
        ),
        "several labels": Golden(
            "classify", shape(8, 2, 4, num_labels=2), {**ids(2, 6, 9, (2,)), "labels": torch.tensor([[1.0, 0], [1, 1]])}
        ),
        "regression": Golden(
            "classify", shape(8, 2, 4, num_labels=1), {**ids(2, 6, 10), "labels": torch.tensor([0.5, -2])}
        ),
        "span": Golden("answer", shape(8, 2, 6), {**ids(2, 6, 11, (3,), "right"), **spans}),
    }


def checksum(model: nn.Module) -> float:
    """Tells another numpy's weights from a wrong network."""
    return sum(parameter.double().square().sum().item() for parameter in model.parameters())


def results(kind: str, output: Any) -> dict[str, Tensor]:
    """The outputs to keep, by name; works on both implementations' outputs."""
    names = {"trunk": ["last_hidden_state"], "answer": ["loss", "start_logits", "end_logits"]}
    kept = {name: getattr(output, name) for name in names.get(kind, ["loss", "logits"])}
    for name in ("hidden_states", "attentions"):
        if getattr(output, name) is not None:
            kept[name] = torch.stack(getattr(output, name))
    return kept


def some_gradients(model: nn.Module, kept: dict[str, Tensor]) -> dict[str, Tensor]:
    """Gradients of the loss (of the trunk: of its mean square), of a few parameters."""
    loss = kept["loss"] if "loss" in kept else kept["last_hidden_state"].square().mean()
    loss.backward()
    return {
        f"gradient {name}": parameter.grad
        for name, parameter in model.named_parameters()
        if name.endswith(ANY_GRADIENTS) or not name.startswith(("transformer.", "h.", "ln_f."))
    }


def made_by() -> dict[str, str]:
    """The versions that made a file."""
    versions = {module.__name__: module.__version__ for module in (transformers, torch, numpy)}
    return {**versions, "python": platform.python_version(), "made by": "python -m tests.golden.make_golden"}


def network() -> dict[str, numpy.ndarray]:
    """The content of network.npz: "case/part/name" -> array."""
    arrays: dict[str, numpy.ndarray] = {}
    about: dict[str, Any] = {}
    for seed, (name, case) in enumerate(cases().items()):
        config = GPTJConfig(**case.config)
        ours = fill(CLASSES[case.kind](config), seed)
        theirs = their_model(case.kind, config, ours)
        kept = results(case.kind, theirs(**case.inputs, **case.settings))
        kept.update(some_gradients(theirs, kept))
        about[name] = {
            "kind": case.kind,
            "config": case.config,
            "settings": case.settings,
            "seed": seed,
            "checksum": checksum(ours),
        }
        for part, tensors in (("input", case.inputs), ("output", kept)):
            for key, tensor in tensors.items():
                arrays[f"{name}/{part}/{key}"] = tensor.detach().numpy()
    arrays["about"] = numpy.array(json.dumps({"made_by": made_by(), "cases": about}))
    return arrays


def continuations() -> dict[str, Any]:
    """The content of continuations.json."""
    made = []
    for seed in range(24):
        model = eager_to_end(seed)
        case = random_case(seed, model.config.vocab_size, 1 + seed % 4)
        made.append(
            {
                "seed": seed,
                "checksum": checksum(model),
                "input_ids": case.input_ids.tolist(),
                "attention_mask": case.attention_mask.tolist(),
                "settings": asdict(case.settings),
                "continued": case.continued(their_model("causal", model.config, model)),
            }
        )
    return {"made_by": made_by(), "cases": made}


def main() -> None:
    """Writes both files beside this one."""
    numpy.savez_compressed(FOLDER / "network.npz", **network())
    lines = json.dumps(continuations()).replace('{"seed"', '\n{"seed"')
    (FOLDER / "continuations.json").write_text(lines + "\n", encoding="utf-8")
    for file in ("network.npz", "continuations.json"):
        print(f"{file}: {(FOLDER / file).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
