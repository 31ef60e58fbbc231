"""Reads and checks the files of a byte-level BPE vocabulary, so that a broken one is named and not guessed at."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import pre_tokenizers

from workbench.errors import BadCheckpoint

LARGEST_FILE_BYTES = 64 * 2**20


def _characters_of_bytes() -> dict[str, int]:
    """GPT-2's printable stand-in for each byte: visible Latin-1 characters stay, other bytes move above U+0100."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in visible]
    return {chr(byte): byte for byte in visible} | {chr(0x100 + place): byte for place, byte in enumerate(hidden)}


BYTE_OF_CHARACTER = _characters_of_bytes()


def read_text(path: Path) -> str:
    """A vocabulary file's text.

    Raises:
        BadCheckpoint: the file is missing, unreadable, far too large, not UTF-8, or only a Git LFS pointer.
    """
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            raise BadCheckpoint(path.name, f"larger than {LARGEST_FILE_BYTES >> 20} MiB, so it is no vocabulary file")
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise BadCheckpoint(
            path.name, f"can't be read ({error.strerror})", "Copy the missing file into the folder."
        ) from error
    except UnicodeDecodeError as error:
        raise BadCheckpoint(path.name, f"is not UTF-8 text (byte {error.start})") from error
    if text.startswith("version https://git-lfs"):
        raise BadCheckpoint(
            path.name, "is a Git LFS pointer, not the file itself", "Run `git lfs pull` in the checkpoint."
        )
    return text


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file.

    Raises:
        BadCheckpoint: as `read_text`, or the text is not JSON, or not an object.
    """
    try:
        content = json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadCheckpoint(path.name, f"is not valid JSON ({error})", "The download may be incomplete.") from error
    if not isinstance(content, dict):
        raise BadCheckpoint(path.name, f"must hold a JSON object, not a {type(content).__name__}")
    return content


def check_vocabulary(vocabulary: Mapping[str, Any], name: str) -> None:
    """Raise BadCheckpoint unless the ids are 0, 1, 2 ... without gaps and every byte has an entry."""
    for token, number in vocabulary.items():
        if type(number) is not int:
            raise BadCheckpoint(name, f"the id of {token!r} is not a whole number")
    ids = sorted(vocabulary.values())
    wrong = next((place for place, number in enumerate(ids) if place != number), None)
    if wrong is not None:
        raise BadCheckpoint(
            name, f"the ids have a gap or a repetition at {wrong}", "The files may be of different checkpoints."
        )
    lacking = sum(character not in vocabulary for character in BYTE_OF_CHARACTER)
    if lacking:
        raise BadCheckpoint(name, f"lacks {lacking} of the 256 byte entries of a byte-level vocabulary")


def read_merges(path: Path, vocabulary: Mapping[str, int]) -> list[tuple[str, str]]:
    """The merges of merges.txt (vocab.bpe in the first release), best first.

    Raises:
        BadCheckpoint: a line is not two entries of the vocabulary whose union is one, too.
    """
    merges: list[tuple[str, str]] = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        line = line.rstrip("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue
        parts = line.split(" ")
        if len(parts) != 2 or any(part not in vocabulary for part in (*parts, "".join(parts))):
            raise BadCheckpoint(
                path.name,
                f"line {number} is no merge of two vocabulary entries",
                "The file may be of another checkpoint.",
            )
        merges.append((parts[0], parts[1]))
    return merges


def cuts_at_spaces(backend: tokenizers.Tokenizer) -> bool:
    """Whether a text cut where a space or line break follows something else encodes to its two parts' tokens.

    GPT-2's words take spaces in front of them, none behind, and end where one comes whatever follows.
    """
    before = backend.pre_tokenizer
    plain = isinstance(before, pre_tokenizers.ByteLevel) and before.use_regex and not before.add_prefix_space
    extra = backend.get_added_tokens_decoder().values()
    return (
        plain
        and backend.normalizer is None
        and not any(token.lstrip or token.rstrip or any(map(str.isspace, token.content)) for token in extra)
    )
