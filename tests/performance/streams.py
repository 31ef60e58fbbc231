"""Many streams decoding together beside the peers' batches: tokens a second, and beside one stream's.

python -m tests.performance streams [--streams 1,4,16] [--context 512] [--tokens 16]

The clock runs while all streams decode, from when the last of them has its first token; how long the prompts take is
the measurement `prefill`.
"""

import argparse
from dataclasses import asdict

from tests.performance.beside import beside
from tests.performance.decode import read_share
from tests.performance.report import Figure, Report, Table, as_number, between
from tests.performance.turns import Case, Turn, paired, spread, values_by_round

PEERS = ("ctranslate2", "openvino_batching")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """This measurement's own options."""
    parser.add_argument("--streams", type=counts, default=(1, 4, 16))
    parser.add_argument("--context", type=int, default=512, help="tokens of each prompt")
    parser.add_argument("--tokens", type=int, default=16, help="steps a turn")


def counts(text: str) -> tuple[int, ...]:
    """The numbers in a text, cut at commas."""
    return tuple(int(number) for number in text.split(","))


def run(options: argparse.Namespace) -> Report:
    """One case for each number of streams."""
    cases = [
        Case(
            f"streams {count}, context {options.context}",
            {"streams": count, "context": options.context, "tokens": options.tokens},
        )
        for count in options.streams
    ]
    return beside(options, PEERS, cases, Figure("tokens/s", tokens_per_second), read_share, finish=growth)


def tokens_per_second(turn: Turn) -> float:
    """Of all streams together."""
    return sum(one["tokens"] for one in turn.answers) / sum(one["seconds"] for one in turn.answers)


def growth(turns: list[Turn]) -> Report:
    """How many times the first case's tokens a second each further case makes, round by round."""
    names, cases = list(dict.fromkeys(turn.engine for turn in turns)), list(dict.fromkeys(turn.case for turn in turns))
    rows, figures = [], {}
    for name in names:
        by_case = [
            values_by_round((turn for turn in turns if turn.case == case), name, tokens_per_second) for case in cases
        ]
        found = [spread(more / one for one, more in paired(by_case[0], later)) for later in by_case[1:] if later]
        figures[name] = [asdict(one) for one in found]
        rows.append((name, *(f"{as_number(one.median)}x ({between(one)})" for one in found)))
    whole = [row for row in rows if len(row) == len(cases)]
    table = Table(f"Tokens a second, times those of {cases[0]}", ("", *cases[1:]), tuple(whole))
    return Report([table], {"times_first_case": figures})
