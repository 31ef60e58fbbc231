"""Which checkpoint tensor becomes which parameter, and the readable report of what was left over."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from workbench.errors import BadCheckpoint
from workbench.loading.checkpoint import TensorInfo

PREFIX = "transformer."
LM_HEAD = "lm_head."
NEW_HEADS = ("score.", "qa_outputs.")
"""Heads that may be missing: they are made fresh, and have to be trained."""
HEADS = (LM_HEAD, *NEW_HEADS)
BUFFERS = re.compile(r"(^|\.)attn\.(bias|masked_bias|embed_positions|rotary_emb\.inv_freq|inv_freq|sin|cos)$")
"""Tables that older versions kept in their checkpoints and that are computed here."""
BLOCK = re.compile(r"(?:^|\.)h\.(\d+)\.")
SHOWN = 8


@dataclass(frozen=True)
class LoadReport:
    """What of a checkpoint was not used, and what of the model it did not hold."""

    dropped: tuple[str, ...] = ()
    """Tensors that this model does not need: old buffers, another task's head."""
    missing: tuple[str, ...] = ()
    """Parameters that the checkpoint lacks and that are filled another way (tied to the embedding)."""
    unexpected: tuple[str, ...] = ()
    """Tensors under names that no GPT-J has."""
    untrained: tuple[str, ...] = ()
    """Parameters of a new head: random, to be trained before use."""

    def __str__(self) -> str:
        parts = [
            ("untrained, made fresh; train them before use", self.untrained),
            ("missing, shared with another tensor", self.missing),
            ("not used by this model", self.dropped),
            ("unknown, not used", self.unexpected),
        ]
        lines = [f"{len(names)} {what}: {_listed(names)}" for what, names in parts if names]
        return "\n".join(lines) if lines else "Every tensor of the checkpoint found its place."


@dataclass(frozen=True)
class Matching:
    """The parameters' sources: a parameter's name -> its tensor's name in the checkpoint."""

    sources: Mapping[str, str] = field(default_factory=dict)
    report: LoadReport = field(default_factory=LoadReport)


def match(
    parameters: Collection[str],
    tied: Collection[str],
    tensors: Mapping[str, TensorInfo],
    companions: Callable[[str], Collection[str]],
    weights_file: str,
) -> Matching:
    """Finds the tensor of each parameter, between a bare trunk and a model with a head too, in either direction.

    Args:
        parameters: the model's parameter names.
        tied: parameters that share another one's values.
        companions: further tensors that a checkpoint tensor of this name comes with (a quantised matrix's scales).
        weights_file: named when a tensor is missing.

    Raises:
        BadCheckpoint: parameters of the trunk are missing, or the checkpoint has more blocks than the model.
    """
    found = _translated(parameters, tensors)
    sources = {name: found[name] for name in parameters if name in found and name not in tied}
    missing = [name for name in parameters if name not in found and name not in tied]
    untrained = tuple(name for name in missing if name.startswith(NEW_HEADS))
    _refuse_missing([name for name in missing if name not in untrained], weights_file)
    used = set(sources.values())
    used.update(extra for source in sources.values() for extra in companions(source))
    left = [name for name in tensors if name not in used]
    dropped = tuple(name for name in left if _is_known_surplus(name, found, tied))
    unexpected = tuple(name for name in left if name not in dropped)
    _refuse_more_blocks(parameters, unexpected)
    return Matching(
        sources, LoadReport(dropped, tuple(name for name in tied if name not in found), unexpected, untrained)
    )


def _translated(parameters: Collection[str], tensors: Collection[str]) -> dict[str, str]:
    """The checkpoint's names under the model's own prefix: {as the model calls it: as the checkpoint calls it}."""
    model_has_prefix = any(name.startswith(PREFIX) for name in parameters)
    file_has_prefix = any(name.startswith(PREFIX) for name in tensors)
    if model_has_prefix == file_has_prefix:
        return {name: name for name in tensors}
    if file_has_prefix:
        return {name.removeprefix(PREFIX): name for name in tensors if name.startswith(PREFIX)}
    return {name if name.startswith(HEADS) else PREFIX + name: name for name in tensors}


def _is_known_surplus(name: str, found: Mapping[str, str], tied: Collection[str]) -> bool:
    return bool(BUFFERS.search(name)) or name.startswith(HEADS) or any(found.get(other) == name for other in tied)


def _refuse_missing(missing: list[str], weights_file: str) -> None:
    if not missing:
        return
    hint = "Is it a whole GPT-J checkpoint, and does config.json belong to it?"
    if all(name.startswith(LM_HEAD) for name in missing):
        hint = (
            "It seems to be a trunk without a language-model head: load it with GPTJModel or a class with a new head."
        )
    raise BadCheckpoint(weights_file, f"{len(missing)} tensors of the model are missing: {_listed(missing)}", hint)


def _refuse_more_blocks(parameters: Collection[str], unexpected: Collection[str]) -> None:
    blocks = {int(found.group(1)) for name in parameters if (found := BLOCK.search(name))}
    for name in unexpected:
        found = BLOCK.search(name)
        if found and int(found.group(1)) not in blocks:
            reason = f"n_layer is {len(blocks)}, and the weights hold a further block's {name!r}"
            raise BadCheckpoint("config.json", reason, "Take the config.json that belongs to these weights.")


def _listed(names: Collection[str]) -> str:
    shown = ", ".join(list(names)[:SHOWN])
    return shown + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
