"""A protocol's digest: the same for the same protocol however it is written down, another for any other."""

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.evals.runs.toy_benchmark import MODEL
from workbench.errors import BadRequest
from workbench.evals.runs.process import Process, this_process
from workbench.evals.runs.protocol import PARTS, Protocol, code_record, content_digest, differences, digest_of

leaves = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
records = st.dictionaries(st.text(max_size=5), leaves | st.dictionaries(st.text(max_size=5), leaves), max_size=4)


def protocol(**parts: Any) -> Protocol:
    """A protocol with some parts of its own."""
    given: dict[str, Any] = {part: {} for part in PARTS} | {"limit": None, "model": asdict(MODEL)} | parts
    return Protocol(**given)


@settings(deadline=None)
@given(records, records)
def test_two_records_have_one_digest_if_and_only_if_nothing_differs(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert (digest_of(one) == digest_of(other)) == (
        json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    )
    assert not differences(one, one)


@settings(deadline=None)
@given(records)
def test_the_order_of_keys_changes_no_digest(record: dict[str, Any]) -> None:
    assert digest_of(dict(reversed(list(record.items())))) == digest_of(record)


def test_a_record_is_the_same_when_it_is_read_again() -> None:
    record = protocol(task={"settings": {"until": ("a", "b")}}).record
    assert json.loads(json.dumps(record)) == record and record["task"]["settings"]["until"] == ["a", "b"]


@dataclass(frozen=True)
class Riddle:
    """What a task may read of a row."""

    id: str
    text: str
    endings: tuple[str, ...] = ("a", "b")


@settings(deadline=None)
@given(st.text(), st.text())
def test_the_content_of_an_example_is_all_of_it_but_its_id(one: str, other: str) -> None:
    assert content_digest(Riddle(one, "x")) == content_digest(Riddle(other, "x"))
    assert (content_digest(Riddle("", one)) == content_digest(Riddle("", other))) == (one == other)


def test_a_files_name_makes_no_other_run_and_its_content_does() -> None:
    data = {"origin": "file", "path": "a.csv", "sha256": "1"}
    same, other = (protocol(data=data | changed) for changed in ({"path": "b.csv"}, {"sha256": "2"}))
    assert protocol(data=data).digest == same.digest != other.digest
    hub = [protocol(data=data | {"origin": "hub", "path": path}).digest for path in ("a/a", "a/b")]
    assert hub[0] != hub[1]


def test_a_seed_makes_another_run_only_where_something_is_drawn_by_it() -> None:
    for count, runs in ((0, 1), (2, 2)):
        assert len({protocol(shots={"count": count, "seed": seed}).digest for seed in (0, 1)}) == runs


def test_differences_are_named_by_their_way() -> None:
    other = protocol(limit=3, model=asdict(replace(MODEL, precision="int8")))
    assert differences(protocol().record, other.record) == ["limit", "model.precision"]


def test_the_code_is_named_by_our_sources_and_what_runs_them() -> None:
    code: Mapping[str, Any] = code_record()
    assert len(code["sha256"]) == 64 and code["torch"] and code["python"].startswith("3.")


def test_naming_a_protocol_needs_no_torch() -> None:
    program = "import sys; from workbench.evals.runs import protocol, runner, store; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_a_process_is_alone_unless_told_otherwise() -> None:
    assert this_process({}) == Process(0, 1) == this_process({"RANK": "", "WORLD_SIZE": ""})
    assert this_process({"RANK": "2", "WORLD_SIZE": "4", "LOCAL_RANK": "1"}) == Process(2, 4, 1)


@pytest.mark.parametrize(
    "environment", [{"RANK": "1"}, {"RANK": "-1", "WORLD_SIZE": "2"}, {"RANK": "x"}, {"RANK": "2", "WORLD_SIZE": "2"}]
)
def test_ranks_that_do_not_fit_are_refused(environment: dict[str, str]) -> None:
    with pytest.raises(BadRequest, match="RANK"):
        this_process(environment)


@settings(deadline=None)
@given(st.lists(st.integers()), st.integers(1, 5))
def test_processes_share_everything_once(items: list[int], count: int) -> None:
    shares = [Process(rank, count).share(items) for rank in range(count)]
    assert sorted(item for share in shares for item in share) == sorted(items)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
