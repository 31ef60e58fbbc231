"""Every snippet, really run on the demo model: what it asks is what the page would."""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ui.serving import behind_the_guard
from workbench.cli import main
from workbench.engine.jobs import Sampling
from workbench.evals.runs.runner import Options
from workbench.manager import ModelManager, ModelSpec
from workbench.settings import Settings
from workbench.text.requests import ExtractSpan, Generate
from workbench.ui.bench import Bench
from workbench.ui.classify.class_methods import Asked
from workbench.ui.links.snippets import Call, Snippet, code, command, curl_text
from workbench.ui.links.snippets_asking import AskedSpan, answer_snippets, classify_snippets, generate_snippets
from workbench.ui.links.snippets_benchmark import AskedTasks, benchmark_snippets
from workbench.ui.links.snippets_precision import precision_snippets
from workbench.ui.precision.precision_form import AskedReport
from workbench.ui.web import build

os.environ.setdefault("NO_PROXY", "localhost,127.0.0.1")

HOSTILE = "It's a \"day\" $HOME `id` $(id)\n\\n two\\ !x %s é 'end'"
DEMO = ModelSpec("demo")
GREEDY = Generate(HOSTILE, max_new_tokens=6, sampling=Sampling(temperature=0), stop=("-x",), seed=3, alternatives=8)
URL = "http://127.0.0.1:7860/"


@pytest.fixture(scope="module")
def manager() -> Iterator[ModelManager]:
    """The demo, once for all."""
    manager = ModelManager()
    yield manager
    manager.close()


@pytest.fixture(scope="module")
def url(manager: ModelManager) -> Iterator[str]:
    """The address of the page on the demo."""
    page = build(Bench(Settings(), manager))
    yield behind_the_guard(page)
    page.close()


def text_of(found: list[Snippet], name: str) -> str:
    return next(one.text for one in found if one.name == name)


def run_python(text: str) -> str:
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(text, "snippet", "exec"), {})
    return said.getvalue()


def words_of(command_text: str) -> list[str]:
    """The arguments that a shell makes of a command."""
    shown = command_text.replace(
        "python -m workbench", f"{sys.executable} -c 'import json, sys; print(json.dumps(sys.argv[1:]))'"
    )
    return json.loads(subprocess.run(["sh", "-c", shown], capture_output=True, text=True, check=True).stdout)


