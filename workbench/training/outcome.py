"""What a training run leaves: a head's folder, or for full fine-tuning a checkpoint with the head in it."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench.errors import BadRequest
from workbench.gptj.config import GPTJConfig
from workbench.gptj.lora import Adapter
from workbench.loading.config_file import CONFIG, empty_model
from workbench.loading.head_card import HEAD_FILE, HeadCard, read_card_file, write_card
from workbench.loading.head_folder import check_head_folder, check_place
from workbench.loading.head_readme import README, readme
from workbench.loading.heads import save_head, trunk_fingerprint
from workbench.loading.load import save_pretrained
from workbench.published import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.text.tokenizer import Tokenizer
from workbench.training.state import BEST_FILE, STATE_FILE, shards_folder

STOPPED = "stopped"
"""Among a card's settings: at which step somebody stopped the run."""
TRUNK, HEAD, ADAPTER = "trunk.", "head.", "adapter."
"""How the names of a network's weights begin."""


FEW_ROWS = 30
"""Of fewer rows, a share has a standard error of up to 9 percent points and more."""


@dataclass(frozen=True)
class Trained:
    """What came out of a training run."""

    folder: Path
    card: HeadCard
    metrics: dict[str, float]
    """Of validation, by the weights that were kept; empty where no rows validate."""
    seconds: float
    stopped_at: int | None = None
    """The step, where somebody stopped the run."""


def doubt(card: HeadCard) -> str:
    """A sentence where so few rows validated a head that its figures say little; else empty."""
    rows = card.data.get("validation_rows")
    if not card.metrics or not isinstance(rows, int) or rows >= FEW_ROWS:
        return ""
    validated = "Only 1 row" if rows == 1 else f"Only {rows} rows"
    return f"{validated} validated it, so its figures may be far off: give it more rows, or a larger validation file."


@dataclass(frozen=True)
class Result:
    """What a run learned, before it is written."""

    learned: Mapping[str, Tensor]
    """Weights by their names in the network."""
    metrics: dict[str, float]
    facts: dict[str, Any]
    """For the card: what was found out on the way."""
    seconds: float
    stopped_at: int | None


@dataclass(frozen=True)
class Base:
    """The checkpoint whose trunk is trained on."""

    name: str
    folder: Path
    config: GPTJConfig
    tokenizer: Tokenizer
    fingerprint: str
    dtype: torch.dtype
    """Of its float weights."""


def check_folder(folder: Path, method: str) -> None:
    """Refuses a folder that the result can't be written to, or in which something would be lost.

    Raises:
        BadRequest: see `check_head_folder`; or it holds a result of another kind.
    """
    check_place(folder)
    full, holds_head = method == "full", (folder / HEAD_FILE).exists()
    # A whole model is written file by file, and a kill amid that leaves its training's state beside some of them.
    if (holds_head and (folder / CONFIG).exists()) or (full and (folder / STATE_FILE).exists()):
        if not full:
            raise BadRequest(f"{folder} holds a whole fine-tuned model, and method {method} writes a head alone. "
                             "Choose a new folder.")  # fmt: skip
        return _check_unfinished(folder, method)
    check_head_folder(folder)
    if full and holds_head:
        raise BadRequest(f"{folder} holds a head, and method {method} writes a whole model. Choose a new folder.")
    _check_unfinished(folder, method)


def _check_unfinished(folder: Path, method: str) -> None:
    """Refuses to train over what is finished, or over what another method has begun."""
    if not (folder / HEAD_FILE).exists():
        return
    begun = read_card_file(folder)
    # A stopped probe leaves no state, but says in its card that it was stopped.
    if not (folder / STATE_FILE).exists() and STOPPED not in begun.settings:
        raise BadRequest(f"{folder} holds a finished result, which training would replace. "
                         "Choose a new name, or delete it first.")  # fmt: skip
    if begun.method != method:
        raise BadRequest(f"{folder} holds a training with method {begun.method} that was stopped, and method {method} "
                         f"would replace it. Go on with {begun.method}, or choose a new name.")  # fmt: skip


def save_outcome(base: Base, card: HeadCard, learned: Mapping[str, Tensor], adapter: Adapter | None,
                 folder: Path, dtype: torch.dtype) -> HeadCard:  # fmt: skip
    """Writes what was learned; gives the card as it stands in the folder.

    Args:
        learned: weights by their names in the network.
        adapter: of the shape that was trained; its weights are replaced.
        dtype: of the checkpoint that full fine-tuning writes.
    """
    if card.method == "full":
        return _save_checkpoint(base, card, learned, folder, dtype)
    head = _head(learned, card)
    if adapter is not None:
        adapter.load_state_dict({name.removeprefix(ADAPTER): value for name, value in learned.items()
                                 if name.startswith(ADAPTER)})  # fmt: skip
    save_head(folder, card, head, adapter)
    return card


def forget_state(folder: Path) -> None:
    """Takes away what only an unfinished run needs; the log stays."""
    for name in (STATE_FILE, BEST_FILE):
        (folder / name).unlink(missing_ok=True)
    shutil.rmtree(shards_folder(folder), ignore_errors=True)


def _head(learned: Mapping[str, Tensor], card: HeadCard) -> nn.Linear:
    weight = learned[f"{HEAD}weight"]
    head = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], bias=card.kind == "answer")
    with torch.no_grad():
        head.weight.copy_(weight)
        if head.bias is not None:
            head.bias.zero_()  # as it was in training
    return head


def _save_checkpoint(base: Base, card: HeadCard, learned: Mapping[str, Tensor], folder: Path,
                     dtype: torch.dtype) -> HeadCard:  # fmt: skip
    """A folder that `from_pretrained` of the published class reads."""
    names = {str(number): label for number, label in enumerate(card.labels)}
    labels = {} if card.kind == "answer" else {"id2label": names, "label2id": {b: int(a) for a, b in names.items()}}
    config = replace(base.config, num_labels=card.outputs, problem_type=card.problem,
                     extra={**base.config.extra, **labels})  # fmt: skip
    model = empty_model(GPTJForSequenceClassification if card.kind == "classify" else GPTJForQuestionAnswering, config)
    head = {f"{card.module_name}.{name}": value for name, value in _head(learned, card).state_dict().items()}
    trunk = {name.replace(TRUNK, "transformer.", 1): v for name, v in learned.items() if name.startswith(TRUNK)}
    for name, value in {**trunk, **head}.items():
        owner, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(owner), attribute, nn.Parameter(value.to(dtype), requires_grad=False))
    (folder / HEAD_FILE).unlink(missing_ok=True)  # whoever looks in the meantime finds no finished head
    save_pretrained(model, folder)
    base.tokenizer.save(folder)
    card = replace(card, trunk=trunk_fingerprint(folder), trunk_name=folder.name)
    (folder / README).write_text(readme(card), encoding="utf-8")
    write_card(folder, card)
    return card
