"""The tiny model that both sides ask: random weights from numpy's seed, and a tokenizer made in the test.

Its logits are small and its tokens are whole words where they can be, so that no text is so unlikely that the last
digits of its log-likelihood are lost in float32.
"""

import hashlib
import json
from pathlib import Path

import torch

from tests.gptj.tiny import tiny_causal
from workbench.engine.engine import Engine
from workbench.gptj.config import GPTJConfig
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.load import save_pretrained
from workbench.text.language_model import LanguageModel
from workbench.text.tokenizer import Tokenizer
from workbench.training.corpus import train_bpe

SEED = 7
CONTEXT_TOKENS = 2048
SHORT_CONTEXT_TOKENS = 160
"""Too short for most prompts with worked examples: which tokens are left out is part of the protocol."""
LOGIT_SCALE = 0.25
STOP_BIAS = 0.3
"""Added to the logits of what ends a generated text, so that some end soon and some never do."""
UNTRAINED_BIAS = 3.0
"""Taken from the logits of rows without a token: part of every softmax, but never written, as in a trained model. (The
workbench never writes such a token; transformers writes it as nothing.)"""
FREQUENT_WORDS = (
    "the of and to a in is it you that he was for on are with as his they be at one have this from or had by hot "
    "but some what there we can out other were all your when up use word how said an each she which do their time "
    "if will way about many then them would write like so these her long make thing see him two has look more day "
    "could go come did my sound no most number who over know water than call first people may down side been now "
    "find any new work part take get place made live where after back little only round man year came show every "
    "good me give our under name very through just form great think say help low line before turn cause same mean "
    "differ move right boy old too does tell sentence set three want air well also play small end put home read "
    "hand port large spell add even land here must big high such follow act why ask men change went light kind "
    "off need house picture try us again animal point mother world near build self earth father head stand own "
    "page should country found answer school grow study still learn plant cover food sun four thought let keep "
    "eye never last door between city tree cross since hard start might story saw far sea draw left late run "
    "while question positive negative film person something another street wall paper glass bottle clean cut dry "
    "wood bed hair car "
)
_CORPUS = FREQUENT_WORDS * 12 + ". , 's \n\nQuestion: \nAnswer: The He She It A " * 3
TOKENIZER = Tokenizer(train_bpe([_CORPUS], 760))


def tiny_network(context_tokens: int) -> GPTJForCausalLM:
    """The network, always the same."""
    eos = TOKENIZER.eos_id
    shape = GPTJConfig(
        vocab_size=TOKENIZER.size + 12, n_positions=context_tokens, n_embd=32, n_layer=2, n_head=4, rotary_dim=4,
        bos_token_id=eos, eos_token_id=eos,
    )  # fmt: skip
    network = tiny_causal(SEED, shape)
    with torch.no_grad():
        for parameter in network.lm_head.parameters():
            parameter *= LOGIT_SCALE
        for text in ".,\n":
            network.lm_head.bias[TOKENIZER.encode(text)[0]] += STOP_BIAS
        network.lm_head.bias[TOKENIZER.size :] -= UNTRAINED_BIAS
    return network


def fingerprint() -> dict[str, float | str]:
    """Tells another numpy's weights and another tokenizers' merges from wrong numbers."""
    weights = sum(parameter.double().abs().sum().item() for parameter in tiny_network(CONTEXT_TOKENS).parameters())
    tokens = json.dumps(TOKENIZER.encode(FREQUENT_WORDS.title()))
    return {"weights": round(weights, 4), "tokens_sha256": hashlib.sha256(tokens.encode()).hexdigest()[:16]}


def our_model(context_tokens: int) -> LanguageModel:
    """The model in words; close its engine at the end."""
    return LanguageModel(Engine(tiny_network(context_tokens), TOKENIZER.size), TOKENIZER, "tiny")


def write_model(folder: Path, context_tokens: int) -> Path:
    """The same as a checkpoint that transformers reads; gives the folder."""
    save_pretrained(tiny_network(context_tokens), folder)
    TOKENIZER.save(folder)
    return folder
