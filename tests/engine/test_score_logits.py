"""Whole distributions: those of a plain forward pass, however the job is cut, and only where they are asked for."""

import pytest
import torch

from tests.engine.tiny import answer, quiet_engine, tiny_model
from workbench.engine.jobs import Score
from workbench.engine.scoring import LOGIT_ROWS
from workbench.errors import BadRequest


def test_logits_are_those_of_a_plain_forward_pass() -> None:
    model = tiny_model(n_positions=2 * LOGIT_ROWS)
    tokens = torch.randint(61, (LOGIT_ROWS + 40,), generator=torch.Generator().manual_seed(0)).tolist()
    for cut in (1, 20):
        (scored,) = answer(quiet_engine(model), Score(tuple(tokens[:cut]), (tuple(tokens[cut:]),), logits=True))
        with torch.no_grad():
            plain = model(torch.tensor([tokens[:-1]])).logits[0, cut - 1 :]
        found = torch.cat(scored.logits)
        assert found.dtype == torch.float32 and torch.allclose(found, plain, atol=1e-4)


def test_nobody_is_given_what_was_not_asked_for() -> None:
    (scored,) = answer(quiet_engine(), Score((1, 2), ((3, 4),)))
    assert scored.logits == ()


def test_distributions_are_of_one_continuation_alone() -> None:
    with pytest.raises(BadRequest, match="one continuation alone"):
        Score((1,), ((2,), (3,)), logits=True)
