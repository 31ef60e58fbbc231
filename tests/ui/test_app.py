"""app.py as a Space imports it and as a person starts it."""

import runpy
import socket
from pathlib import Path

import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadRequest
from workbench.settings import Settings
from workbench.ui.bench import Bench
from workbench.ui.web import build, launch

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
        with pytest.raises(BadRequest, match="GRADIO_SERVER_PORT"):
            launch(build(bench), bench)
