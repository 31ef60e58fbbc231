"""What the training of a head is asked for; the command line and the page are built from these fields."""

import math
from dataclasses import dataclass
from pathlib import Path

from workbench.engine.jobs import check_whole
from workbench.errors import BadRequest
from workbench.loading.precision import named
from workbench.training.options import option, several
from workbench.training.pretrain import LARGEST_SEED

METHODS = ("probe", "head", "lora", "full")
"""From cheap to dear: a head on features computed once; a head over the frozen trunk; with LoRA; everything."""
OPTIMIZERS = ("adamw", "adamw8bit")
PROBLEMS = ("single_label_classification", "multi_label_classification", "regression")
LARGEST_COUNT = 2**20


@dataclass(frozen=True, kw_only=True)
class TrainHead:
    """What both kinds of head are asked for.

    Raises:
        BadRequest: a value out of its range; the message names the field.
    """

    data: str = option("the rows to train on", str)
    out: str = option("the folder to write the head to; give it again to go on after a stop", str)
    validation: str | None = option("a file of rows that are never trained on", str, None)
    validation_share: float = option("without such a file: the share of the rows kept back; 0 for none", float, 0.1)
    model: str = option('"demo", "demo-small", a folder or a Hub id', str, "demo")
    precision: str | None = option(
        "how the trunk is held; with method full, what is computed in (float32 or bfloat16)", str, None
    )
    method: str = option("probe, head, lora or full", str, "probe", METHODS)
    epochs: float = option("passes over the rows; not used by a classification probe", float, 3.0)
    batch_size: int = option("rows computed at once, by all processes together", int, 16)
    accumulate: int = option("batches a step: their gradients are added up", int, 1)
    learning_rate: float | None = option("the peak; default: by method and model width", float, None)
    schedule: str = option("of the learning rate after warm-up: cosine or linear", str, "cosine", ("cosine", "linear"))
    weight_decay: float = option("of matrices", float, 0.01)
    rank: int = option("of LoRA's matrices", int, 8)
    alpha: float = option("LoRA adds B(A(x)) * alpha / rank", float, 16.0)
    dropout: float = option("on the inputs of LoRA's matrices", float, 0.0)
    targets: tuple[str, ...] = several("the linear layers that LoRA adapts", ("q_proj", "v_proj"))
    optimizer: str = option("adamw, or adamw8bit for a quarter of its memory", str, "adamw", OPTIMIZERS)
    gradient_checkpointing: bool = option("compute the blocks twice instead of keeping their insides", bool, False)
    validate_every: float = option("epochs between validations", float, 0.5)
    patience: int = option("stop after so many validations without a better one; 0: never", int, 0)
    seed: int = option("of the split, the new weights, the batches and the dropout", int, 0)
    save_every: int = option("steps between saved states: what a kill costs at most", int, 100)

    def __post_init__(self) -> None:
        for name in ("batch_size", "accumulate", "rank", "save_every"):
            check_whole(name, getattr(self, name), 1, LARGEST_COUNT)
        check_whole("patience", self.patience, 0, LARGEST_COUNT)
        check_whole("seed", self.seed, 0, LARGEST_SEED)
        _check_range("epochs", self.epochs, 1e-6, 1e6)
        _check_range("validate_every", self.validate_every, 1e-6, 1e6)
        _check_range("validation_share", self.validation_share, 0, 0.9)
        _check_range("weight_decay", self.weight_decay, 0, 10)
        _check_range("alpha", self.alpha, 1e-6, 1e6)
        _check_range("dropout", self.dropout, 0, 0.99)
        if self.learning_rate is not None:
            _check_range("learning_rate", self.learning_rate, 1e-12, 100)
        _check_choice("method", self.method, METHODS)
        _check_choice("optimizer", self.optimizer, OPTIMIZERS)
        _check_choice("schedule", self.schedule, ("cosine", "linear"))
        if not self.targets:
            raise BadRequest("targets must name at least one linear layer, such as q_proj.")
        self._check_precision()

    @property
    def folder(self) -> Path:
        """Where the head goes."""
        return Path(self.out)

    @property
    def step_size(self) -> int:
        """Rows an optimizer step sees, over all processes."""
        return self.batch_size * self.accumulate

    def _check_precision(self) -> None:
        if self.precision is None:
            return
        named(self.precision)
        if self.method == "full" and self.precision not in ("float32", "bfloat16"):
            raise BadRequest(
                f"method full trains every weight in float32, and computes in float32 or bfloat16; got "
                f"precision={self.precision!r}. Choose one of the two, or method lora, which trains on a trunk in "
                f"{self.precision}."
            )
        if self.method == "lora" and self.precision == "float16":
            raise BadRequest(
                "LoRA's gradients through a float16 trunk fall below the smallest float16 number. "
                "Choose precision bfloat16, float32, int8, nf4 or int4."
            )


@dataclass(frozen=True, kw_only=True)
class TrainClassify(TrainHead):
    """A classification head: rows of a .csv, .tsv or .jsonl file with a text and its label."""

    text_column: str = option("the column of the texts", str, "text")
    label_column: str = option("the column of the labels, or of the numbers to regress", str, "label")
    problem: str = option(
        "single_label_classification, multi_label_classification or regression", str, PROBLEMS[0], PROBLEMS
    )
    separator: str = option("between the labels of one row, with several labels", str, "|")
    max_tokens: int = option("a longer text keeps its first so many tokens", int, 256)

    def __post_init__(self) -> None:
        super().__post_init__()
        _check_choice("problem", self.problem, PROBLEMS)
        check_whole("max_tokens", self.max_tokens, 1, LARGEST_COUNT)
        if not self.separator.strip():
            raise BadRequest("separator must be a text that is not blank, such as |.")


@dataclass(frozen=True, kw_only=True)
class TrainAnswer(TrainHead):
    """A span head: questions on passages, as SQuAD JSON, .jsonl or .csv."""

    window_tokens: int = option("a longer passage is read in windows of so many tokens", int, 384)
    doc_stride: int = option("passage tokens that neighbouring windows share", int, 128)
    max_answer_tokens: int = option("the longest answer that validation looks for", int, 30)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole("window_tokens", self.window_tokens, 8, LARGEST_COUNT)
        check_whole("doc_stride", self.doc_stride, 0, self.window_tokens - 1)
        check_whole("max_answer_tokens", self.max_answer_tokens, 1, 1000)


LEARNING_RATES = {"probe": 2e-3, "head": 2e-3, "lora": 1e-3, "full": 3e-4}
"""Peaks for a model of width NARROW; a wider one takes smaller steps."""
NARROW = 256


def default_learning_rate(method: str, width: int) -> float:
    """The peak for a method and a model's width: falling with the root of the width, for full tuning with the width."""
    share = min(1.0, NARROW / width)
    return LEARNING_RATES[method] * (share if method == "full" else math.sqrt(share))


def _check_range(name: str, value: object, low: float, high: float) -> None:
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not number or not low <= value <= high:  # type: ignore[operator]
        raise BadRequest(f"{name} must be a number from {low:g} to {high:g}; got {value!r}.")


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise BadRequest(f"{name} must be one of {', '.join(choices)}; got {value!r}.")
