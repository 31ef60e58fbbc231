"""What all tests share: no Hub, no telemetry, nothing written outside a temporary folder."""

import os
import tempfile

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
