"""Starting the engines that are measured."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.performance.peers.engines import KINDS, MAKERS, PEERS, Server, loaded

ECHO = """
import json, sys
print(json.dumps({"weights_read_bytes": 1}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if request.get("die"):
        sys.exit("the allocator gave up")
    print(json.dumps({"error": "no"} if request.get("fail") else {"got": request}), flush=True)
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server("echo", [sys.executable, "-c", ECHO], {}, tmp_path / "echo.log")
    yield made
    made.close()


def test_a_server_answers_each_request(server: Server) -> None:
    assert server.facts == {"weights_read_bytes": 1}
    assert [server.ask({"number": number}) for number in (1, 2)] == [{"got": {"number": 1}}, {"got": {"number": 2}}]


def test_an_engines_own_error_is_raised_in_its_words(server: Server) -> None:
    with pytest.raises(RuntimeError, match=r"^no$"):
        server.ask({"fail": True})


def test_an_engine_that_dies_is_told_with_its_last_words(server: Server) -> None:
    with pytest.raises(RuntimeError, match="ended with 1: the allocator gave up"):
        server.ask({"die": True})
    with pytest.raises(RuntimeError, match="ended with 1"):
        server.ask({"number": 1})


def test_a_waiting_server_takes_next_to_nothing_of_the_cores_and_an_ended_one_nothing(server: Server) -> None:
    assert 0 <= server.core_seconds() < 5
    server.close()
    assert server.core_seconds() == 0


def test_an_unknown_peer_is_named_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no peer 'llama': choose from transformers"):
        loaded(["llama"], tmp_path, 1, 1).__enter__()


@pytest.mark.parametrize("name", KINDS)
def test_every_peer_has_its_script_and_someone_who_makes_its_folder(name: str) -> None:
    kind = KINDS[name]
    assert (PEERS / kind.script).exists()
    assert not kind.makes_its_own or (PEERS / MAKERS[kind.folder]).exists()
