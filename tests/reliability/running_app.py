"""app.py as a process of its own on this machine, as a Space or a server runs it."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
START_SECONDS = 120.0
"""More than a start takes, save on a machine that is busy with other things."""


@dataclass
class App:
    """A process, and where it is reached."""

    process: "subprocess.Popen[str]"
    url: str
    home: Path
    """Where its temporary folder, its runs, its heads and its log are."""
    client: httpx.Client

    @property
    def log(self) -> str:
        """What it wrote so far."""
        return (self.home / "log").read_text(encoding="utf-8", errors="replace")

    def stop(self, number: int = signal.SIGTERM, patience_seconds: float = 60.0) -> tuple[int, float]:
        """Asks it to end; gives its exit status and the seconds it took.

        Raises:
            TimeoutError: it does not end.
        """
        began = time.monotonic()
        self.process.send_signal(number)
        try:
            status = self.process.wait(patience_seconds)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the app still runs {patience_seconds:g} s after its signal") from None
        return status, time.monotonic() - began


@contextmanager
def running_app(ready: bool = False, program: Sequence[str] = ("app.py",), **variables: str) -> Iterator[App]:
    """The app on a free port; it has ended afterwards, however.

    Args:
        ready: waits until its model decodes tokens, not only until it listens.
        program: what Python runs, in the repository's folder.
        variables: of its environment.
    """
    with socket.socket() as free, tempfile.TemporaryDirectory() as home:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        own = {
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            "GRADIO_TEMP_DIR": f"{home}/temporary",
            "WORKBENCH_RUNS": f"{home}/runs",
            "WORKBENCH_HEADS": f"{home}/heads",
            "HF_HUB_OFFLINE": "1",
            "OMP_NUM_THREADS": "1",
            **variables,
        }
        with open(f"{home}/log", "w+", encoding="utf-8") as log:
            process = subprocess.Popen(
                [sys.executable, *program], cwd=ROOT, env={**os.environ, **own}, stdout=log, stderr=log, text=True
            )
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False) as client:
                app = App(process, f"http://127.0.0.1:{port}", Path(home), client)
                try:
                    _wait(app, "/readyz" if ready else "/healthz")
                    yield app
                finally:
                    if process.poll() is None:
                        process.kill()
                        process.wait()


def _wait(app: App, path: str) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if app.process.poll() is not None:
            break
        try:
            if app.client.get(path).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(f"the app did not come up: {app.log[-2000:]}")
