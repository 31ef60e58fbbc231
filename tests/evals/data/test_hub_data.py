"""Data sets of the Hub: from the cache, from a server that stands in for the Hub, and what is said without either."""

import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.evals.data.toy_task import COMMIT, ROWS, TASK, row, write
from workbench.errors import BadRequest
from workbench.evals.data import hub_data
from workbench.evals.data.hub_data import LaterRows, cache_folder, why_offline
from workbench.evals.data.rows import Row
from workbench.evals.data.sources import load_data
from workbench.evals.data.tables import LOCAL
from workbench.evals.task import Source


@pytest.mark.parametrize("path", ["/etc/passwd", "..", "toys", "a/b/c", "toys/..", "http://x/y", "toys/a\n"])
def test_only_names_of_the_hub_are_asked_of_it(path: str) -> None:
    with pytest.raises(BadRequest, match="named org/name"):
        load_data(dataclasses.replace(TASK, source=Source(path, "validation")), None, None, LOCAL)


def test_switched_off_the_hub_is_not_asked() -> None:
    said = r"toys/Choices is not in the local cache, and the Hub did not give it \(HF_HUB_OFFLINE is set\)"
    with pytest.raises(BadRequest, match=f"{said}.*--data toy=FILE"):
        load_data(TASK, None, None, LOCAL)


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9", "http://no-such-host.invalid"])
def test_without_a_network_it_is_said_within_a_second(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", endpoint)
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    began = time.monotonic()
    with pytest.raises(BadRequest, match=r"can't be reached: .*columns goal, sol1, sol2, label .*--data toy=FILE"):
        load_data(TASK, None, None, LOCAL)
    assert time.monotonic() - began < 1.0


def test_a_network_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)

    def silent(*_: Any, **__: Any) -> None:
        time.sleep(2)
        raise TimeoutError

    monkeypatch.setattr("socket.create_connection", silent)
    began = time.monotonic()
    assert str(why_offline()).endswith("can't be reached: no answer")
    assert time.monotonic() - began < 1.0


