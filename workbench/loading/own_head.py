"""Checkpoints that end in a trained head in place of a language-model head."""

from pathlib import Path

from workbench.gptj.config import GPTJConfig
from workbench.loading.checkpoint import open_checkpoint
from workbench.loading.config_file import read_config
from workbench.loading.head_card import HEAD_FILE, HeadCard, read_card_file
from workbench.loading.names import LM_HEAD
from workbench.loading.source import holds_weights

OWN = "own"
"""Name and key of such a head."""
KINDS = {"GPTJForSequenceClassification": "classify", "GPTJForQuestionAnswering": "answer"}
WEIGHTS = {"classify": "score.weight", "answer": "qa_outputs.weight"}


def own_kind(folder: Path) -> str | None:
    """The kind of head that a checkpoint ends in: "classify", "answer", or None for a language-model head.

    The weights tell, and config.json's `architectures` where they hold both or are still on the Hub.

    Raises:
        BadCheckpoint: config.json or the weights can't be read.
    """
    named = read_config(folder).extra.get("architectures")
    declared = KINDS.get(str(named[0])) if isinstance(named, list) and named else None
    if not holds_weights(folder):
        return declared
    tensors = open_checkpoint(folder).tensors
    held = [kind for kind, weight in WEIGHTS.items() if weight in tensors]
    if declared in held:
        return declared
    return held[0] if len(held) == 1 and not named and not any(name.startswith(LM_HEAD) for name in tensors) else None


def own_card(folder: Path, kind: str, fingerprint: str) -> HeadCard:
    """The card of a checkpoint's own head: from head.json where training left one, else from config.json."""
    config = read_config(folder)
    if (folder / HEAD_FILE).is_file():
        card = read_card_file(folder)
        if card.kind == kind and card.outputs == config.num_labels:
            return _own(card, fingerprint)
    problem = None
    if kind == "classify":
        problem = config.problem_type or ("regression" if config.num_labels == 1 else "single_label_classification")
    labels = _labels(config) if problem not in (None, "regression") else ()
    return _own(HeadCard(OWN, kind, labels, problem, "full", fingerprint, folder.name), fingerprint)


def _own(card: HeadCard, fingerprint: str) -> HeadCard:
    values = {"name": OWN, "trunk": fingerprint, "folder": None, "key": OWN}
    return HeadCard(**{**vars(card), **values})


def _labels(config: GPTJConfig) -> tuple[str, ...]:
    """The labels that config.json names, if they are as many as the outputs and all different."""
    named = config.extra.get("id2label")
    numbers = [str(number) for number in range(config.num_labels)]
    if isinstance(named, dict) and all(isinstance(named.get(number), str) for number in numbers):
        labels = tuple(named[number] for number in numbers)
        if len(set(labels)) == len(labels):
            return labels
    return tuple(f"LABEL_{number}" for number in numbers)
