"""From a checkpoint of any format to a new folder of another format or precision, or both."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import nn

from workbench.errors import BadCheckpoint, BadRequest, NotSaved
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.gptj.model import GPTJForCausalLM, GPTJModel
from workbench.loading.carried_heads import CarriedHeads, carry_heads
from workbench.loading.checkpoint import find_weights, open_checkpoint, read_json
from workbench.loading.config_file import CONFIG, config_values, read_config
from workbench.loading.load import Checked, check_checkpoint, load_model, save_pretrained
from workbench.loading.memory import size_text
from workbench.loading.names import LM_HEAD, LoadReport
from workbench.loading.own_head import own_kind
from workbench.loading.precision import read_float
from workbench.loading.source import SMALL_FILES
from workbench.loading.write import TensorToSave, write_json, write_weights
from workbench.loading.write_bin import write_bin
from workbench.loading.write_flax import write_flax

SAFETENSORS = "safetensors"
WRITERS: dict[str, Callable[[Path, Sequence[TensorToSave]], None]] = {
    SAFETENSORS: write_weights,
    "bin": write_bin,
    "flax": write_flax,
}
"""What can be written; every format of `formats/` can be read."""
HEADED: dict[str | None, type[nn.Module]] = {
    "classify": GPTJForSequenceClassification,
    "answer": GPTJForQuestionAnswering,
}
CPU = torch.device("cpu")


@dataclass(frozen=True)
class Converted:
    """What was written."""

    folder: Path
    source: str
    """The format that was read."""
    format: str
    precision: str
    tensors: int
    bytes: int
    """Of the tensors' values."""
    report: LoadReport
    heads: CarriedHeads


def convert(
    source: Path,
    destination: Path,
    written: str = SAFETENSORS,
    precision: str | None = None,
    config: Path | None = None,
    progress: Callable[[str], None] = lambda name: None,
) -> Converted:
    """Writes a checkpoint folder with the configuration, the weights, the tokenizer's files and heads of another one.

    Floats go through one tensor at a time; a quantised precision takes the memory of the quantised model. The folder
    appears whole or not at all. Heads beside the source go along where the new weights are the very same in float32.

    Args:
        source: a folder with weights of any format that is read.
        destination: a folder that is not there yet, or an empty one.
        written: one of WRITERS.
        precision: None keeps the source's own.
        config: a config.json in place of the source's; some formats have none.
        progress: called with each tensor's name before it is written.

    Raises:
        CannotLoad: the source is broken. BadRequest: something can't be written so, or the destination holds files.
        NotSaved: no room, or a folder that can't be written.
    """
    _check_request(destination, written)
    with _completed(source, config) as folder:
        cls, checked = _checked(folder, precision)
        source_format, _ = find_weights(folder)
        chosen = checked.chosen.precision
        if chosen.matrices is not None and written != SAFETENSORS:
            raise BadRequest(f"{chosen.name} weights are written as safetensors only; choose a float precision.")
        with _appearing(destination, sum(checked.sizes.values()) - _tied_bytes(checked)) as new:
            if chosen.matrices is not None:
                tensors, size = _write_quantised(cls, folder, new, chosen.name)
            else:
                tensors, size = _write_floats(checked, new, written, progress)
            _carry_over(folder, new)
            heads = carry_heads(folder, new)
    report = checked.matching.report
    return Converted(destination, source_format.name, written, chosen.name, tensors, size, report, heads)


def _check_request(destination: Path, written: str) -> None:
    if written not in WRITERS:
        raise BadRequest(f"format must be one of {', '.join(WRITERS)}; got {written!r}.")
    try:
        if destination.exists() and (not destination.is_dir() or any(destination.iterdir())):
            raise BadRequest(f"{destination} is there already, and nothing is overwritten. Name a new folder.")
    except OSError as error:
        raise _not_saved(destination, error) from error


@contextmanager
def _completed(source: Path, config: Path | None) -> Iterator[Path]:
    """The source with a config.json: its own folder, or one of links to its files and the configuration."""
    if config is None and (source / CONFIG).is_file():
        yield source
        return
    kind, weights = find_weights(source)
    if config is None and kind.config is None:
        reason = "the folder does not hold it, and the weights do not tell the number of heads"
        raise BadCheckpoint(CONFIG, reason, "Give the config.json of the model by --config.")
    with TemporaryDirectory(prefix="workbench-") as name:
        folder = Path(name)
        for path in source.iterdir():
            if path.name != CONFIG:
                (folder / path.name).symlink_to(path.resolve(), target_is_directory=path.is_dir())
        values = read_json(config) if config is not None else kind.config(weights) if kind.config is not None else {}
        write_json(folder / CONFIG, values)
        yield folder


def _checked(folder: Path, precision: str | None) -> tuple[type[nn.Module], Checked[nn.Module]]:
    """The class whose weights these are, and the checkpoint as one of it."""
    cls = HEADED.get(own_kind(folder))
    if cls is None:
        writes = any(name.startswith(LM_HEAD) for name in open_checkpoint(folder).tensors)
        cls = GPTJForCausalLM if writes or read_config(folder).tie_word_embeddings else GPTJModel
    checked = check_checkpoint(cls, folder, precision)
    untrained = checked.matching.report.untrained
    if untrained:
        raise BadCheckpoint(folder.name, f"tensors of its head are missing: {', '.join(untrained)}")
    return cls, checked


@contextmanager
def _appearing(destination: Path, size: int) -> Iterator[Path]:
    """A new folder that takes the destination's place at the end; what fails before leaves nothing."""
    new = destination.with_name(f".{destination.name}.{os.getpid()}.part")
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(destination.parent).free
        if size > free:
            raise NotSaved(
                f"{destination} takes {size_text(size)}, and the disk has {size_text(free)} left. Nothing was written."
            )
        new.mkdir()
        yield new
        new.rename(destination)
    except OSError as error:
        raise _not_saved(destination, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write_floats(
    checked: Checked[nn.Module], new: Path, written: str, progress: Callable[[str], None]
) -> tuple[int, int]:
    checkpoint, dtype = checked.checkpoint, checked.chosen.dtype

    def read(name: str, source: str) -> torch.Tensor:
        progress(name)
        return read_float(checkpoint, source, dtype, CPU)

    tensors = [
        TensorToSave(name, checkpoint.tensors[source].shape, dtype, partial(read, name, source))
        for name, source in checked.matching.sources.items()
    ]
    WRITERS[written](new, tensors)
    write_json(new / CONFIG, config_values(checked.model, [tensor.name for tensor in tensors]))
    return len(tensors), sum(tensor.bytes for tensor in tensors)


def _write_quantised(cls: type[nn.Module], folder: Path, new: Path, precision: str) -> tuple[int, int]:
    model, _ = load_model(cls, folder, precision, device_map="cpu")
    save_pretrained(model, new)
    tensors = open_checkpoint(new).tensors
    return len(tensors), sum(info.bytes for info in tensors.values())


def _carry_over(folder: Path, new: Path) -> None:
    """The tokenizer's and the other small files; those that describe the weights were written anew."""
    for path in sorted(folder.iterdir()):
        wanted = any(fnmatch(path.name, pattern) for pattern in SMALL_FILES)
        if wanted and path.name != CONFIG and not path.name.endswith(".index.json") and path.is_file():
            shutil.copyfile(path, new / path.name)


def _tied_bytes(checked: Checked[nn.Module]) -> int:
    return sum(checked.sizes.get(name, 0) for name in checked.tied)


def _not_saved(path: Path, error: OSError) -> NotSaved:
    return NotSaved(f"{path} can't be written ({error.strerror or error}). Nothing of it was kept.")
