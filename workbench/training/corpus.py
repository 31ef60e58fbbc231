"""From books to tokens: reading, holding books out, and a byte-level BPE of one's own.

The steps are separate functions, so that each can be shown in a model card and repeated:
`read_documents` -> `normalise` -> `drop_passages` -> `split_held_out` -> `train_bpe` -> `pack`;
`prepare` walks the first four.
"""

import json
import lzma
import re
import tarfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import tokenizers
from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors, trainers

from workbench.errors import BadRequest
from workbench.text.tokenizer import Tokenizer
from workbench.training.cleaning import drop_passages, normalise

LARGEST_FILE_BYTES = 64 * 2**20
LARGEST_ARCHIVE_BYTES = 2 * 2**30
TAR_ENDINGS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


@dataclass(frozen=True)
class Document:
    """One book or story: its name (a file's name without the ending) and its text."""

    name: str
    text: str


@dataclass(frozen=True)
class Corpus:
    """Cleaned documents, those to train on apart from those held out whole."""

    training: tuple[Document, ...]
    held_out: tuple[Document, ...]
    dropped_passages: dict[str, int]
    """How many paragraphs each document lost; documents that lost none are absent."""


def read_documents(paths: Iterable[Path | str], split: str | None = None) -> Iterator[Document]:
    """The documents of text files, folders of them, tar archives of them, and .jsonl files, sorted within each path.

    A .jsonl row has `text` and may have `story` (rows of one story are joined) and `split`.

    Args:
        split: take only the .jsonl rows of this split; None takes all.

    Raises:
        BadRequest: a path is missing or empty, or a file is not UTF-8 text; the message names it.
    """
    for path in map(Path, paths):
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if file.suffix in (".txt", ".jsonl") and file.is_file())
            if not files:
                raise BadRequest(
                    f"{path}: the folder holds no .txt and no .jsonl file. Name a folder with one book a .txt file."
                )
            yield from (document for file in files for document in _read_file(file, split))
        elif path.is_file():
            yield from _read_file(path, split)
        else:
            raise BadRequest(f"{path}: there is no such file or folder.")


def _read_file(path: Path, split: str | None) -> Iterator[Document]:
    """The documents of one file, by its ending."""
    if path.name.endswith(TAR_ENDINGS):
        yield from _read_tar(path)
        return
    if path.suffix not in (".txt", ".jsonl"):
        raise BadRequest(f"{path}: the ending is none of .txt, .jsonl, {', '.join(TAR_ENDINGS)}.")
    with path.open("rb") as stream:
        text = _decode(stream, str(path))
    yield from _read_jsonl(path, text, split) if path.suffix == ".jsonl" else [Document(path.stem, text)]


def _decode(stream: IO[bytes], name: str) -> str:
    """A stream's text; BadRequest when it is too large, binary or empty."""
    data = stream.read(LARGEST_FILE_BYTES + 1)
    if len(data) > LARGEST_FILE_BYTES:
        raise BadRequest(f"{name}: larger than {LARGEST_FILE_BYTES >> 20} MiB. Split it into one book a file.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadRequest(
            f"{name}: not UTF-8 text (byte {error.start}). Convert it to UTF-8, or leave the file out."
        ) from error
    if "\0" in text:
        raise BadRequest(f"{name}: holds zero bytes, so it is a binary file. Leave it out.")
    if not text.strip():
        raise BadRequest(f"{name}: the file is empty. Leave it out.")
    return text


def _read_tar(path: Path) -> Iterator[Document]:
    """The .txt members of a tar archive, read in memory; links and devices are passed over."""
    documents: list[Document] = []
    total_bytes = 0
    try:
        with tarfile.open(path, "r:*") as archive:
            for member in archive:
                total_bytes += member.size
                if total_bytes > LARGEST_ARCHIVE_BYTES:
                    raise BadRequest(f"{path}: unpacks to more than {LARGEST_ARCHIVE_BYTES >> 30} GiB. Split it.")
                name = member.name.rsplit("/", 1)[-1]
                if member.isreg() and name.endswith(".txt") and not name.startswith("."):
                    stream = archive.extractfile(member)
                    if stream is not None:
                        documents.append(Document(name.removesuffix(".txt"), _decode(stream, f"{path}:{member.name}")))
    except (tarfile.TarError, EOFError, OSError, zlib.error, lzma.LZMAError) as error:
        raise BadRequest(f"{path}: not a readable tar archive ({error}).") from error
    if not documents:
        raise BadRequest(f"{path}: the archive holds no .txt file.")
    yield from sorted(documents, key=lambda document: document.name)


def _read_jsonl(path: Path, text: str, split: str | None) -> Iterator[Document]:
    """The stories of a .jsonl file, by first row; a row without a blank line holds one paragraph a line."""
    stories: dict[str, list[str]] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadRequest(f"{path}, line {number}: not JSON that can be read ({error}).") from error
        if not isinstance(row, dict) or not isinstance(row.get("text"), str):
            raise BadRequest(f'{path}, line {number}: every row needs a "text" field with a string.')
        name = str(row.get("story", f"{path.stem}-{number}"))
        _check_unicode(path, number, row["text"], name)
        if split is None or row.get("split") == split:
            passage = row["text"].strip()
            passage = passage if re.search(r"\n\s*\n", passage) else passage.replace("\n", "\n\n")
            stories.setdefault(name, []).append(passage)
    if not stories:
        raise BadRequest(f"{path}: no row{'' if split is None else f' of split {split!r}'}.")
    yield from (Document(name, "\n\n".join(passages)) for name, passages in stories.items())


