"""The way of one training run: texts -> cleaned documents -> tokenizer -> tokens -> pretrain -> a checkpoint folder."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import BadRequest
from workbench.evals.runs.process import this_process
from workbench.gptj.config import GPTJConfig
from workbench.loading.load import save_pretrained
from workbench.loading.precision import named
from workbench.published import GPTJForCausalLM
from workbench.text.tokenizer import TOKENIZER_FILE, Tokenizer
from workbench.training.corpus import Corpus, Document, pack, prepare, train_bpe
from workbench.training.optimizers import PRETRAINING_OPTIMIZERS
from workbench.training.options import option, several
from workbench.training.pretrain import HeldOut, PretrainSettings, TrainProgress, pretrain, trained_model
from workbench.training.state import STATE_FILE

STATE_FOLDER = "training"
"""Inside the run's folder: the resumable state and the log."""
CONFIG_FILE = "config.json"
WEIGHT_ENDINGS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".h5", ".msgpack", ".gguf")
"""A file with one of these, or a CONFIG_FILE, is somebody's model."""


@dataclass(frozen=True)
class TrainRequest:
    """What `train lm` is asked for. The texts are cleaned as `training.corpus` says."""

    texts: tuple[str, ...] = several("folders, .txt, .jsonl or .tar.gz files to train on; one document a .txt file")
    out: str = option("the checkpoint folder to write; give it again to continue", str)
    held_out: tuple[str, ...] = several("names of documents never trained on, for the validation curve", ())
    split: str | None = option("take only the .jsonl rows of this split", str, None)
    steps: int = option("optimizer steps", int, 3000)
    batch_size: int = option("windows a step", int, 8)
    context: int = option("tokens a window, and the model's n_positions", int, 512)
    optimizer: str = option(
        "muon (the blocks' matrices; adamw the rest), or adamw", str, "muon", PRETRAINING_OPTIMIZERS
    )
    learning_rate: float = option("the peak; adamw alone wants about a third of the default", float, 6e-3)
    compiled: bool = option("train by torch.compile: about a sixth faster; needs a C++ compiler", bool, False)
    vocab_size: int = option("tokenizer entries", int, 5120)
    n_embd: int = option("model width", int, 256)
    n_layer: int = option("layers", int, 6)
    n_head: int = option("attention heads", int, 4)
    rotary_dim: int = option("rotated dimensions of a head", int, 32)
    seed: int = option("of weights and batches", int, 0)
    save_every: int = option("steps between saved states: what a kill costs at most", int, 100)
    precision: str = option("float32, bfloat16 or float16: how the result is saved", str, "bfloat16")
    max_shard_bytes: int = option("largest weights file", int, 9_000_000)


def train_lm(request: TrainRequest, note: Callable[[str], None]) -> dict[str, Any]:
    """Trains until the last step and writes the checkpoint; gives the final metrics and the folder.

    Args:
        note: takes a line of progress.

    Raises:
        BadRequest: the texts or a setting can't be used, or the folder holds another run or model.
        BadCheckpoint: the state of the run in the folder is damaged.
    """
    if this_process().count > 1:
        raise BadRequest("train lm works in one process. Start it without torchrun or accelerate launch.")
    dtype = named(request.precision).dtype
    if dtype is None:
        raise BadRequest(f"A model is trained in float; got precision={request.precision!r}.")
    settings = PretrainSettings(
        steps=request.steps, batch_size=request.batch_size, context=request.context,
        optimizer=request.optimizer, learning_rate=request.learning_rate, seed=request.seed,
        save_every=request.save_every,
    )  # fmt: skip
    if request.max_shard_bytes < 1:
        raise BadRequest(f"max_shard_bytes must be at least 1; got {request.max_shard_bytes}.")
    folder = _writable(Path(request.out))
    corpus = prepare(request.texts, request.held_out, request.split)
    note(f"{len(corpus.training)} documents to train on, {len(corpus.held_out)} held out, "
         f"{sum(corpus.dropped_passages.values())} passages dropped")  # fmt: skip
    tokenizer = _tokenizer(folder, corpus, request.vocab_size)
    config = _config(request, tokenizer)
    tokens = pack(tokenizer, corpus.training)
    note(f"{len(tokens):,} tokens; {settings.steps} steps of {settings.batch_size * settings.context:,}")
    progress: TrainProgress | None = None
    validation: float | None = None
    held_out, state = _held_out(tokenizer, corpus.held_out), folder / STATE_FOLDER
    for progress in pretrain(config, tokens, held_out, settings, state, request.compiled):
        validation = progress.bits_per_byte if progress.bits_per_byte is not None else validation
        if progress.step % 20 == 0 or progress.bits_per_byte is not None:
            note(progress_line(progress))
    model = GPTJForCausalLM(config)
    model.load_state_dict(trained_model(config, folder / STATE_FOLDER).state_dict())
    save_pretrained(model.to(dtype).eval(), folder, request.max_shard_bytes)
    return {
        "folder": str(folder),
        "steps": settings.steps,
        "tokens": settings.steps * settings.batch_size * settings.context,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "loss": None if progress is None else progress.loss,
        "bits_per_byte": validation,
        "seconds": None if progress is None else progress.seconds,
    }


