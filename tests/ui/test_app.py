"""app.py as a Space imports it and as a person starts it."""

import runpy
import socket
from pathlib import Path

import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadRequest
from workbench.guard.clients import Traffic
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.host.watchdog import Watchdog
from workbench.ui.web import _opened, _warm, build, launch

APP = str(Path(__file__).parents[2] / "app.py")


def test_importing_the_app_builds_the_page_and_loads_nothing() -> None:
    names = runpy.run_path(APP, run_name="app")
    assert names["demo"].fns and names["bench"].manager.loaded() == []


def test_a_wrong_variable_ends_the_app_with_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_MAX_STREAMS", "many")
    with pytest.raises(SystemExit, match="WORKBENCH_MAX_STREAMS is 'many'"):
        runpy.run_path(APP, run_name="app")


def test_a_taken_port_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        bench = Bench(Settings(port=taken.getsockname()[1]), FakeManager())  # type: ignore[arg-type]
        page = build(bench)
        with pytest.raises(BadRequest, match="GRADIO_SERVER_PORT"):
            launch(page, bench, Traffic(bench.settings.profile.traffic), Watchdog(page))


def opened(bench: Bench) -> list[str]:
    """What the page's head says to a visitor, update by update."""
    status = object()
    return [update[status] for update in _opened(bench, status)]  # type: ignore[arg-type, index]


def test_the_first_visitor_loads_the_first_model_if_nothing_else_did() -> None:
    bench = Bench(Settings(), FakeManager())  # type: ignore[arg-type]
    assert "ready" in opened(bench)[-1] and bench.is_loaded(bench.first_spec())


def test_a_model_that_was_unloaded_is_not_loaded_again_by_a_visit() -> None:
    bench = Bench(Settings(), FakeManager())  # type: ignore[arg-type]
    _warm(bench)
    bench.manager.unload(bench.first_spec())
    assert len(opened(bench)) == 1 and "No model is loaded" in opened(bench)[0]
    assert bench.manager.loaded() == []


def test_a_visitor_is_told_why_there_is_no_first_model() -> None:
    bench = Bench(Settings(model="nowhere"), FakeManager())  # type: ignore[arg-type]
    _warm(bench)
    assert "nowhere" in opened(bench)[0] and "is not loaded" in opened(bench)[0]


def test_a_model_counts_as_loaded_under_another_spelling() -> None:
    bench = Bench(Settings(), FakeManager())  # type: ignore[arg-type]
    bench.manager.load(ModelSpec("demo", precision="float32"))
    assert bench.is_loaded(ModelSpec("demo")) and not bench.is_loaded(ModelSpec("demo", precision="int8"))