def run_command(text: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    """What the command line answers; its arguments go through a real shell."""
    *before, last = re.split(r"\n(?=python -m workbench)", "\n" + text)
    subprocess.run(["sh", "-c", "\n".join(before)], cwd=folder, check=True)
    with contextlib.chdir(folder):
        assert main([*words_of(last), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def run_curl(text: str) -> list[dict]:
    said = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True).stdout
    (last,) = re.findall(r"event: complete\ndata: (.*)", said)
    return json.loads(last)


def written(manager: ModelManager, request: Generate) -> str:
    with manager.lease(DEMO) as model:
        return model.generate(request).text


def test_a_text_is_written_again_by_python(manager: ModelManager) -> None:
    found = generate_snippets([(DEMO, GREEDY)], URL)
    assert run_python(text_of(found, "Python")) == written(manager, GREEDY) + "\n"


def test_a_text_is_written_again_by_the_command_line(
    manager: ModelManager, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shaped = replace(GREEDY, sampling=Sampling(1.0, 40, 0.9, 0.01, 0.9, 1.1, -0.5, 0.25), min_new_tokens=2)
    answer = run_command(text_of(generate_snippets([(DEMO, shaped)], URL), "Command line"), tmp_path, capsys)
    assert answer["text"] == written(manager, shaped) and answer["seed"] == 3


def test_a_text_is_written_again_by_curl(manager: ModelManager, url: str) -> None:
    ((text, details),) = run_curl(text_of(generate_snippets([(DEMO, GREEDY)], url), "curl"))
    assert text == written(manager, GREEDY) and details["finish_reason"] == "length"


def test_a_text_is_written_again_by_gradios_client(manager: ModelManager, url: str) -> None:
    request = replace(GREEDY, sampling=Sampling(top_p=0.5), num_beams=1)
    said = run_python(text_of(generate_snippets([(DEMO, request)], url), "gradio_client"))
    assert repr(written(manager, request)) in said


def test_two_sides_are_two_models_of_one_script() -> None:
    text = text_of(generate_snippets([(DEMO, GREEDY), (replace(DEMO, precision="bfloat16"), GREEDY)], URL), "Python")
    assert text.count("manager.lease(") == 2 and "precision='bfloat16'" in text


ASKED = Asked(
    labels=("good", "bad, really", 'so "so"'), template="Say: {text}\nIt's", shots=(("one, two", "good"),),
    normalization="characters", calibration="contextual",
)  # fmt: skip


def scores_by_page(manager: ModelManager, asked: Asked) -> dict[str, float]:
    said: dict[str, float] = {}
    from_page = text_of(classify_snippets([(DEMO, asked)], HOSTILE, URL), "Python")
    exec(compile(from_page.replace("print(", "found = ("), "snippet", "exec"), space := {})
    said.update(space["found"].scores)
    return said


def test_a_text_is_classified_again_by_the_command_line_with_its_examples(
    manager: ModelManager, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = run_command(text_of(classify_snippets([(DEMO, ASKED)], HOSTILE, URL), "Command line"), tmp_path, capsys)
    assert answer["scores"] == pytest.approx(scores_by_page(manager, ASKED), abs=1e-6)


def test_a_text_is_classified_again_by_curl(manager: ModelManager, url: str) -> None:
    (answer,) = run_curl(text_of(classify_snippets([(DEMO, ASKED)], HOSTILE, url), "curl"))
    assert answer["scores"] == pytest.approx(scores_by_page(manager, ASKED), abs=1e-6)


def test_a_text_is_classified_again_by_a_head() -> None:
    text = text_of(classify_snippets([(DEMO, Asked(head="sentiment"))], "What a day", URL), "Python")
    assert "positive" in run_python(text)


def test_a_head_is_asked_by_the_command_line_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = classify_snippets([(DEMO, Asked(head="sentiment", threshold=0.4))], "-What a day", URL)
    assert run_command(text_of(found, "Command line"), tmp_path, capsys)["label"]


QUESTION = AskedSpan(
    ExtractSpan("Where did the \"fox\" go?", "One day the little fox's cub went to the $wood.", n_best=3,
                shots=(("A cat sat.", "Who sat?", "A cat"),)), threshold=-0.5,
)  # fmt: skip


def test_a_question_is_answered_again_by_every_way(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer_snippets([(DEMO, QUESTION)], url)
    answer = run_command(text_of(found, "Command line"), tmp_path, capsys)
    (by_curl,) = run_curl(text_of(found, "curl"))
    said = run_python(text_of(found, "gradio_client"))
    assert by_curl["n_best"][0]["text"] == answer["n_best"][0]["text"] and repr(answer["n_best"][0]["text"]) in said
    assert repr(answer["n_best"][0]["text"]) in run_python(
        text_of(found, "Python").replace(".best(-0.5)", ".n_best[0]")
    )


def test_a_span_head_is_asked_by_python() -> None:
    asked = AskedSpan(replace(QUESTION.request, shots=()), head="fairy-tales", threshold=60.0)
    assert "Span(" in run_python(text_of(answer_snippets([(DEMO, asked)], URL), "Python"))


TASKS = AskedTasks(("piqa", "sst2"), Options(limit=2), "samples")


def test_a_benchmark_runs_again_by_every_way(
    url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_RUNS", str(tmp_path / "kept"))
    found = benchmark_snippets([(DEMO, TASKS)], url)
    answer = run_command(text_of(found, "Command line"), tmp_path, capsys)
    with contextlib.chdir(tmp_path):
        said = run_python(text_of(found, "Python"))
    assert [run["task"] for run in answer["runs"]] == ["piqa", "sst2"]
    assert repr(answer["runs"][0]["metrics"]["acc"]["value"]) in said


def test_what_an_endpoint_can_not_be_asked_is_said() -> None:
    spec = ModelSpec("EleutherAI/gpt-j-6b", revision="float16", device_map="auto")
    found = generate_snippets([(spec, GREEDY)], URL)
    assert "# The endpoint takes no revision float16 and no device auto." in text_of(found, "curl")
    assert "--revision float16" in text_of(found, "Command line")


@pytest.mark.parametrize("text", [HOSTILE, "-leading dash", "--prompt", "", "'", "\\", "$$", "a\tb", "日本語 \u202e"])
def test_a_shell_gives_the_text_back(text: str) -> None:
    assert words_of(command("generate", [("--prompt", text)]))[-1].removeprefix("--prompt=") == text


@pytest.mark.parametrize("text", [HOSTILE, "'", "\\", "@file", "日本語"])
def test_json_in_a_shell_is_the_same_json(text: str) -> None:
    line = curl_text(Call("generate", {"prompt": text}), "http://h/a b").splitlines()[1]
    said = subprocess.run(
        ["sh", "-c", f"printf '%s' {line.strip().removeprefix('-d ').split(' | sed')[0]}"], capture_output=True
    )
    assert json.loads(said.stdout) == {"prompt": text}


def test_only_what_is_not_at_its_default_is_written() -> None:
    assert code(Generate("a")) == "Generate(prompt='a')"


REPORTS = [
    AskedReport(("float32", "bfloat16"), 4, prompt=HOSTILE),
    AskedReport(("float32", "bfloat16"), 3, text=HOSTILE),
    AskedReport(("float32", "bfloat16"), 0, task="piqa", samples=True, limit=2),
]


@pytest.mark.parametrize("asked", REPORTS)
def test_a_report_on_precisions_is_made_again_by_python_and_by_the_command_line(
    asked: AskedReport, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = precision_snippets(DEMO, asked)
    said = run_python(text_of(found, "Python"))
    answer = run_command(text_of(found, "Command line"), tmp_path, capsys)
    kl = answer["precisions"][1]["kl"]["value"]
    assert f"value={kl!r}" in said and said.startswith("float32 ")