def progress_line(progress: TrainProgress) -> str:
    """One line a person can follow."""
    score = "" if progress.bits_per_byte is None else f"  held-out {progress.bits_per_byte:.4f} bits/byte"
    return (
        f"step {progress.step:>6}/{progress.steps}  loss {progress.loss:.3f}{score}  "
        f"{progress.tokens_per_second:,.0f} tokens/s  {progress.seconds_left / 60:.0f} min left"
    )


def _writable(folder: Path) -> Path:
    """The folder, if nothing is lost by writing a checkpoint to it.

    Raises:
        BadRequest: it is a file, or holds a model that no training run of ours wrote.
    """
    if folder.exists() and not folder.is_dir():
        raise BadRequest(f"{folder} is a file. Give a folder to write the checkpoint to.")
    if folder.is_dir() and not (folder / STATE_FOLDER / STATE_FILE).exists():
        theirs = sorted(path.name for path in folder.iterdir() if _of_a_model(path))
        if theirs:
            raise BadRequest(
                f"{folder} holds a model already ({theirs[0]}), and no training run that could be continued: "
                "training would overwrite it. Choose another folder."
            )
    return folder


def _of_a_model(path: Path) -> bool:
    return path.name == CONFIG_FILE or path.suffix in WEIGHT_ENDINGS or path.name.endswith(".index.json")


def _tokenizer(folder: Path, corpus: Corpus, vocab_size: int) -> Tokenizer:
    """The run's own tokenizer: trained once, then read again, so that a resumed run has the same ids."""
    if (folder / TOKENIZER_FILE).exists():
        tokenizer = Tokenizer.from_folder(folder)
        if tokenizer.size != vocab_size:
            raise BadRequest(
                f"{folder} holds a tokenizer of {tokenizer.size} entries, and vocab_size is {vocab_size}. "
                "Give the same number, or choose another folder."
            )
        return tokenizer
    tokenizer = Tokenizer(train_bpe((document.text for document in corpus.training), vocab_size))
    tokenizer.save(folder)
    return tokenizer


def _config(request: TrainRequest, tokenizer: Tokenizer) -> GPTJConfig:
    try:
        return GPTJConfig(
            vocab_size=tokenizer.size,
            n_positions=request.context,
            n_embd=request.n_embd,
            n_layer=request.n_layer,
            n_head=request.n_head,
            rotary_dim=request.rotary_dim,
            bos_token_id=tokenizer.eos_id,
            eos_token_id=tokenizer.eos_id,
        )
    except ValueError as error:
        raise BadRequest(f"No model can have this shape: {error}.") from error


def _held_out(tokenizer: Tokenizer, documents: Sequence[Document]) -> HeldOut | None:
    if not documents:
        return None
    return HeldOut(pack(tokenizer, documents), sum(len(document.text.encode()) for document in documents))
