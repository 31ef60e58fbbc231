"""Text to token ids and back, in GPT-2's byte-level BPE, which is GPT-J's.

A thin layer over the `tokenizers` package. Nothing here changes after loading, so one Tokenizer serves every thread;
padding and truncation are arguments of a call, not settings of the object.
"""

import json
import operator
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import tokenizers
import torch
from tokenizers import AddedToken, decoders, models, pre_tokenizers, processors
from torch import Tensor

from workbench.errors import BadCheckpoint, BadRequest, CheckpointNotFound
from workbench.text.vocabulary import BYTE_OF_CHARACTER, check_vocabulary, cuts_at_spaces, read_json, read_merges

END_OF_TEXT = "<|endoftext|>"
TOKENIZER_FILE, TOKENIZER_CONFIG_FILE = "tokenizer.json", "tokenizer_config.json"
PROBE = "The  unicorn's \n\u00e9\U0001f984 7"
VOCABULARY_FILES = (("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe"))


@dataclass(frozen=True)
class Encoding:
    """A call's answer: attributes for people, and the two methods that make `model(**encoding)` work."""

    input_ids: Any
    """Tensor (B, T) when tensors were asked for; else a list of ids, or a list of such lists for several texts."""
    attention_mask: Any
    """In the shape of input_ids: 1 for a token of the text, 0 for padding."""

    def keys(self) -> list[str]:
        """The names of the model's arguments."""
        return ["input_ids", "attention_mask"]

    def __getitem__(self, name: str) -> Any:
        if name not in self.keys():
            raise KeyError(name)
        return getattr(self, name)

    def to(self, device: str | torch.device) -> "Encoding":
        """The same tensors on a device."""
        return Encoding(self.input_ids.to(device), self.attention_mask.to(device))


