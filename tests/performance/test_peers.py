"""What an engine under test answers."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.performance.peers.protocol import prompts, steady

PEERS = Path(__file__).parent / "peers"
ENGINE = """
import time
from protocol import Decoding, serve

class Engine:
    facts = {"weights_read_bytes": 7}
    def decode(self, prompts, tokens):
        print("a library's own words")
        if tokens > 5:
            raise MemoryError("too long")
        now = time.monotonic()
        return Decoding([[now + step for step in range(tokens + 1)] for _ in prompts])

serve(Engine)
"""


@given(st.integers(1, 8), st.integers(1, 12), st.integers(0, 20), st.floats(0.01, 2))
def test_streams_that_began_earlier_count_only_while_all_decode(
    streams: int, steps: int, head_start: int, step_seconds: float
) -> None:
    # Stream k has its first token k * head_start steps later than the first one; all go on beyond the end.
    stamps = [
        [step * step_seconds for step in range(number * head_start, streams * head_start + steps + 3)]
        for number in range(streams)
    ]
    found = steady(stamps, steps)
    assert found["tokens"] == streams * steps
    assert found["seconds"] == pytest.approx(steps * step_seconds)
    assert len(found["step_seconds"]) == steps


def test_tokens_of_one_step_may_come_one_after_the_other() -> None:
    stamps = [[step + number / 10 for step in range(5)] for number in range(3)]
    assert steady(stamps, 4)["tokens"] == 12


@pytest.mark.parametrize("stamps", [[[0.0, 1.0, 2.0]], [[0.0, 1.0], [0.5, 1.5, 2.5, 3.5]]])
def test_a_stream_that_ends_early_is_an_error(stamps: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="ended after"):
        steady(stamps, 3)


def test_prompts_are_the_same_for_a_seed_and_begin_differently() -> None:
    assert prompts(3, 4, 8) == prompts(3, 4, 8)
    assert len({prompt[0] for seed in range(5) for prompt in prompts(seed, 4, 8)}) == 20


def asked(*requests: dict[str, int]) -> list[dict[str, object]]:
    lines = "".join(json.dumps(request) + "\n" for request in requests)
    done = subprocess.run([sys.executable, "-c", ENGINE], input=lines, capture_output=True, text=True, cwd=PEERS)
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_server_tells_of_itself_then_answers_line_by_line() -> None:
    told, prompt_alone, decoded = asked(
        {"seed": 1, "context": 3, "tokens": 0}, {"seed": 2, "streams": 2, "context": 3, "tokens": 4}
    )
    assert told["weights_read_bytes"] == 7
    assert set(prompt_alone) == {"first_token_seconds", "resident_bytes"}
    assert decoded["tokens"] == 8


def test_a_server_that_fails_says_why() -> None:
    *_, last = asked({"seed": 1, "context": 3, "tokens": 6}, {"seed": 2, "context": 3, "tokens": 1})
    assert last == {"error": "MemoryError: too long"}
