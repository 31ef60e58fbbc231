"""How fast prompts are read beside the peers: tokens of prompt a second, until the first token comes.

python -m tests.performance prefill [--contexts 512,1536]
"""

import argparse

from tests.performance.beside import beside
from tests.performance.report import Figure, Report
from tests.performance.streams import counts
from tests.performance.turns import Case, Turn

PEERS = ("transformers", "llm_int8", "ctranslate2", "openvino", "openvino_batching")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    parser.add_argument("--contexts", type=counts, default=(512, 1536), help="tokens of the prompts")


def run(options: argparse.Namespace) -> Report:
    """One case for each length."""
    cases = [Case(f"a prompt of {length} tokens", {"context": length, "tokens": 0}) for length in options.contexts]
    return beside(options, PEERS, cases, Figure("tokens/s", tokens_per_second))


def tokens_per_second(turn: Turn) -> float:
    """Of the prompt, up to the first token that follows it."""
    return len(turn.answers) * int(turn.request["context"]) / sum(one["first_token_seconds"] for one in turn.answers)
