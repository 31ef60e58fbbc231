"""What all tests share: no Hub, no telemetry, nothing written outside a temporary folder."""

import os
import tempfile
from collections.abc import Iterator

SCRATCH = tempfile.mkdtemp(prefix="workbench-tests-")
# Read by the libraries when they are imported, hence set before any of them is.
os.environ.update(
    HF_HUB_OFFLINE="1",
    HF_HUB_DISABLE_TELEMETRY="1",
    HF_HOME=f"{SCRATCH}/huggingface",
    GRADIO_ANALYTICS_ENABLED="False",
    GRADIO_TEMP_DIR=f"{SCRATCH}/gradio",
    TOKENIZERS_PARALLELISM="false",
)

import pytest  # noqa: E402
import torch  # noqa: E402


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One thread while a test runs: its models are too small to share, and on busy cores sharing is slow."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
