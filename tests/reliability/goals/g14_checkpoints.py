"""G14: a checkpoint that is broken, foreign or hostile is named as such, runs nothing, and costs next to nothing."""

import random
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from tests.loading.formats.test_safetensors import HEADERS, write
from tests.loading.formats.test_torch_bin import NOT_PLAIN, Evil
from tests.loading.test_bad_checkpoints import CASES
from tests.loading.tiny import logits, tiny_model, write_bin, write_config, write_legacy_bin
from tests.reliability.goal import Goal, Mutant, Outcome
from workbench.errors import WorkbenchError
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading.formats import torch_bin
from workbench.loading.load import from_pretrained, save_pretrained

MOST_SECONDS, MOST_BYTES = 5.0, 64 * 2**20
CANARY = "canary"
"""A file that only code from a checkpoint would make."""
WTE = "transformer.wte.weight"
FILES = ("model.safetensors", "pytorch_model.bin")
Make = Callable[[Path], None]


def check(size: int, seed: int) -> Outcome:
    """So many folders, of all kinds in turn; a good model answers before and after."""
    failures: list[str] = []
    refused = loaded = 0
    with tempfile.TemporaryDirectory() as scratch:
        save_pretrained(tiny_model(), Path(scratch, "good"))
        model = from_pretrained(GPTJForCausalLM, Path(scratch, "good"))
        before = logits(model)
        for number, (name, make, must_fail) in zip(range(size), _cases(random.Random(seed)), strict=False):
            folder = Path(scratch, str(number), "checkpoint")
            folder.mkdir(parents=True)
            make(folder)
            was_refused, said = _tried(folder, must_fail)
            refused, loaded = refused + was_refused, loaded + (not was_refused)
            failures += [f"{name}: {said}"] if said else []
        if not torch.equal(logits(model), before):
            failures.append("the model that was loaded before answers otherwise")
    level = (
        f"{refused + loaded:,} folders: {refused} refused by name and reason, {loaded} with a changed number loaded; "
        f"{len(failures)} other errors, code runs, loads over {MOST_SECONDS:g} s or {MOST_BYTES >> 20} MiB"
    )
    return Outcome(level, {"folders": refused + loaded, "refused": refused, "loaded": loaded}, tuple(failures))


def _tried(folder: Path, must_fail: bool) -> tuple[bool, str]:
    """Whether a folder was refused, and what was wrong with the way."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins again
    resident, began, said, refused = _resident("VmRSS"), time.process_time(), "", False
    try:
        from_pretrained(GPTJForCausalLM, folder)
        said = "it was loaded" if must_fail else ""
    except WorkbenchError as error:
        refused = True
        said = "the error says nothing" if len(str(error)) < 10 else ""
    except Exception as error:
        said = repr(error)[:200]
    grown, seconds = _resident("VmHWM") - resident, time.process_time() - began
    if list(folder.parent.rglob(CANARY)):
        said = "code of the checkpoint ran"
    if seconds > MOST_SECONDS or grown > MOST_BYTES:
        said = said or f"{seconds:.1f} s and {grown / 2**20:.0f} MiB"
    return refused, said


def _resident(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field)) * 1024


def _cases(rng: random.Random) -> Iterator[tuple[str, Make, bool]]:
    """Cases without end: the listed ones in turn, and between them files that are cut or changed at random."""
    listed: list[tuple[str, Make]] = [
        *_pickles(),
        *((f"header, {name}", _header(header)) for name, header in HEADERS.items()),
        *((name, make) for name, (make, _) in CASES.items()),
    ]
    rng.shuffle(listed)
    while True:
        if listed:
            yield (*listed.pop(), True)
        yield "cut", _cut(rng), True
        yield "bits flipped", _flipped(rng), False


def _pickles() -> list[tuple[str, Make]]:
    def evil(options: dict[str, Any]) -> Make:
        return lambda folder: _bin(folder, Evil(folder / CANARY), **options)

    bomb = torch.zeros(1).expand(2**17, 2**17)
    return [
        ("code in a pickle", evil({})),
        ("code in an old pickle", evil({"_use_new_zipfile_serialization": False})),
        ("a tensor larger than its file", lambda folder: _bin(folder, bomb)),
        *((f"pickled, {name}", lambda folder, value=value: _bin(folder, value())) for name, value in NOT_PLAIN.items()),  # type: ignore[misc]
    ]


def _bin(folder: Path, value: object, **options: Any) -> None:
    """A checkpoint one of whose tensors is something else."""
    write_config(tiny_model().config, folder)
    torch.save({**tiny_model().state_dict(), WTE: value}, folder / "pytorch_model.bin", **options)


def _header(header: dict[str, object] | str) -> Make:
    def make(folder: Path) -> None:
        write_config(tiny_model().config, folder)
        write(folder / "model.safetensors", header)

    return make


def _whole(folder: Path, rng: random.Random) -> tuple[Path, bytes]:
    """A good checkpoint in one of the forms, and its file's content."""
    forms: Sequence[Callable[[Any, Path], None]] = (save_pretrained, write_bin, write_legacy_bin)
    form = rng.choice(forms)
    form(tiny_model(), folder)
    (path,) = (folder / name for name in FILES if (folder / name).exists())
    return path, path.read_bytes()


def _cut(rng: random.Random) -> Make:
    def make(folder: Path) -> None:
        path, data = _whole(folder, rng)
        path.write_bytes(data[: rng.choice((rng.randrange(len(data)), rng.randrange(2000)))])

    return make


def _flipped(rng: random.Random) -> Make:
    def make(folder: Path) -> None:
        path, data = _whole(folder, rng)
        changed = bytearray(data)
        bound = rng.choice((len(data), 3000))  # half of the changes fall where the description lies
        for _ in range(rng.choice((1, 1, 3))):
            changed[rng.randrange(bound)] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(changed))

    return make


def trusting() -> AbstractContextManager[object]:
    """Pickles may ask for anything."""
    load = torch.load

    def anything(*arguments: Any, **named: Any) -> Any:
        return load(*arguments, **{**named, "weights_only": False})

    return mock.patch.object(torch_bin.torch, "load", anything)


def unlooked_at() -> AbstractContextManager[object]:
    """Values are taken as they are."""
    return mock.patch("workbench.loading.precision.finite", lambda piece, dtype, info: piece.to(dtype))


GOAL = Goal(
    name="G14",
    promise="A checkpoint that is broken, half-downloaded or hostile is named with its file and why, and runs nothing",
    peer="safetensors: a fuzzing target and an audit of its own format; vLLM: CVE-2025-62164",
    unit="checkpoints",
    short=120,
    full=250,
    check=check,
    mutants=(
        Mutant("pickles may run code", trusting, 200),
        Mutant("values are not looked at", unlooked_at, 200),
    ),
)
