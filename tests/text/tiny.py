"""A tiny tokenizer and a tiny model that go together, in memory and as a checkpoint folder."""

from pathlib import Path

from tests.gptj.tiny import tiny_causal
from workbench.engine.engine import Engine
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import save_pretrained
from workbench.text.language_model import LanguageModel
from workbench.text.tokenizer import Tokenizer
from workbench.training.corpus import train_bpe

STORY = (
    "The unicorn walked to the green hill, and the children said: 'It's 10 o'clock already!'\n\nNobody answered, "
    "naïve as they were: \U0001f984. A café was open, and the old king slept under the apple tree. "
)
TOKENIZER = Tokenizer(train_bpe([STORY * 20], 360))
ROWS = TOKENIZER.size + 20
"""The model has more rows than the tokenizer has tokens, as the published one."""


def tiny_network(seed: int = 0, n_positions: int = 64) -> GPTJForCausalLM:
    """A random model for the tokenizer."""
    eos = TOKENIZER.eos_id
    shape = GPTJConfig(
        vocab_size=ROWS, n_positions=n_positions, n_embd=32, n_layer=2, n_head=4, rotary_dim=4,
        bos_token_id=eos, eos_token_id=eos,
    )  # fmt: skip
    return tiny_causal(seed, shape)


def tiny_language_model(seed: int = 0, n_positions: int = 64) -> LanguageModel:
    """A random model in words; close its engine at the end."""
    return LanguageModel(Engine(tiny_network(seed, n_positions), TOKENIZER.size), TOKENIZER, "tiny")


def write_checkpoint(folder: Path, seed: int = 0, n_positions: int = 64) -> Path:
    """Writes a random model and its tokenizer; gives the folder."""
    save_pretrained(tiny_network(seed, n_positions), folder)
    TOKENIZER.save(folder)
    return folder
