"""What a request means before anything is computed: the checkpoint, the examples, and how its loop is set."""

from dataclasses import dataclass

from workbench.loading.checkpoint import open_checkpoint
from workbench.loading.config_file import read_config
from workbench.loading.heads import trunk_fingerprint
from workbench.loading.precision import choose
from workbench.loading.spec import ModelSpec, locate
from workbench.text.tokenizer import Tokenizer
from workbench.training.examples import Split
from workbench.training.finetune import FineTuneSettings
from workbench.training.head_request import TrainAnswer, TrainClassify, TrainHead, default_learning_rate
from workbench.training.labelled import read_labelled
from workbench.training.objectives import Classification, Objective, SpanExtraction
from workbench.training.outcome import Base
from workbench.training.questions import read_asked


@dataclass(frozen=True)
class Task:
    """What is to be learned, ready for the network."""

    kind: str
    labels: tuple[str, ...]
    problem: str | None
    objective: Objective
    split: Split


def find_base(request: TrainHead) -> Base:
    """The checkpoint to train on, its weights still unread.

    Raises:
        CannotLoad: there is none, or it can't be read.
    """
    found = locate(ModelSpec(request.model))
    tensors = open_checkpoint(found.folder).tensors
    return Base(request.model, found.folder, read_config(found.folder), Tokenizer.from_folder(found.folder),
                trunk_fingerprint(found.folder), choose(tensors, None, None).dtype)  # fmt: skip


def read_task(request: TrainClassify | TrainAnswer, base: Base) -> Task:
    """The request's rows as examples of what is to be learned.

    Raises:
        BadRequest: they can't be used.
    """
    if isinstance(request, TrainClassify):
        texts = read_labelled(request)
        split = texts.split(base.tokenizer, request, base.config.n_positions)
        return Task("classify", texts.labels, request.problem, Classification(request.problem, texts.labels), split)
    asked = read_asked(request, base.tokenizer, base.config.n_positions)
    return Task("answer", (), None, SpanExtraction(asked.measure), asked.split())


def settings_of(request: TrainHead, base: Base) -> FineTuneSettings:
    """The loop's settings."""
    peak = request.learning_rate or default_learning_rate(request.method, base.config.n_embd)
    return FineTuneSettings(
        epochs=request.epochs, batch_size=request.batch_size, accumulate=request.accumulate, learning_rate=peak,
        linear=request.schedule == "linear", weight_decay=request.weight_decay, optimizer=request.optimizer,
        validate_every=request.validate_every, patience=request.patience, seed=request.seed,
        bfloat16=request.method == "full" and request.precision != "float32",
    )  # fmt: skip
