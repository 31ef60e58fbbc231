"""The README's examples of the API and of the page's endpoints do what they say, as written, on a running app."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.reliability.running_app import App, running_app

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("## An API for other programs", 1)[1].split("\n## ", 1)[0]
BLOCKS = [
    (kind, code) for kind, code in re.findall(r"```(bash|python)\n(.*?)```", SECTION, re.S) if "lm_eval" not in code
]
"""lm_eval's own example asks for data sets: test_lm_eval_client and three_ways stand for it."""
SHOWS = {
    "curl http": ('"object":"text_completion"', "data: [DONE]", '"object":"list"'),
    "from openai": ("\n",),
    "from gradio_client": ("'acc'",),
    "EVENT=": ("event: complete", "data: ["),
}
"""What the answer of each example holds, by the example's beginning."""


@pytest.fixture(scope="module")
def app() -> Iterator[App]:
    with running_app(ready=True) as found:
        yield found


def test_every_example_is_known() -> None:
    assert [next(start for start in SHOWS if code.startswith(start)) for _, code in BLOCKS] == list(SHOWS)


@pytest.mark.parametrize("kind, code", BLOCKS, ids=list(SHOWS))
def test_an_example_answers_as_written(app: App, kind: str, code: str, tmp_path: Path) -> None:
    code = code.replace("http://127.0.0.1:7860", app.url)
    programs = Path(sys.executable).parent  # where `python` is the one that runs this test
    own = {**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "HF_HUB_OFFLINE": "1"}
    command = ["bash", "-euc", code] if kind == "bash" else [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-3000:]
    shows = next(shown for start, shown in SHOWS.items() if code.startswith(start))
    plain = done.stdout.replace('": ', '":')
    assert plain.strip() and all(one.replace('": ', '":') in plain for one in shows), done.stdout[-3000:]
    assert '"error"' not in plain and "event: error" not in plain
