"""transformers' GPT-J beside ours, on random tiny configurations: who imports this is skipped without transformers.

    python -m tests.gptj.oracle --cases 200

prints the worst difference of each quantity, absolute and relative to its largest value.
"""

import argparse
from collections import defaultdict
from dataclasses import asdict, dataclass

import numpy
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from tests.gptj.tiny import CLASSES, Batch, fill, random_batch, random_config
from workbench.gptj.config import GPTJConfig

transformers = pytest.importorskip("transformers")

THEIR_CLASSES = {
    "trunk": "GPTJModel",
    "causal": "GPTJForCausalLM",
    "classify": "GPTJForSequenceClassification",
    "answer": "GPTJForQuestionAnswering",
}
PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")


@dataclass(frozen=True)
class Difference:
    """How far two tensors of one quantity are apart."""

    absolute: float
    relative: float
    """To the reference's largest value, or to 1 where all values are smaller."""


def their_model(kind: str, config: GPTJConfig, ours: nn.Module) -> nn.Module:
    """transformers' model of the same shape with the same weights, by name."""
    values = asdict(config)
    values.pop("extra")
    values["rotary_dim"] = config.rotated_width
    theirs = transformers.GPTJConfig(**values, attn_implementation="eager")
    model = getattr(transformers, THEIR_CLASSES[kind])(theirs)
    model.load_state_dict(ours.state_dict())
    return model.eval()


def twins(kind: str, config: GPTJConfig, seed: int) -> tuple[nn.Module, nn.Module]:
    """Our model and theirs."""
    ours = fill(CLASSES[kind](config), seed)
    return ours, their_model(kind, config, ours)


def difference(ours: Tensor, theirs: Tensor) -> Difference:
    """The largest difference; shapes must agree, and neither may hold a NaN."""
    assert ours.shape == theirs.shape, (ours.shape, theirs.shape)
    absolute = (ours - theirs).abs().max().item()
    assert absolute == absolute, "NaN"
    return Difference(absolute, absolute / max(1.0, theirs.abs().max().item()))


def gradients(ours: nn.Module, theirs: nn.Module) -> Difference:
    """The largest difference of any parameter's gradient, the parameters matched by name."""
    reference = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    mine = {name: parameter.grad for name, parameter in ours.named_parameters()}
    assert mine.keys() == reference.keys()
    untouched = [name for name in mine if (mine[name] is None) != (reference[name] is None)]
    assert not untouched, untouched
    each = [difference(mine[name], reference[name]) for name in mine if mine[name] is not None]
    return Difference(max(one.absolute for one in each), max(one.relative for one in each))


def compare(kind: str, seed: int, padding: str | None = None) -> dict[str, Difference]:
    """One random case of a class: outputs, loss, and the gradients of every parameter."""
    rng = numpy.random.default_rng(seed)
    problem = PROBLEMS[seed % 3] if kind == "classify" else None
    labels = 1 + (seed // 3) % 3 if problem == "regression" else 3
    config = random_config(rng, num_labels=labels if kind == "classify" else 2)
    batch = random_batch(rng, config, padding)
    arguments = dict(batch.arguments, **targets(kind, rng, batch, config, problem))
    if kind == "classify" or rng.random() < 0.7:
        arguments["input_ids"] = batch.input_ids
    else:
        shape = (*batch.input_ids.shape, config.n_embd)
        arguments["inputs_embeds"] = torch.from_numpy(rng.standard_normal(shape)).float()
    ours, theirs = twins(kind, config, seed)
    everything = {"output_hidden_states": True, "output_attentions": seed % 2 == 0}
    mine, reference = ours(**arguments, **everything), theirs(**arguments, **everything)
    result = {}
    for name, a, b in outputs(kind, mine, reference, batch.real):
        result[name] = max(difference(a, b), result.get(name, Difference(0, 0)), key=lambda found: found.absolute)
    backward(kind, mine, seed)
    backward(kind, reference, seed)
    result["gradients"] = gradients(ours, theirs)
    return result


def targets(
    kind: str, rng: numpy.random.Generator, batch: Batch, config: GPTJConfig, problem: str | None
) -> dict[str, Tensor]:
    """The labels of a class; those of question answering reach outside the text."""
    rows, count = batch.input_ids.shape
    if kind == "causal":
        return {"labels": batch.labels}
    if kind == "answer":
        edges = rng.integers(-2, count + 3, (2, rows))
        edges[:, 0] = rng.integers(0, count, 2)  # one inside, or the mean is over nothing
        start, end = torch.from_numpy(edges)
        return {"start_positions": start, "end_positions": end[:, None] if rng.random() < 0.3 else end}
    if kind == "classify":
        if problem == "single_label_classification":
            return {"labels": torch.from_numpy(rng.integers(0, config.num_labels, rows))}
        if problem == "multi_label_classification":
            return {"labels": torch.from_numpy(rng.integers(0, 2, (rows, config.num_labels))).float()}
        config.problem_type = "regression" if config.num_labels > 1 else None
        shape = (rows, config.num_labels) if config.num_labels > 1 else (rows,)
        return {"labels": torch.from_numpy(rng.standard_normal(shape)).float()}
    return {}


def outputs(kind: str, ours: tuple, theirs: object, real: Tensor) -> list[tuple[str, Tensor, Tensor]]:
    """Pairs to compare, at real positions."""
    pairs = []
    if kind == "trunk":
        pairs.append(("hidden states", ours.last_hidden_state[real], theirs.last_hidden_state[real]))
    elif kind == "answer":
        for name in ("start_logits", "end_logits"):
            pairs.append(("logits", getattr(ours, name)[real], getattr(theirs, name)[real]))
    else:
        keep = real if kind == "causal" else torch.ones(ours.logits.shape[0], dtype=torch.bool)
        pairs.append(("logits", ours.logits[keep], theirs.logits[keep]))
    if kind != "trunk":
        pairs.append(("loss", ours.loss, theirs.loss))
    assert len(ours.hidden_states) == len(theirs.hidden_states)
    mine = torch.stack(ours.hidden_states)[:, real]
    pairs.append(("hidden states", mine, torch.stack(theirs.hidden_states)[:, real]))
    if ours.attentions is not None:
        weights, reference = (torch.stack(each).movedim(3, 2)[:, real] for each in (ours.attentions, theirs.attentions))
        pairs.append(("attentions", weights, reference))
    return pairs


def backward(kind: str, output: tuple, seed: int) -> None:
    """Gradients of the loss; the trunk has none, so a random direction of its output stands in."""
    if kind != "trunk":
        output.loss.backward()
        return
    hidden = output.last_hidden_state
    direction = numpy.random.default_rng(seed).standard_normal(tuple(hidden.shape))
    F.mse_loss(hidden, torch.from_numpy(direction).float()).backward()


def main() -> None:
    """Prints the worst differences over many cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=200, help="random configurations, each through all four classes")
    cases = parser.parse_args().cases
    torch.set_num_threads(1)
    worst: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for seed in range(cases):
        for kind in CLASSES:
            for name, found in compare(kind, 10_000 + seed).items():
                so_far = worst[kind, name]
                worst[kind, name] = [max(so_far[0], found.absolute), max(so_far[1], found.relative)]
    print(f"transformers {transformers.__version__}, torch {torch.__version__}, {cases} configurations, float32")
    for (kind, name), (absolute, relative) in sorted(worst.items()):
        print(f"{kind:9} {name:14} absolute {absolute:.2e}  relative {relative:.2e}")


if __name__ == "__main__":
    main()
