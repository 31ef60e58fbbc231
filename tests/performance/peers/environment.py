"""The peers' own environments: made once in the scratch folder, so that nothing of them reaches the workbench's."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TORCH = "torch==2.13.0"


@dataclass(frozen=True)
class Environment:
    """Packages that work together."""

    name: str
    packages: tuple[str, ...]
    unwanted: tuple[str, ...] = ()
    """What the packages bring along and must not stay."""


TORCH_PEERS = Environment(
    "torch-peers",
    (
        "transformers==5.23.0", "accelerate==1.15.0", "bitsandbytes==0.50.2", "ctranslate2==4.8.5",
        "sentencepiece==0.2.3",
    ),
)  # fmt: skip
OPENVINO_PEERS = Environment(
    "openvino-peers",
    (
        "optimum-intel==2.2.0", "openvino==2026.4.1", "openvino-genai==2026.4.1.0", "nncf==3.4.0",
        "transformers==5.5.4",  # the newest that this optimum-intel takes
    ),
    unwanted=("torchvision",),  # optimum-intel requires it and then can't be imported beside it
)  # fmt: skip
LM_EVAL = Environment(
    "lm-eval-peer",
    # It also runs our tasks' own code, for the very same requests.
    ("lm_eval==0.4.13", "transformers==5.23.0", "accelerate==1.15.0", "psutil>=6"),
)


def python_of(environment: Environment, scratch: Path) -> Path:
    """The environment's Python; installs it unless it stands there with these very packages.

    Raises:
        RuntimeError: a package can't be installed.
    """
    folder = scratch / environment.name
    python, made = folder / "bin" / "python", folder / "made.json"
    wanted = json.dumps([TORCH, environment.packages, environment.unwanted])
    if made.exists() and made.read_text() == wanted:
        return python
    print(f"Installing {environment.name} ({', '.join(environment.packages)}) ...", flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(folder))
    # Torch alone first: the others would take a build for another device, or a newer one.
    _run(str(python), "-m", "pip", "install", "--quiet", TORCH)
    _run(str(python), "-m", "pip", "install", "--quiet", TORCH, *environment.packages)
    if environment.unwanted:
        _run(str(python), "-m", "pip", "uninstall", "--quiet", "--yes", *environment.unwanted)
    made.write_text(wanted)
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line and not line.startswith("WARNING")]
        raise RuntimeError(f"{' '.join(command[1:6])} ... failed: {' '.join(lines[-3:])}")
