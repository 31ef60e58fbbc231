"""The drawer of measurements: `python -m tests.performance NAME`."""

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.performance import __main__ as performance
from tests.performance.report import Report, Table

HARNESS = ("accuracy", "decode", "growth", "prefill", "streams")


def test_every_measurement_is_listed_with_its_first_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tests.performance"])
    performance.main()
    shown = capsys.readouterr().out
    for name in (*HARNESS, "answering", "beside_lm_eval"):
        assert f"  {name} " in shown
    assert all(sentence.rstrip(".:") for sentence in performance.measurements().values())


def test_an_unknown_name_lists_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["tests.performance", "speed"])
    with pytest.raises(SystemExit, match="no measurement 'speed'"):
        performance.main()


@pytest.mark.parametrize("name", HARNESS)
def test_a_measurements_options_have_defaults(name: str) -> None:
    module = importlib.import_module(f"tests.performance.{name}")
    options = performance.arguments_of(module, name).parse_args([])
    assert options.rounds >= 3
    assert options.peers is None


def test_peers_may_be_none_at_all() -> None:
    assert performance.names("") == ()
    assert performance.names("openvino,ctranslate2") == ("openvino", "ctranslate2")


def test_figures_are_written_with_the_machine_and_without_paths_or_dates(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = ModuleType("tests.performance.made_up", "Measures nothing.")
    made.run = lambda options: Report([Table("Nothing", (), (("rounds", str(options.rounds)),))], {"found": 1})
    made.add_arguments = lambda parser: parser.add_argument("--own", type=int, default=7)
    monkeypatch.setitem(sys.modules, "tests.performance.made_up", made)
    performance.measure(
        "made_up", ["--json", str(tmp_path / "a.json"), "--rounds", "2", "--threads", "1", "--scratch", str(tmp_path)]
    )
    told = json.loads((tmp_path / "a.json").read_text())
    assert set(told) == {"measurement", "options", "machine", "found"}
    assert told["options"] == {"rounds": 2, "layers": 4, "peers": None, "threads": 1, "own": 7}
    assert {"cpu", "threads", "torch", "kernels"} <= set(told["machine"])
    assert "rounds  2" in capsys.readouterr().out


def test_a_script_with_its_own_command_line_gets_the_rest_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = ModuleType("tests.performance.made_up")
    seen: list[list[str]] = []
    made.main = lambda: seen.append(sys.argv[1:])
    monkeypatch.setattr(sys, "argv", [])
    monkeypatch.setitem(sys.modules, "tests.performance.made_up", made)
    performance.measure("made_up", ["--data", "x"])
    assert seen == [["--data", "x"]]
