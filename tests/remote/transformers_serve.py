"""The remote side against a server that others wrote, run by hand: python -m tests.remote.transformers_serve

Starts `transformers serve` (of the package transformers[serving]) on the CPU with the tests' tiny GPT-J, asks it
through the workbench and compares with the same model in memory. It takes texts alone and tells no log-probabilities,
which is the least that a server of OpenAI's completions can do.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx

from tests.evals.lm_eval_parity.tiny_model import our_model
from tests.remote.far import CONTEXT_TOKENS, asking, tiny_folder
from workbench.engine.jobs import Sampling
from workbench.errors import BadRequest
from workbench.text.language_model import LanguageModel
from workbench.text.requests import Generate, LogLikelihood

PROMPTS = ("Once upon a time", "The sky is blue and", "She said that the", "In the year 1850", "Mary went to the")
PATIENCE_SECONDS = 300.0


def main() -> None:
    """Compares, and says what was found; an exception where the two differ."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--port", type=int, default=8765)
    options.add_argument("--command", default=str(Path(sys.executable).with_name("transformers")))
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = tiny_folder(Path(scratch) / "tiny")
        address = f"http://127.0.0.1:{asked.port}/v1#{folder}"
        with serving(asked.command, folder, asked.port), asking(address, folder, seconds=120.0) as there:
            here = our_model(CONTEXT_TOKENS)
            with closing(here.engine):
                compare(here, there)


@contextmanager
def serving(command: str, folder: Path, port: int) -> Iterator[None]:
    """The server, until it answers; it ends with the context."""
    arguments = [command, "serve", str(folder), "--port", str(port), "--host", "127.0.0.1", "--device", "cpu"]
    process = subprocess.Popen(arguments)
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the server did not start")
            time.sleep(1.0)
        yield
    finally:
        process.terminate()
        process.wait()


def answers(port: int) -> bool:
    """Whether anything is served there."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}/health", timeout=5.0).status_code < 500
    except httpx.HTTPError:
        return False


def compare(here: LanguageModel, there: LanguageModel) -> None:
    """Greedy texts, how they stream, and what is refused."""
    same, snapshots = 0, set()
    for prompt in PROMPTS:
        request = Generate(prompt, max_new_tokens=24, sampling=Sampling(temperature=0), lookup=False)
        for snapshot in there.stream(request):
            snapshots.add((prompt, snapshot.text))
        # Half a character at a text's end is shown here, and held back there.
        far, near = (model.generate(request).text.rstrip("\N{REPLACEMENT CHARACTER}") for model in (there, here))
        same += far == near
        if far != near:
            print(f"there {far!r}\nhere  {near!r}")
    print(f"{same} of {len(PROMPTS)} greedy texts are those of the model in memory, in {len(snapshots)} snapshots")
    try:
        there.loglikelihoods([LogLikelihood("The sky is", " blue")])
    except BadRequest as error:
        print(f"scoring is refused: {error}")
    if same < len(PROMPTS):
        raise SystemExit("the texts differ")


if __name__ == "__main__":
    main()
