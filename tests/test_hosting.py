"""What a Space and Docker read: they start what is here, as the user they allow, and ask the check that there is."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.guard.routes import route_of

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
WITH_A_SPACE = ["gradio[oauth,mcp]>=6.31,<7", "uvicorn>=0.14.0", "websockets>=10.4", "spaces"]
"""What a Gradio Space installs beside our requirements."""


def front_matter() -> dict[str, str]:
    """The plain keys of the block at the README's top."""
    block = (ROOT / "README.md").read_text(encoding="utf-8").split("---\n")[1]
    return dict(re.findall(r"^(\w+): (.+)$", block, re.MULTILINE))


def test_a_space_starts_a_file_that_there_is_with_a_python_that_we_support() -> None:
    told = front_matter()
    assert told["sdk"] == "gradio" and (ROOT / told["app_file"]).exists()
    assert told["python_version"].strip('"') in ("3.11", "3.12")
    assert f"FROM python:{told['python_version'].strip(chr(34))}-" in DOCKERFILE


def test_the_image_runs_as_the_user_that_spaces_allow_on_their_port() -> None:
    assert "--uid 1000" in DOCKERFILE and "\nUSER user\n" in DOCKERFILE and "GRADIO_SERVER_PORT=7860" in DOCKERFILE
    assert DOCKERFILE.index("USER user") < DOCKERFILE.index("pip install")


def test_the_images_health_check_asks_a_path_that_the_guard_lets_pass() -> None:
    path = re.search(r"http://127\.0\.0\.1:7860(/\w+)", DOCKERFILE)
    assert path is not None
    route = route_of("GET", path[1])
    assert route is not None and route.kind == "health"


def test_everything_the_image_copies_is_there() -> None:
    for line in re.findall(r"^COPY --chown=user (.*)$", DOCKERFILE, re.MULTILINE):
        for name in line.split()[:-1]:
            assert (ROOT / name).exists(), name


def test_what_is_not_to_be_installed_below_its_safe_version_is_not() -> None:
    required = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    floors = {
        name: (int(major), int(minor)) for name, major, minor in re.findall(r"^(\w+)>=(\d+)\.(\d+)", required, re.M)
    }
    assert floors["torch"] >= (2, 10), "CVE-2026-24747"
    assert floors["gradio"] >= (6, 20), "CVE-2026-59806"
    assert all(re.match(r"\w+>=", line) for line in required.splitlines() if not line.startswith("#"))


def resolved(version: str, folder: Path, *asked: str) -> subprocess.CompletedProcess[str]:
    """What pip makes of the packages asked for, on a machine with nothing installed; it downloads no package."""
    fresh = ("--dry-run", "-q", "--ignore-installed", "--only-binary=:all:", "--python-version", version)
    command = [sys.executable, "-m", "pip", "install", *fresh, "--target", str(folder), *asked]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Nothing to resolve against where the package index does not even know a package that a Space adds."""
    probe = resolved("3.11", tmp_path_factory.mktemp("probe"), "--no-deps", "spaces")
    if probe.returncode:
        pytest.skip(f"the package index can't be asked: {probe.stderr[-200:]}")


@pytest.mark.usefixtures("index")
@pytest.mark.skipif("RESOLVE" not in os.environ, reason="asks the package index for minutes: set RESOLVE=1")
@pytest.mark.parametrize("version", ["3.11", "3.12"])
def test_the_requirements_resolve_with_what_a_space_adds(version: str, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    ended = resolved(version, tmp_path, "--report", str(report), "-r", str(ROOT / "requirements.txt"), *WITH_A_SPACE)
    assert ended.returncode == 0, ended.stderr[-2000:]
    names = {one["metadata"]["name"].lower() for one in json.loads(report.read_text())["install"]}
    assert {"torch", "gradio", "spaces"} <= names
