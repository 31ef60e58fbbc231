"""The page says what the run told, broken promises first of all."""

from tests.reliability.page import written

ONE = {
    "goal": "G1", "promise": "nothing is | lost", "peer": "some", "level": "all", "failures": [], "held": True,
    "mutants": {"the guard off": ["noticed"], "another off": []}, "command": "python -m x",
}  # fmt: skip
MACHINE = {"cpu": "a", "cores": 2, "python": "3", "torch": "2"}
RUN = {"form": "short", "seed": 0, "commit": "abc", "seconds": 60.0, "machine": MACHINE}


def test_a_promise_is_a_row_with_its_command_and_how_many_mutants_were_noticed() -> None:
    page = written({**RUN, "goals": [ONE]})
    assert r"| G1 | nothing is \| lost | some | all | 1 of 2: the guard off; another off | `python -m x` |" in page
    assert "broken" not in page.lower()


def test_a_broken_promise_stands_out_with_what_broke_it() -> None:
    page = written({**RUN, "goals": [{**ONE, "failures": ["two lost"], "held": False}]})
    assert "**broken**: all" in page and "- G1: two lost" in page


def test_a_process_that_died_is_a_broken_promise() -> None:
    page = written({**RUN, "goals": [{"goal": "G7", "failures": ["its process ended with -9"], "held": False}]})
    assert "| G7 |  |  | **broken** |  |  |" in page and "ended with -9" in page
