"""A page that others use too: it says so, and no visitor ends or deletes what is another's."""

from pathlib import Path
from typing import Any

import pytest

from tests.ui.fake import FakeManager
from workbench.errors import BadRequest, Busy
from workbench.evals.runs.runner import Options
from workbench.evaluating import SAMPLES, Evaluation, all_tasks
from workbench.manager import ModelSpec
from workbench.settings import Settings
from workbench.ui.bench import Bench, Page
from workbench.ui.benchmark.bench_desk import BenchDesk
from workbench.ui.host.room import check_room
from workbench.ui.host.shared_page import shared_markup
from workbench.ui.tabs import benchmark
from workbench.ui.tabs.models import measuring, unloaded

SHARED = Settings(profile_name="public")


class Held(Bench):
    """A bench whose desk begins nothing."""

    desk: Any = None


def desk_of(settings: Settings) -> tuple[Any, str, int]:
    """A page with one benchmark on its desk; its owner's key, and its number."""
    bench = Held(settings, FakeManager())  # type: ignore[arg-type]
    desk = BenchDesk(lambda evaluation: iter(()))  # type: ignore[arg-type, return-value]
    desk._serving = True  # as if another were being run
    object.__setattr__(bench, "desk", desk)
    key = desk.put([Evaluation(all_tasks()["piqa"], ModelSpec("demo"), Options(), SAMPLES)])
    page = Page(bench, *[None] * 5)  # type: ignore[arg-type]
    return page, key, desk.lines()[0].number


def press(page: Any, monkeypatch: pytest.MonkeyPatch, batch: str, pressed: str) -> str:
    """The state of the one benchmark after somebody who says to be of this batch pressed a button."""
    monkeypatch.setattr(benchmark, "stands", lambda *_: {})
    view: Any = type("View", (), {"message": "message"})
    list(benchmark._pressed(page, view, batch, pressed))
    return str(page.bench.desk.lines()[0].state)


def test_another_visitor_cant_stop_a_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    page, key, number = desk_of(SHARED)
    with pytest.raises(BadRequest, match="another visitor's"):
        press(page, monkeypatch, "not the key", f"stop:{number}")
    assert press(page, monkeypatch, "", "stop-all") == "waiting"
    assert press(page, monkeypatch, key, f"stop:{number}") == "stopped"


def test_who_asked_for_it_can_stop_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    page, key, _ = desk_of(SHARED)
    assert press(page, monkeypatch, key, "stop-all") == "stopped"


def test_on_ones_own_machine_anything_can_be_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    page, _, number = desk_of(Settings())
    assert press(page, monkeypatch, "", f"stop:{number}") == "stopped"


def test_a_batchs_name_cant_be_guessed() -> None:
    _, key, _ = desk_of(SHARED)
    assert len(bytes.fromhex(key)) == 16


@pytest.mark.parametrize("step", [unloaded, measuring])
def test_models_of_a_shared_page_stay_as_they_are(step: Any) -> None:
    bench = Bench(SHARED, FakeManager())  # type: ignore[arg-type]
    with pytest.raises(BadRequest, match="Others use this page too"):
        list(step(bench, None, "demo"))


def test_runs_are_begun_only_while_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = Settings(profile_name="public", runs_folder=tmp_path)
    check_room(shared)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(2**30)
    with pytest.raises(Busy, match="there is room for 1,024"):
        check_room(shared)
    check_room(Settings(runs_folder=tmp_path))


def test_the_page_says_what_is_switched_off() -> None:
    words = shared_markup(SHARED)
    assert "512 new tokens" in words and "2 MB" in words and "100 examples" in words and "switched off" in words
    assert shared_markup(Settings()) == ""