class Tokenizer:
    """One checkpoint's vocabulary.

    A text typed as "<|endoftext|>" stays text, so nobody can end a document by typing; the token itself is `eos_id`.

    Args:
        backend: a byte-level BPE; it is taken over, and must not be changed afterwards.
        name: the file it came from, for errors.
        eos_token: the end-of-text token, which also pads.
    """

    def __init__(self, backend: tokenizers.Tokenizer, name: str = TOKENIZER_FILE, eos_token: str = END_OF_TEXT):
        eos_id = backend.token_to_id(eos_token)
        if eos_id is None:
            raise BadCheckpoint(name, f"lacks the end-of-text token {eos_token!r}")
        check_vocabulary(backend.get_vocab(with_added_tokens=True), name)
        backend.no_padding()
        backend.no_truncation()
        backend.post_processor = processors.ByteLevel(trim_offsets=False)
        backend.add_special_tokens([AddedToken(eos_token, normalized=False, special=True)])
        backend.encode_special_tokens = True
        if backend.decode(backend.encode(PROBE).ids, skip_special_tokens=False) != PROBE:
            raise BadCheckpoint(name, "does not give a text back as it was", "GPT-J's tokenizer changes no character.")
        self._backend = backend
        self.eos_token = eos_token
        self.eos_id = eos_id
        self.cuts_at_spaces = cuts_at_spaces(backend)
        """Whether a text may be encoded in two parts, cut before a space or line break that follows something else."""
        self.size: int = backend.get_vocab_size(with_added_tokens=True)
        """Entries, extra tokens included; a model may have more rows, whose ids mean nothing."""

    @classmethod
    def from_folder(cls, folder: Path | str) -> Self:
        """The tokenizer of a checkpoint folder: tokenizer.json, or a vocabulary and its merges.

        Raises:
            CheckpointNotFound: the folder holds no tokenizer.
            BadCheckpoint: a file is broken, or knows more tokens than the model of the folder's config.json.
        """
        folder = Path(folder)
        tokenizer_config = (
            read_json(folder / TOKENIZER_CONFIG_FILE) if (folder / TOKENIZER_CONFIG_FILE).exists() else {}
        )
        eos_token = tokenizer_config.get("eos_token") or END_OF_TEXT
        if isinstance(eos_token, dict):
            eos_token = eos_token.get("content")
        if not isinstance(eos_token, str):
            raise BadCheckpoint(TOKENIZER_CONFIG_FILE, "eos_token is not a text")
        backend, name = _read_backend(folder, eos_token)
        tokenizer = cls(backend, name, eos_token)
        config = read_json(folder / "config.json") if (folder / "config.json").exists() else {}
        rows = config.get("vocab_size")
        if isinstance(rows, int) and tokenizer.size > rows:
            raise BadCheckpoint(
                name,
                f"knows {tokenizer.size} tokens, but the model has {rows} rows",
                "The files are not of one checkpoint.",
            )
        return tokenizer

    @classmethod
    def from_pretrained(cls, folder: Path | str) -> Self:
        """`from_folder` under the published name."""
        return cls.from_folder(folder)

    def save(self, folder: Path | str) -> None:
        """Write tokenizer.json and tokenizer_config.json, which other programs read too."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOKENIZER_FILE).write_text(self._backend.to_str(), encoding="utf-8")
        config = {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": self.eos_token,
            "eos_token": self.eos_token,
            "unk_token": self.eos_token,
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
        }
        (folder / TOKENIZER_CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")

    def encode(self, text: str) -> list[int]:
        """The ids of a text; no token is added before or after.

        Raises:
            BadRequest: the text holds half of a surrogate pair, which no file or keyboard gives.
        """
        return self._encode(text).ids

    def encode_with_offsets(self, text: str) -> tuple[list[int], list[tuple[int, int]]]:
        """The ids, and for each the characters [start, end) it covers; a leading space counts as the token's.

        Tokens that share one character each cover all of it.
        """
        encoding = self._encode(text)
        return encoding.ids, encoding.offsets

    def _encode(self, text: str) -> tokenizers.Encoding:
        """The backend's encoding of a text that is fit to be encoded."""
        if not isinstance(text, str):
            raise BadRequest(f"Only text can be encoded; got {type(text).__name__}.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            code = f"U+{ord(text[error.start]):04X}"
            raise BadRequest(
                f"The text's character {error.start + 1} is {code}, half of a surrogate pair. Remove it or paste again."
            ) from error
        return self._backend.encode(text, add_special_tokens=False)

    def __call__(
        self,
        text: str | Sequence[str],
        return_tensors: str | None = None,
        padding: bool | str = False,
        truncation: bool = False,
        max_length: int | None = None,
        padding_side: str = "right",
    ) -> Encoding:
        """Encode one text or several for the model, as published tokenizers do.

        Args:
            return_tensors: "pt" for torch tensors (B, T); None for lists.
            padding: True or "longest" to the longest text, "max_length" to max_length; with the end-of-text token.
            truncation: keep a text's first max_length tokens.
            padding_side: "right" or "left"; a batch to be continued wants "left".

        Raises:
            BadRequest: texts of different lengths without padding can't be a tensor, or an argument is unknown.
        """
        _check_call(return_tensors, padding, truncation, max_length, padding_side)
        rows = [self.encode(one) for one in ([text] if isinstance(text, str) else text)]
        if truncation:
            rows = [row[:max_length] for row in rows]
        width = (max_length or 0) if padding == "max_length" else max((len(row) for row in rows), default=0)
        masks = [[1] * len(row) for row in rows]
        if padding not in (False, "do_not_pad"):
            rows = [_padded(row, width, self.eos_id, padding_side) for row in rows]
            masks = [_padded(mask, width, 0, padding_side) for mask in masks]
        if return_tensors is None:
            return Encoding(rows[0], masks[0]) if isinstance(text, str) else Encoding(rows, masks)
        if len({len(row) for row in rows}) > 1:
            raise BadRequest(
                "The texts have different numbers of tokens, so they make no tensor. Ask for padding=True."
            )
        return Encoding(
            torch.tensor(rows, dtype=torch.long).view(len(rows), -1 if rows else 0),
            torch.tensor(masks, dtype=torch.long).view(len(rows), -1 if rows else 0),
        )

    def decode(self, ids: Iterable[int] | Tensor | int, skip_special_tokens: bool = False) -> str:
        """The text of ids; half characters become U+FFFD, ids beyond the vocabulary nothing.

        Raises:
            BadRequest: an id is negative or not a whole number.
        """
        return self._backend.decode(_id_list(ids), skip_special_tokens=skip_special_tokens)

    def batch_decode(self, rows: Iterable[Iterable[int]] | Tensor, skip_special_tokens: bool = False) -> list[str]:
        """The text of each row of ids."""
        return [self.decode(row, skip_special_tokens) for row in rows]

    def token_bytes(self, token_id: int) -> bytes:
        """The UTF-8 bytes a token stands for, perhaps half a character; none for an id beyond the vocabulary."""
        token = self._backend.id_to_token(token_id)
        if token is None:
            return b""
        try:
            return bytes([BYTE_OF_CHARACTER[character] for character in token])
        except KeyError:
            # An extra token may be any text; the decoder, too, then takes it as it is.
            return token.encode("utf-8")


def _read_backend(folder: Path, eos_token: str) -> tuple[tokenizers.Tokenizer, str]:
    """The folder's tokenizer and the name of the file it came from."""
    path = folder / TOKENIZER_FILE
    if path.exists():
        content = read_json(path)
        model, decoder = content.get("model"), content.get("decoder")
        model_type = model.get("type", "BPE") if isinstance(model, dict) else None
        decoder_type = decoder.get("type") if isinstance(decoder, dict) else None
        if (model_type, decoder_type) != ("BPE", "ByteLevel"):
            raise BadCheckpoint(path.name, "is not a byte-level BPE tokenizer, which GPT-J needs")
        try:
            return tokenizers.Tokenizer.from_str(json.dumps(content)), path.name
        except Exception as error:  # The package raises plain Exception for whatever it can't read.
            raise BadCheckpoint(path.name, f"can't be read as a tokenizer ({error})") from error
    for vocabulary_name, merges_name in VOCABULARY_FILES:
        if (folder / vocabulary_name).exists():
            return _from_vocabulary(folder, vocabulary_name, merges_name, eos_token), vocabulary_name
    raise CheckpointNotFound(
        f"{folder}: no tokenizer here. A checkpoint folder needs tokenizer.json, or vocab.json with merges.txt."
    )


def _from_vocabulary(folder: Path, vocabulary_name: str, merges_name: str, eos_token: str) -> tokenizers.Tokenizer:
    """A tokenizer from a vocabulary, its merges, and added_tokens.json where there is one."""
    vocabulary = read_json(folder / vocabulary_name)
    check_vocabulary(vocabulary, vocabulary_name)
    merges = read_merges(folder / merges_name, vocabulary)
    backend = tokenizers.Tokenizer(models.BPE(vocabulary, merges))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    backend.decoder = decoders.ByteLevel()
    added_file = folder / "added_tokens.json"
    added = read_json(added_file) if added_file.exists() else {}
    check_vocabulary({**vocabulary, **added}, added_file.name)
    for token in sorted(added, key=added.__getitem__):
        backend.add_tokens([AddedToken(token, normalized=token != eos_token, special=token == eos_token)])
        if backend.token_to_id(token) != added[token]:
            raise BadCheckpoint(
                added_file.name, f"gives {token!r} the id {added[token]}, which the vocabulary already has"
            )
    return backend


def _check_call(
    return_tensors: str | None, padding: bool | str, truncation: bool, max_length: int | None, side: str
) -> None:
    """BadRequest for an argument that means nothing here."""
    if return_tensors not in (None, "pt"):
        raise BadRequest(f'return_tensors is {return_tensors!r}; use "pt" for torch tensors, or None for lists.')
    if padding not in (False, True, "longest", "max_length", "do_not_pad"):
        raise BadRequest(f'padding is {padding!r}; use True, False or "max_length".')
    if side not in ("left", "right"):
        raise BadRequest(f'padding_side is {side!r}; use "left" or "right".')
    if max_length is None and (truncation or padding == "max_length"):
        raise BadRequest("max_length is needed to truncate or to pad to it.")
    if max_length is not None and max_length < 1:
        raise BadRequest(f"max_length is {max_length}; it must be at least 1.")


def _padded(row: list[int], width: int, filler: int, side: str) -> list[int]:
    """A row filled up to a width; a longer one as it is."""
    gap = [filler] * (width - len(row))
    return gap + row if side == "left" else row + gap


def _id_list(ids: Iterable[int] | Tensor | int) -> list[int]:
    """Ids as a list of whole numbers the backend can take."""
    plain = ids.tolist() if isinstance(ids, Tensor) else ids
    try:
        numbers = (
            [operator.index(plain)] if not isinstance(plain, Iterable) else [operator.index(number) for number in plain]
        )
    except TypeError as error:
        raise BadRequest("Token ids must be whole numbers in one row; use batch_decode for several rows.") from error
    if any(not 0 <= number < 2**32 for number in numbers):
        raise BadRequest("A token id is negative or larger than any vocabulary.")
    return numbers