def _check_unicode(path: Path, number: int, *texts: str) -> None:
    """JSON can hold half of a surrogate pair, which is no character and can't be written anywhere."""
    for text in texts:
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            half = text[error.start].encode("ascii", "backslashreplace").decode()
            raise BadRequest(
                f"{path}, line {number}: holds {half}, half of a character. Take it out, or write it whole."
            ) from error


def split_held_out(
    documents: Iterable[Document], held_out_names: Iterable[str]
) -> tuple[list[Document], list[Document]]:
    """Documents to train on, and those held out whole, by name.

    Raises:
        BadRequest: a name is no document's, or nothing is left to train on.
    """
    names = set(held_out_names)
    training: list[Document] = []
    held_out: list[Document] = []
    for document in documents:
        (held_out if document.name in names else training).append(document)
    unknown = sorted(names - {document.name for document in held_out})
    if unknown:
        raise BadRequest(
            f"Held-out documents not found: {', '.join(unknown)}. Names are file names without the ending."
        )
    if not training:
        raise BadRequest("No document is left to train on. Hold out fewer, or give more files.")
    return training, held_out


def prepare(paths: Iterable[Path | str], held_out_names: Iterable[str] = (), split: str | None = None) -> Corpus:
    """Read, normalise, drop passages and split: the same cleaning for both sides."""
    cleaned: list[Document] = []
    dropped: dict[str, int] = {}
    for document in read_documents(paths, split):
        text, count = drop_passages(normalise(document.text))
        if count:
            dropped[document.name] = count
        if text:
            cleaned.append(Document(document.name, text))
    training, held_out = split_held_out(cleaned, held_out_names)
    return Corpus(tuple(training), tuple(held_out), dropped)


def shared_ngrams(
    held_out: Sequence[Document], training: Iterable[Document], n: int = 13
) -> dict[str, tuple[float, str]]:
    """For each held-out document, the share of its word n-grams found in training, and who shares most."""
    grams = {document.name: set(_ngrams(document.text, n)) for document in held_out}
    seen: dict[str, set[tuple[str, ...]]] = {name: set() for name in grams}
    worst = dict.fromkeys(grams, (0, ""))
    for document in training:
        theirs = set(_ngrams(document.text, n))
        for name, ours in grams.items():
            common = ours & theirs
            seen[name] |= common
            if len(common) > worst[name][0]:
                worst[name] = (len(common), document.name)
    return {name: (len(seen[name]) / max(1, len(ours)), worst[name][1]) for name, ours in grams.items()}


def _ngrams(text: str, n: int) -> Iterator[tuple[str, ...]]:
    """Lower-case word n-grams."""
    words = re.findall(r"[a-z']+", text.lower())
    return zip(*(words[start:] for start in range(n)), strict=False)


def train_bpe(texts: Iterable[str], vocab_size: int, special: str = "<|endoftext|>") -> tokenizers.Tokenizer:
    """A byte-level BPE in GPT-J's form; `special` is the only special token and the last id, as in GPT-2's vocabulary.

    Args:
        vocab_size: entries in all, the 256 bytes and `special` included.

    Raises:
        BadRequest: vocab_size is below 257, or the text is too short to fill it.
    """
    if vocab_size < 257:
        raise BadRequest(f"vocab_size is {vocab_size}; a byte-level vocabulary needs at least 257 entries.")
    draft = _gpt2_form(models.BPE())
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - 1, min_frequency=2, initial_alphabet=alphabet, show_progress=False
    )
    draft.train_from_iterator(texts, trainer)
    model = json.loads(draft.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    if len(vocabulary) < vocab_size - 1:
        raise BadRequest(
            f"The text is too short for {vocab_size} vocabulary entries: it fills {len(vocabulary) + 1}. "
            "Give more text or a smaller vocabulary."
        )
    vocabulary[special] = len(vocabulary)
    trained = _gpt2_form(models.BPE(vocabulary, [(left, right) for left, right in model["merges"]]))
    trained.add_special_tokens([AddedToken(special, normalized=False, special=True)])
    return trained


def _gpt2_form(model: models.BPE) -> tokenizers.Tokenizer:
    """A tokenizer with GPT-2's splitting and bytes around a BPE model."""
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def pack(tokenizer: Tokenizer, documents: Iterable[Document]) -> np.ndarray:
    """All documents' tokens in one row, each document followed by the end-of-text token.

    Returns:
        a 1-D array, uint16 when every id fits, else int32.

    Raises:
        BadRequest: there is no document.
    """
    dtype = np.uint16 if tokenizer.size <= 2**16 else np.int32
    rows = [np.array([*tokenizer.encode(document.text), tokenizer.eos_id], dtype=dtype) for document in documents]
    if not rows:
        raise BadRequest("There is no document to pack.")
    return np.concatenate(rows)
