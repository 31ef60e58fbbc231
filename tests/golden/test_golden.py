"""Ours gives what transformers' GPT-J gave when the golden files were made; needs no transformers."""

import json
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from torch import Tensor, nn

from tests.gptj.continuations import EOS, Case, Settings, eager_to_end
from tests.gptj.tiny import CLASSES, fill
from workbench.gptj.config import GPTJConfig

FOLDER = Path(__file__).parent
NETWORK = dict(numpy.load(FOLDER / "network.npz"))
ABOUT: dict[str, Any] = json.loads(str(NETWORK.pop("about")))
CONTINUATIONS: dict[str, Any] = json.loads((FOLDER / "continuations.json").read_text(encoding="utf-8"))
TOLERANCE = 1e-5


def stored(case: str, part: str) -> dict[str, Tensor]:
    """A case's arrays of one part, by name."""
    start = f"{case}/{part}/"
    return {
        name.removeprefix(start): torch.from_numpy(array) for name, array in NETWORK.items() if name.startswith(start)
    }


def model_of(case: str) -> nn.Module:
    about = ABOUT["cases"][case]
    return fill(CLASSES[about["kind"]](GPTJConfig(**about["config"])), about["seed"])


def checksum(model: nn.Module) -> float:
    return sum(parameter.double().square().sum().item() for parameter in model.parameters())


def test_the_files_say_who_made_them() -> None:
    for about in (ABOUT, CONTINUATIONS):
        assert about["made_by"]["transformers"].startswith("5.")


@pytest.mark.parametrize("case", ABOUT["cases"])
def test_the_weights_are_the_ones_the_files_were_made_with(case: str) -> None:
    assert checksum(model_of(case)) == pytest.approx(ABOUT["cases"][case]["checksum"], rel=1e-12)


@pytest.mark.parametrize("case", ABOUT["cases"])
def test_outputs_loss_and_gradients_are_the_stored_ones(case: str) -> None:
    about, model = ABOUT["cases"][case], model_of(case)
    inputs, expected = stored(case, "input"), stored(case, "output")
    output = model(**inputs, **about["settings"])
    mask = inputs.get("attention_mask")
    real = None if mask is None or mask.dim() == 4 else mask.bool()
    loss = output.last_hidden_state.square().mean() if about["kind"] == "trunk" else output.loss
    loss.backward()
    gradients = {f"gradient {name}": parameter.grad for name, parameter in model.named_parameters()}
    assert len(expected) >= 6
    for name, reference in expected.items():
        found = gradients[name] if name in gradients else getattr(output, name)
        found = torch.stack(found) if isinstance(found, tuple) else found
        assert found.shape == reference.shape
        if real is not None and name == "logits" and about["kind"] == "causal":
            found, reference = found[real], reference[real]
        torch.testing.assert_close(
            found, reference, atol=TOLERANCE, rtol=0, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("split", range(1, 8))
def test_the_stored_states_come_from_the_cache_too(split: int) -> None:
    model, inputs = model_of("trunk"), stored("trunk", "input")
    ids, mask = inputs["input_ids"], inputs["attention_mask"]
    with torch.no_grad():
        prefix = model(ids[:, :split], attention_mask=mask[:, :split])
        rest = model(ids[:, split:], attention_mask=mask, past_key_values=prefix.past_key_values)
    found = torch.cat((prefix.last_hidden_state, rest.last_hidden_state), 1)[mask.bool()]
    expected = stored("trunk", "output")["last_hidden_state"][mask.bool()]
    torch.testing.assert_close(found, expected, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize("number", range(len(CONTINUATIONS["cases"])))
def test_greedy_and_beam_continuations_are_the_stored_ones(number: int) -> None:
    made = CONTINUATIONS["cases"][number]
    model = eager_to_end(made["seed"])
    assert checksum(model) == pytest.approx(made["checksum"], rel=1e-12)
    prompt, mask = torch.tensor(made["input_ids"]), torch.tensor(made["attention_mask"])
    assert Case(prompt, mask, Settings(**made["settings"])).continued(model) == made["continued"]


def test_the_stored_continuations_cover_early_ends_beams_and_padding() -> None:
    made = CONTINUATIONS["cases"]
    ended = [row for case in made for row in case["continued"] if EOS in row]
    assert len(ended) >= 5
    assert {case["settings"]["num_beams"] for case in made} == {1, 2, 3, 4}
    assert any(0 in row for case in made for row in case["attention_mask"])