def test_without_a_network_the_library_is_not_even_imported() -> None:
    code = (
        "import sys; from workbench.evals.data.hub_data import HubData; from workbench.evals.task import Source\n"
        "try: HubData(Source('toys/Choices', 'test'), 'or else')\n"
        "except Exception as error: print(type(error).__name__, 'datasets' in sys.modules, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["BadRequest", "False", "False"]


def test_the_hub_is_reachable_where_its_port_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("no_proxy", "*")
        monkeypatch.delenv("http_proxy", raising=False)
        monkeypatch.delenv("HTTP_PROXY", raising=False)
        assert why_offline() is None


def test_behind_a_proxy_the_proxy_is_what_must_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://no-such-host.invalid")
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert why_offline() is None


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the library `datasets`, with the toy data set in it as the library leaves it there."""
    import datasets

    folder = tmp_path / "cache"
    files = {split: str(write(tmp_path / f"{split}.jsonl", rows)) for split, rows in SPLITS.items()}
    built = datasets.load_dataset("json", data_files=files, cache_dir=str(tmp_path / "built"))
    first = Path(built["train"].cache_files[0]["filename"]).parent
    place = folder / "toys___choices" / "default" / "0.0.0" / COMMIT
    place.parent.mkdir(parents=True)
    first.rename(place)
    for arrow in place.glob("json-*.arrow"):
        arrow.rename(place / arrow.name.replace("json-", "choices-"))
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", folder)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(folder))
    return folder


SPLITS = {"train": [row(number) for number in range(10, 14)], "validation": ROWS}


def test_offline_the_cache_gives_rows_worked_examples_and_the_commit(cache: Path) -> None:
    found = load_data(TASK, None, None, LOCAL)
    assert [dict(one.values) for one in found.rows] == ROWS
    assert [one.values["id"] for one in found.shot_rows] == ["q10", "q11", "q12", "q13"]
    expected = {"origin": "hub", "path": "toys/Choices", "name": None, "split": "validation", "revision": COMMIT}
    assert found.origin == expected | {"sha256": None, "rows": 6}


def test_a_limit_takes_no_worked_examples_away_where_they_come_from_the_same_split(cache: Path) -> None:
    task = dataclasses.replace(TASK, source=Source("toys/Choices", split="validation"))
    found = load_data(task, None, 2, LOCAL)
    assert (len(found.rows), len(found.shot_rows)) == (2, 6)


def test_a_pinned_commit_in_the_cache_needs_no_network(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hub_data, "why_offline", lambda: pytest.fail("the network was looked for"))
    task = dataclasses.replace(TASK, source=Source("toys/Choices", "validation", revision=COMMIT))
    assert len(load_data(task, None, 2, LOCAL).rows) == 2


def test_another_commit_than_the_caches_is_not_taken_for_it(cache: Path) -> None:
    task = dataclasses.replace(TASK, source=Source("toys/Choices", "validation", revision="f" * 40))
    with pytest.raises(BadRequest, match="HF_HUB_OFFLINE is set"):
        load_data(task, None, None, LOCAL)


def test_what_is_in_the_cache_is_found_by_its_name_there(cache: Path) -> None:
    assert cache_folder("toys/Choices") == cache / "toys___choices"
    assert cache_folder("toys/Other") is None


class FakeHub:
    """What of `datasets` and the Hub's client is used, with a record of how."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, error: Exception | None = None):
        import datasets

        self.asked: list[dict[str, Any]] = []
        self.error = error
        monkeypatch.setattr(hub_data, "why_offline", lambda: None)
        monkeypatch.setattr(datasets, "load_dataset", self.load_dataset)
        monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", lambda *_, **__: type("Info", (), {"sha": COMMIT}))

    def load_dataset(self, path: str, name: str | None, **options: Any) -> Iterator[dict[str, Any]]:
        self.asked.append({"path": path, "name": name, **options})
        if self.error is not None:
            raise self.error
        return iter(SPLITS[options["split"]])


def test_the_newest_commit_is_asked_for_and_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub(monkeypatch)
    found = load_data(TASK, None, None, LOCAL)
    assert found.origin["revision"] == COMMIT
    assert hub.asked[0] == {
        "path": "toys/Choices",
        "name": None,
        "revision": COMMIT,
        "split": "validation",
        "streaming": False,
    }


def test_with_a_limit_rows_are_streamed(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub(monkeypatch)
    assert len(load_data(TASK, None, 2, LOCAL).rows) == 2
    assert hub.asked[0]["streaming"]


def test_worked_examples_are_fetched_when_they_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    hub = FakeHub(monkeypatch)
    found = load_data(TASK, None, None, LOCAL)
    assert [one["split"] for one in hub.asked] == ["validation"]
    assert len(found.shot_rows) == 4
    assert found.shot_rows[0].values["id"] == "q10"
    assert [one["split"] for one in hub.asked] == ["validation", "train"]


@pytest.mark.parametrize(
    "error", [OSError("gone\nand more"), ValueError("gone"), RuntimeError("gone"), KeyError("gone")]
)
def test_what_the_library_fails_with_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    FakeHub(monkeypatch, error)
    with pytest.raises(BadRequest, match=r"the Hub did not give it \('?gone'?\). Try again with a connection, or give"):
        load_data(TASK, None, None, LOCAL)


def test_rows_for_later_are_a_sequence() -> None:
    rows = tuple(Row(values, index) for index, values in enumerate(ROWS))
    later = LaterRows(lambda: rows)
    assert (len(later), later[0], list(later), later[1:3]) == (6, rows[0], list(rows), rows[1:3])


def test_a_commit_that_can_not_be_asked_for_is_taken_from_the_cache(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeHub(monkeypatch)

    def out_of_order(*_: Any, **__: Any) -> None:
        raise OSError("503")

    monkeypatch.setattr("huggingface_hub.HfApi.dataset_info", out_of_order)
    assert load_data(TASK, None, None, LOCAL).origin["revision"] == COMMIT


def test_the_library_streams_downloads_and_caches_what_a_hub_serves(tmp_path: Path) -> None:
    without = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    environment = without | {"HF_HUB_OFFLINE": "0", "HF_HOME": str(tmp_path / "home")}
    command = [sys.executable, "-m", "tests.evals.data.hub_server"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["streamed"] == {"rows": 3, "revision": COMMIT, "shots": 50, "cached": False}
    assert told["downloaded"] == {"rows": 50, "revision": COMMIT, "shots": 50, "cached": True}
    assert told["requests of a pinned commit in the cache"] == 0
    assert told["after the hub is gone"] == {"rows": 50, "revision": COMMIT, "shots": 50, "cached": True}
    assert "Traceback" not in done.stderr
