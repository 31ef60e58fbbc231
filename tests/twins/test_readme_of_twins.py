"""The README's lines for the twins run as they are written, against the demo model."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
NEEDS = {"flax_gptj": ("jax", "flax"), "tf_gptj": ("tensorflow", "keras")}


def lines_for(module: str) -> str:
    """The one block of Python that imports this twin."""
    section = (
        (ROOT / "README.md")
        .read_text(encoding="utf-8")
        .split("## GPT-J in JAX and TensorFlow", 1)[1]
        .split("\n## ", 1)[0]
    )
    (block,) = [block for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL) if module in block]
    return block


@pytest.mark.parametrize("module", NEEDS)
def test_the_readmes_lines_run(
    module: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for package in NEEDS[module]:
        pytest.importorskip(package, reason="python -m tests.twins installs it")
    monkeypatch.chdir(ROOT)
    exec(lines_for(module), {})
    assert "Once upon a time" in capsys.readouterr().out
