"""The command line: one JSON document on standard output, one message on standard error, and the promised statuses."""

import json
import math
import os
import runpy
import signal
import subprocess
import sys
import time
from functools import partial
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import asked, refused
from tests.text.tiny import TOKENIZER, write_checkpoint
from workbench import cli
from workbench.cli import main
from workbench.console import Command, add_json_option
from workbench.text.language_model import LanguageModel

WRITE = ["generate", "--prompt", "The unicorn", "--max-new-tokens", "6", "--temperature", "0"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A tiny checkpoint."""
    return str(write_checkpoint(tmp_path_factory.mktemp("tiny"), n_positions=2000))


def run(*arguments: str, encoding: str = "utf-8", **options: Any) -> subprocess.CompletedProcess[str]:
    """`python -m workbench` in a process of its own."""
    command = [sys.executable, "-m", "workbench", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONIOENCODING": encoding}
    return subprocess.run(
        command, capture_output=True, encoding=encoding, timeout=120, env=environment, check=False, **options
    )


def test_json_is_exactly_one_document_on_standard_output(folder: str) -> None:
    done = run(*WRITE, "--model", folder, "--json")
    answer = json.loads(done.stdout)
    assert done.returncode == 0 and "Traceback" not in done.stderr
    assert {
        "text", "tokens", "finish_reason", "prompt_tokens", "completion_tokens", "seconds",
        "time_to_first_token_seconds", "tokens_per_second", "seed", "drafted_tokens", "accepted_tokens",
    } <= answer.keys()  # fmt: skip
    assert len(answer["tokens"]) == answer["completion_tokens"] == 6
    assert {"id", "text", "logprob"} <= answer["tokens"][0].keys()


def test_bad_input_is_one_line_and_status_2(folder: str) -> None:
    done = run("generate", "--prompt", "a", "--model", folder + "/nowhere")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("workbench: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("usage", [[], ["sing"], ["generate"], [*WRITE, "--temprature", "1"], [*WRITE, "--top-k", "x"]])
def test_bad_usage_is_status_2_and_says_what_is_wrong(capsys: pytest.CaptureFixture[str], usage: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(usage)
    shown = capsys.readouterr()
    assert ended.value.code == 2 and shown.out == ""
    assert shown.err.splitlines()[-1].startswith("python -m workbench") and ": error: " in shown.err


def test_a_reader_that_has_enough_causes_no_traceback(folder: str) -> None:
    command = [sys.executable, "-m", "workbench", *WRITE, "--max-new-tokens", "1500", "--model", folder]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.read(1)
    process.stdout.close()
    errors = process.stderr.read()
    assert process.wait(120) == 1 and errors == ""


def test_control_c_ends_with_status_1_and_a_word(tmp_path: Path) -> None:
    folder = str(write_checkpoint(tmp_path / "long", n_positions=20_000))  # it must be writing still when Ctrl-C comes
    command = [sys.executable, "-m", "workbench", *WRITE, "--max-new-tokens", "19000", "--model", folder]
    # Who starts the tests in the background makes them deaf to Ctrl-C, and all that they start.
    heed = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, preexec_fn=heed)
    assert process.stdout is not None
    process.stdout.read(1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1 and errors.decode().strip() == "workbench: stopped"


def test_temperature_0_repeats_itself(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    first, second = (asked(capsys, *WRITE, "--model", folder) for _ in range(2))
    assert first["tokens"] == second["tokens"] and first["seed"] != second["seed"]


def test_the_seed_told_repeats_what_was_drawn(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    draw = ["generate", "--prompt", "The unicorn", "--model", folder, "--max-new-tokens", "12", "--top-k", "50"]
    first = asked(capsys, *draw)
    assert asked(capsys, *draw, "--seed", str(first["seed"]))["tokens"] == first["tokens"]


def test_without_json_the_text_appears_and_figures_go_to_standard_error(
    folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = asked(capsys, *WRITE, "--model", folder)["text"]
    assert main([*WRITE, "--model", folder]) == 0
    shown = capsys.readouterr()
    assert shown.out == expected + "\n"
    assert "6 tokens in" in shown.err and "length" in shown.err


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_character_that_the_output_can_not_encode_is_shown_by_its_number(folder: str, encoding: str) -> None:
    wild = [*WRITE[:-1], "100", "--seed", "1", "--max-new-tokens", "60", "--model", folder]
    shown, document = run(*wild, encoding=encoding), run(*wild, "--json", encoding=encoding)
    text = json.loads(document.stdout)["text"]
    assert (shown.returncode, document.returncode) == (0, 0) and not text.isascii()
    assert shown.stdout == text.encode(encoding, "backslashreplace").decode(encoding) + "\n"


def test_banning_every_token_is_bad_input(
    folder: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LanguageModel, "_ban", lambda model, text: list(range(model.tokenizer.size)))
    assert "Every token is banned" in refused(capsys, *WRITE, "--model", folder, "--ban", "e")


def test_stop_strings_and_bans_are_passed_on(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    whole = asked(capsys, *WRITE, "--model", folder)
    stop = next(token["text"] for token in whole["tokens"][2:] if token["text"])
    stopped = asked(capsys, *WRITE, "--model", folder, "--stop", "~never~", "--stop", stop)
    assert stopped["finish_reason"] == "stop_string" and stopped["text"] == whole["text"].split(stop)[0]
    banned = asked(capsys, *WRITE, "--model", folder, "--ban", "e", "--ban", "t")
    assert not {TOKENIZER.encode("e")[0], TOKENIZER.encode("t")[0]} & {token["id"] for token in banned["tokens"]}


@pytest.mark.parametrize(
    "options, message",
    [
        (["--temperature", "nan"], "temperature must be a number from 0 to 100; got nan"),
        (["--top-p", "0"], "top_p must be a number above 0"),
        (["--top-p", "inf"], "top_p must be"),
        (["--max-new-tokens", "0"], "max_new_tokens must be a whole number"),
        (["--min-new-tokens", "9"], "min_new_tokens must be a whole number from 0 to 6"),
        (["--seed", "-1"], "seed must be a whole number"),
        (["--stop", ""], "stop or banned text is empty"),
        (["--ban", "xylophone"], "more than one token"),
        (["--beams", "99"], "num_beams must be a whole number from 1 to 16"),
        (["--beams", "2", "--temperature", "1"], "Beam search takes temperature 0"),
        (["--prompt", "a\udc80b"], "half of a surrogate pair"),
        (["--prompt", "e " * 2000], "the model's context is 2,000"),
        (["--precision", "int7"], "int7"),
        (["--device-map", "nonsense"], "nonsense"),
    ],
)
def test_each_bad_setting_is_named(
    folder: str, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert message in refused(capsys, *WRITE, "--model", folder, *options)


def test_a_broken_checkpoint_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (write_checkpoint(tmp_path) / "model.safetensors").write_bytes(b"not weights")
    assert "model.safetensors" in refused(capsys, *WRITE, "--model", str(tmp_path))


def test_a_plan_has_its_fields_and_loads_nothing(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    began = time.monotonic()
    plan = asked(capsys, "plan", "--model", folder, "--precision", "bfloat16", "--streams", "2", "--context", "100")
    assert {"parameters", "weights_bytes", "available_bytes", "fits", "advice"} <= plan.keys()
    assert plan["total_bytes"] == plan["weights_bytes"] + 2 * plan["kv_cache_bytes_per_stream"]
    assert plan["kv_cache_bytes_per_stream"] == 2 * 2 * 32 * 2 * 100
    assert main(["plan", "--model", folder]) == 0
    assert "does it fit" not in capsys.readouterr().out and time.monotonic() - began < 60


def test_a_plan_beyond_the_context_is_refused(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "n_positions=2000" in refused(capsys, "plan", "--model", folder, "--context", "2001")


def test_models_lists_those_that_ship_with_their_sizes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = asked(capsys, "models")["models"]
    assert [row["name"] for row in rows] == ["demo", "demo-small"]
    assert all(row["parameters"] > 10**6 and row["weights_bytes"] > 10**6 for row in rows)
    assert main(["models"]) == 0
    assert "demo-small" in capsys.readouterr().out


def test_the_demo_is_the_default_and_writes_words(capsys: pytest.CaptureFixture[str]) -> None:
    once = ["generate", "--prompt", "Once upon a time", "--max-new-tokens", "8", "--temperature", "0"]
    answer = asked(capsys, *once)
    named = asked(capsys, *once, "--model", "demo")
    assert answer["tokens"] == named["tokens"] and answer["text"].strip()


def test_training_says_what_it_wrote_and_refuses_bad_texts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "book.txt"
    text.write_text("\n\n".join(f"The cat number {n} sat on mat number {n * n}." for n in range(300)))
    shape = "--steps 2 --batch-size 2 --context 16 --vocab-size 280 --n-embd 16 --n-layer 1 --n-head 2 --rotary-dim 4"
    train = ["train", "lm", "--texts", str(text), "--out", str(tmp_path / "model"), *shape.split()]
    answer = asked(capsys, *train)
    assert answer["folder"] == str(tmp_path / "model") and answer["steps"] == 2 and answer["loss"] > 0
    assert main(train) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'model'}: 2 steps\n"
    assert main([*train, "--steps", "3"]) == 2
    assert "other settings" in capsys.readouterr().err.splitlines()[-1]
    nowhere = ["--texts", str(tmp_path / "x"), "--out", str(tmp_path / "y")]
    assert "no such file" in refused(capsys, "train", "lm", *nowhere)


@pytest.mark.parametrize("module", ["workbench.cli", "workbench.commands.models"])
def test_control_c_while_the_program_is_imported_ends_with_status_1_and_a_word(
    module: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupts(MetaPathFinder):
        """Somebody presses Ctrl-C when this module is looked for."""

        def find_spec(self, name: str, *_: Any) -> None:
            if name == module:
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "argv", ["workbench", "models"])
    monkeypatch.setattr(sys, "meta_path", [Interrupts(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        runpy.run_module("workbench", run_name="__main__")
    said = capsys.readouterr().err if ended.value.code == 1 else ended.value.code
    assert said.strip() == "workbench: stopped"


def test_numbers_that_are_not_finite_are_null(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {"metrics": {"pearson": math.nan}, "scores": [math.inf, 1.5], "spans": ({"score": -math.inf},)}
    command = Command("odd", "gives odd numbers", add_json_option, lambda options: found)
    monkeypatch.setattr(cli, "collect", lambda *_: {"odd": command})
    assert asked(capsys, "odd") == {"metrics": {"pearson": None}, "scores": [None, 1.5], "spans": [{"score": None}]}
