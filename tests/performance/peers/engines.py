"""Which engines there are, how each is started, and the side of the conversation that asks."""

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from tests.performance.checkpoints import bfloat16_folder, int8_folder
from tests.performance.machine import core_seconds
from tests.performance.peers.environment import OPENVINO_PEERS, TORCH_PEERS, Environment, python_of
from tests.performance.report import OURS

ROOT = Path(__file__).parents[3]
PEERS = Path(__file__).parent
MAKE_SECONDS, LOAD_SECONDS, ANSWER_SECONDS = 1800, 600, 900


@dataclass(frozen=True)
class Kind:
    """One engine."""

    environment: Environment
    script: str
    folder: str
    """What it serves: "bfloat16", "int8" (ours), or a folder of its own that its script makes from the first."""

    @property
    def makes_its_own(self) -> bool:
        """Whether the folder is made by the script."""
        return self.folder not in ("bfloat16", "int8")


KINDS = {
    "transformers": Kind(TORCH_PEERS, "hugging_face.py", "bfloat16"),
    "llm_int8": Kind(TORCH_PEERS, "hugging_face.py", "int8"),
    "ctranslate2": Kind(TORCH_PEERS, "ctranslate.py", "ctranslate2-int8"),
    "openvino": Kind(OPENVINO_PEERS, "optimum_openvino.py", "openvino-int8"),
    "openvino_batching": Kind(OPENVINO_PEERS, "openvino_batching.py", "openvino-int8"),
}
MAKERS = {"ctranslate2-int8": "ctranslate.py", "openvino-int8": "optimum_openvino.py"}


class Server:
    """An engine in a process of its own; it sleeps until it is asked.

    Raises:
        RuntimeError: it ended, or could not load.
    """

    def __init__(self, name: str, command: Sequence[str], environment: Mapping[str, str], log: Path):
        self.name, self._log = name, log
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("w"), env=environment, cwd=ROOT
        )
        self.facts: dict[str, Any] = self._answer(LOAD_SECONDS)

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Its answer."""
        try:
            _pipe(self._process.stdin).write(json.dumps(request).encode() + b"\n")
            _pipe(self._process.stdin).flush()
        except BrokenPipeError:
            raise RuntimeError(self._ended()) from None
        return self._answer(ANSWER_SECONDS)

    def core_seconds(self) -> float:
        """Of its process so far; 0 once it has ended."""
        return 0.0 if self._process.poll() is not None else core_seconds(self._process.pid)

    def close(self) -> None:
        """Ends it, by force where it does not end by itself."""
        with suppress(BrokenPipeError):  # a request that it never read
            _pipe(self._process.stdin).close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        _pipe(self._process.stdout).close()

    def _answer(self, seconds: float) -> dict[str, Any]:
        out = _pipe(self._process.stdout)
        ready, _, _ = select.select([out], [], [], seconds)
        if not ready:
            self._process.kill()
            raise RuntimeError(f"no answer within {seconds} s")
        line = out.readline()
        if not line:
            raise RuntimeError(self._ended())
        found: dict[str, Any] = json.loads(line)
        if "error" in found:
            raise RuntimeError(found["error"])
        return found

    def _ended(self) -> str:
        self._process.wait()
        said = self._log.read_text(errors="replace").split("\n")[-4:]
        return f"its process ended with {self._process.returncode}: {' '.join(said)}"


@dataclass
class Bench:
    """The engines that are loaded, and why others are not."""

    engines: list[Server] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)


@contextmanager
def loaded(names: Sequence[str], scratch: Path, layers: int, threads: int) -> Iterator[Bench]:
    """Ours and the named peers, loaded with one model; all end with the context.

    Raises:
        SystemExit: there is no such peer.
    """
    for name in names:
        if name not in KINDS:
            raise SystemExit(f"There is no peer {name!r}: choose from {', '.join(KINDS)}")
    bench = Bench()
    with ExitStack() as stay:
        for name in (OURS, *names):
            print(f"Loading {name} ...", flush=True)
            try:
                command = _command(name, scratch, layers, threads)
                server = Server(name, command, _environment(threads), scratch / f"{name}.log")
            except RuntimeError as error:
                bench.failed[name] = str(error)
                print(f"{name} is left out: {error}", flush=True)
                continue
            stay.callback(server.close)
            bench.engines.append(server)
        yield bench


def _command(name: str, scratch: Path, layers: int, threads: int) -> list[str]:
    """How an engine is started; makes what it needs first."""
    if name == OURS:
        module = "tests.performance.peers.ours"
        return [sys.executable, "-m", module, str(int8_folder(scratch, layers)), str(threads)]
    kind = KINDS[name]
    python = python_of(kind.environment, scratch)
    plain = bfloat16_folder(scratch, layers)
    if kind.makes_its_own:
        folder = _made(kind, python, plain, scratch / f"gptj-{layers}-{kind.folder}", threads)
    else:
        folder = plain if kind.folder == "bfloat16" else int8_folder(scratch, layers)
    return [str(python), str(PEERS / kind.script), str(folder), str(threads)]


def _made(kind: Kind, python: Path, plain: Path, folder: Path, threads: int) -> Path:
    """A peer's own folder, made in a process that leaves no memory behind."""
    if folder.exists():
        return folder
    print(f"Making {folder.name} ...", flush=True)
    pending = folder.with_name(folder.name + "-pending")
    command = [str(python), str(PEERS / MAKERS[kind.folder]), str(pending), str(threads), "--make-from", str(plain)]
    done = subprocess.run(
        command, env=_environment(threads), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        timeout=MAKE_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"could not be made from the checkpoint: {' '.join(done.stdout.splitlines()[-3:])}")
    pending.rename(folder)
    return folder


def _environment(threads: int) -> dict[str, str]:
    """As people start these programs, with a number of threads and no network.

    Nobody's way of waiting is changed: an engine that is not asked sleeps on its input, and each turn tells what the
    idle ones took of the cores.
    """
    told = {"OMP_NUM_THREADS": str(threads), "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    return {**os.environ, **told}


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ValueError("the process was started without pipes")
    return pipe
