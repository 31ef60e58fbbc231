"""Batches and the network around the trunk: padding, modes, seeds."""

import pytest
import torch

from tests.gptj.tiny import tiny_config
from workbench.gptj.model import GPTJModel
from workbench.training.examples import Example
from workbench.training.network import WIDTH_STEP, HeadNetwork, fresh_head, padded, seeded
from workbench.training.objectives import Classification, SpanExtraction

CPU = torch.device("cpu")
CLASSES = Classification("single_label_classification", ("a", "b"))


def network(n_positions: int = 32, learns_trunk: bool = False) -> HeadNetwork:
    config = tiny_config(n_positions=n_positions)
    return HeadNetwork(GPTJModel(config), fresh_head(config, CLASSES, 0), None, CLASSES, learns_trunk)


def test_a_batch_is_padded_on_the_right_to_a_multiple_of_the_step() -> None:
    examples = [Example((5, 6, 7), (0.0,)), Example((8,), (1.0,)), Example((9,) * (WIDTH_STEP + 1), (1.0,))]
    batch = padded(examples, [1, 0], CPU)
    assert batch.ids.shape == (2, WIDTH_STEP) and batch.lengths.tolist() == [1, 3] and batch.rows.tolist() == [1, 0]
    assert batch.ids[1, :3].tolist() == [5, 6, 7] and not batch.ids[1, 3:].any()
    assert padded(examples, [2], CPU).ids.shape == (1, 2 * WIDTH_STEP)


def test_padding_never_exceeds_the_models_context() -> None:
    full = Example(tuple(range(1, 20)), (0.0,))
    assert network(n_positions=19).features(padded([full], [0], CPU)).shape[1] == 19


def test_a_frozen_trunk_gets_no_gradient_and_the_head_does() -> None:
    made = network()
    made(padded([Example((1, 2), (0.0,))], [0], CPU)).sum().backward()
    assert made.head.weight.grad is not None
    assert all(weight.grad is None for weight in made.trunk.parameters())  # type: ignore[union-attr]


def test_the_trunk_is_in_training_mode_only_where_it_learns() -> None:
    for learns in (False, True):
        made = network(learns_trunk=learns)
        made.learn(True)
        assert made.trunk is not None and made.trunk.training is learns and made.head.training
        made.learn(False)
        assert not made.trunk.training


def test_the_bias_of_a_span_head_is_not_trained() -> None:
    head = fresh_head(tiny_config(), SpanExtraction(lambda logits: {}), 0)
    assert not head.bias.requires_grad and not head.bias.any() and head.weight.requires_grad


@pytest.mark.parametrize("seed", [(3,), (3, 0, 1)])
def test_a_seeded_context_repeats_and_leaves_the_generator_alone(seed: tuple[int, ...]) -> None:
    before = torch.get_rng_state()
    drawn = []
    for _ in range(2):
        with seeded(*seed):
            drawn.append(torch.rand(4))
    with seeded(4):
        other = torch.rand(4)
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], other)
    assert torch.equal(torch.get_rng_state(), before)
