"""One stream's decoding beside the peers': milliseconds a token, and the share of what the machine can read.

python -m tests.performance decode [--gap-seconds 1] [--context 64] [--tokens 24]

Each engine continues random prompts greedily, in turn with the others, once without pauses and once with a pause
before each request. The share of the read limit is bytes that a step must read (weights, keys and values), divided by
its seconds and by the bytes a second that a probe read right before and after.
"""

import argparse

from tests.performance.beside import beside
from tests.performance.report import Figure, Report
from tests.performance.turns import Case, Turn

PEERS = ("transformers", "llm_int8", "ctranslate2", "openvino")
REQUESTS_WITH_GAPS = 4


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    parser.add_argument("--gap-seconds", type=float, default=1.0, help="before each request of the second case")
    parser.add_argument("--context", type=int, default=64, help="tokens of each prompt")
    parser.add_argument("--tokens", type=int, default=24, help="steps a turn")


def run(options: argparse.Namespace) -> Report:
    """Both cases."""
    each = max(1, options.tokens // REQUESTS_WITH_GAPS)
    cases = [
        Case("without pauses", {"context": options.context, "tokens": options.tokens}),
        Case(
            f"{options.gap_seconds:g} s before each request of {each} tokens",
            {"context": options.context, "tokens": each},
            times=REQUESTS_WITH_GAPS,
            gap_seconds=options.gap_seconds,
        ),
    ]
    return beside(options, PEERS, cases, Figure("ms/token", milliseconds, less_is_better=True), read_share)


def milliseconds(turn: Turn) -> float:
    """Of a step, over all the turn's requests."""
    return 1000 * seconds(turn)


def seconds(turn: Turn) -> float:
    """Of a step, over all the turn's requests."""
    return sum(one["seconds"] for one in turn.answers) / sum(len(one["step_seconds"]) for one in turn.answers)


def read_share(turn: Turn) -> float:
    """Bytes that a step must read, beside those that the machine could have read meanwhile."""
    held = turn.request.get("streams", 1) * (turn.request["context"] + turn.request["tokens"] / 2)
    keys_and_values = held * turn.facts.get("kv_bytes_per_token", 0)  # left out where an engine does not tell
    return float(turn.facts["weights_read_bytes"] + keys_and_values) / seconds(turn) / turn.probed
