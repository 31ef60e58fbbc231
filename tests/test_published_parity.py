"""`generate` gives transformers' tokens, greedy and by beams, and draws from transformers' distribution."""

import math

import pytest
import torch

from tests.gptj.continuations import eager_to_end, random_case
from tests.gptj.oracle import their_model
from tests.gptj.tiny import fill, tiny_config, tokens
from workbench.published import GPTJForCausalLM

DRAWS = 2000


@pytest.mark.parametrize("seed", range(40))
def test_greedy_and_beam_search_give_their_tokens(seed: int) -> None:
    model = eager_to_end(5000 + seed)
    case = random_case(5000 + seed, model.config.vocab_size, num_beams=1 + seed % 4)
    theirs = their_model("causal", model.config, model)
    assert case.continued(model) == case.continued(theirs)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize("length_penalty", [0.0, 0.5, 1.0, 2.0, -1.0])
def test_beams_with_every_length_penalty_give_their_tokens(length_penalty: float, early_stopping: bool) -> None:
    model = eager_to_end(77)
    theirs = their_model("causal", model.config, model)
    prompt = tokens(4, 4, 3, model.config.vocab_size)
    for num_beams in (2, 3, 4):
        found, expected = (
            one.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                do_sample=False,
                max_new_tokens=8,
                num_beams=num_beams,
                length_penalty=length_penalty,
                early_stopping=early_stopping,
                eos_token_id=1,
                pad_token_id=2,
            )
            for one in (model, theirs)
        )
        assert found.tolist() == expected.tolist()


def test_without_a_length_they_give_as_many_tokens() -> None:
    model = fill(GPTJForCausalLM(tiny_config()), 0)
    theirs = their_model("causal", model.config, model)
    prompt = tokens(1, 4)
    mask = torch.ones_like(prompt)
    with pytest.warns(UserWarning, match="max_length"):
        expected = theirs.generate(prompt, attention_mask=mask, do_sample=False)
    assert model.generate(prompt, attention_mask=mask).tolist() == expected.tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"temperature": 0.5},
        {"temperature": 2.0, "top_k": 0},
        {"top_k": 4},
        {"top_p": 0.7},
        {"min_p": 0.2},
        {"typical_p": 0.6},
        {"temperature": 1.5, "top_k": 6, "top_p": 0.9},
        {"temperature": 0.8, "top_k": 8, "top_p": 0.95, "min_p": 0.05, "typical_p": 0.9},
    ],
    ids=lambda settings: " ".join(f"{name}={value}" for name, value in settings.items()) or "defaults",
)
def test_draws_follow_their_distribution(settings: dict[str, float]) -> None:
    model = fill(GPTJForCausalLM(tiny_config(vocab_size=12, n_positions=200)), 3)
    torch.nn.init.zeros_(model.lm_head.weight)  # every token has the same distribution, so that a row is many draws
    torch.nn.init.normal_(model.lm_head.bias, generator=torch.Generator().manual_seed(2))
    prompt = tokens(1, 4, vocab_size=12)
    expected = their_distribution(model, prompt, settings)
    torch.manual_seed(0)
    rows = model.generate(prompt.repeat(16, 1), do_sample=True, max_new_tokens=DRAWS // 16, **settings)
    drawn = rows[:, 4:].flatten()
    counts = torch.bincount(drawn, minlength=12).double()
    possible = expected > 0
    assert counts[~possible].sum() == 0
    wanted = DRAWS * expected[possible]
    chi_square = ((counts[possible] - wanted).square() / wanted).sum().item()
    freedom = int(possible.sum()) - 1
    assert chi_square <= freedom + 4 * math.sqrt(2 * freedom) + 6  # passed by chance less than once in 10,000
    if freedom:
        assert len(set(drawn.tolist())) > 1


def their_distribution(model: GPTJForCausalLM, prompt: torch.Tensor, settings: dict[str, float]) -> torch.Tensor:
    """The probabilities (V,) that transformers draws the next token from."""
    output = their_model("causal", model.config, model).generate(
        prompt,
        attention_mask=torch.ones_like(prompt),
        do_sample=True,
        max_new_tokens=1,
        output_scores=True,
        return_dict_in_generate=True,
        **settings,
    )
    return torch.softmax(output.scores[0][0].double(), dim=-1)
