"""Runs the twins' tests in an environment of their own: `python -m tests.twins`.

JAX, Flax, TensorFlow and Keras go into a virtual environment in a temporary folder, which is removed at the end.
"""

import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
INSTALLS = (
    ("torch==2.13.0",),  # first, and pinned, so that the wheel for CPUs is taken where the index has one
    ("jax", "flax", "tensorflow-cpu", "keras"),
    ("accelerate>=1.15", "huggingface_hub>=1.31", "psutil>=6", "tokenizers", "pytest>=9"),
)
QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "tensorflow"}


def main(arguments: list[str]) -> int:
    """Installs, then tests; the arguments are pytest's. Returns its exit status."""
    with tempfile.TemporaryDirectory(prefix="workbench-twins-") as name:
        venv.create(name, with_pip=True)
        python = Path(name) / ("Scripts" if os.name == "nt" else "bin") / "python"
        for packages in INSTALLS:
            print("installing", *packages, flush=True)
            subprocess.run([python, "-m", "pip", "install", "-q", *packages], check=True)
        command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/twins", *arguments]
        return subprocess.run(command, cwd=ROOT, env={**os.environ, **QUIET}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
