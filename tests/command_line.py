"""The command line, called in this process."""

import json
from typing import Any

import pytest

from workbench.cli import main


def asked(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    """The JSON document a command prints, strictly read."""
    status = main([*arguments, "--json"])
    shown = capsys.readouterr()
    assert status == 0, shown.err
    return json.loads(shown.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The message of a command with bad input: on standard error alone, and no traceback."""
    assert main(list(arguments)) == 2
    shown = capsys.readouterr()
    assert shown.out == "" and "Traceback" not in shown.err
    return shown.err
