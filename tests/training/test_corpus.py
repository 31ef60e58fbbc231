"""Reading and tokenising a corpus: what is read, what is held out, and what is refused."""

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from workbench.errors import BadRequest
from workbench.text.tokenizer import Tokenizer
from workbench.training import corpus
from workbench.training.corpus import (
    Document,
    pack,
    prepare,
    read_documents,
    shared_ngrams,
    split_held_out,
    train_bpe,
)

STORY = "Once upon a time there was a rabbit.\n\nThe rabbit lived on a hill, and the hill was green.\n"


def tar_of(path: Path, members: dict[str, bytes], links: dict[str, str] | None = None) -> Path:
    """A tar archive with files and symbolic links."""
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for name, target in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
    return path


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path: Path) -> None:
    for name in ("b.txt", "a.txt", "notes.md"):
        (tmp_path / name).write_text(STORY + name)
    assert [(document.name, document.text) for document in read_documents([tmp_path])] == [
        ("a", STORY + "a.txt"),
        ("b", STORY + "b.txt"),
    ]


def test_an_archive_is_read_in_memory_and_only_its_files(tmp_path: Path) -> None:
    members = {"texts/b.txt": b"bee", "../../a.txt": b"ay", "texts/._b.txt": b"\xff", "image.png": b"\x89PNG"}
    path = tar_of(tmp_path / "texts.tar.gz", members, {"c.txt": "/etc/passwd"})
    assert list(read_documents([path])) == [Document("a", "ay"), Document("b", "bee")]
    assert list(tmp_path.iterdir()) == [path]


def test_rows_of_one_story_are_joined_and_a_split_is_chosen(tmp_path: Path) -> None:
    rows = [
        {"story": "Owl", "split": "train", "text": "One.\nTwo."},
        {"story": "Fox", "split": "test", "text": "No."},
        {"story": "Owl", "split": "train", "text": "Three.\n\nFour\nlines."},
        {"text": "Alone."},
    ]
    path = tmp_path / "stories.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    assert list(read_documents([path], split="train")) == [Document("Owl", "One.\n\nTwo.\n\nThree.\n\nFour\nlines.")]
    assert [document.name for document in read_documents([path])] == ["Owl", "Fox", "stories-4"]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("latin.txt", "café".encode("latin-1"), "latin.txt: not UTF-8"),
        ("zero.txt", b"a\0b", "zero.txt: holds zero bytes"),
        ("empty.txt", b" \n", "empty.txt: the file is empty"),
        ("book.pdf", b"%PDF", "book.pdf: the ending"),
        ("broken.tar.gz", b"\x1f\x8bnot gzip", "broken.tar.gz: not a readable tar"),
        ("rows.jsonl", b'{"text": "a"}\n{', "rows.jsonl, line 2: not JSON"),
        ("rows.jsonl", b'{"words": "a"}', "rows.jsonl, line 1: every row needs"),
        ("rows.jsonl", b'{"text": "a", "split": "test"}', "rows.jsonl: no row of split 'train'"),
    ],
)
def test_a_file_that_is_no_text_is_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(BadRequest, match=message):
        list(read_documents([tmp_path / name], split="train"))


def test_an_empty_folder_a_missing_path_and_an_empty_archive_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match=r"holds no \.txt"):
        list(read_documents([tmp_path]))
    with pytest.raises(BadRequest, match="no such file"):
        list(read_documents([tmp_path / "nowhere"]))
    with pytest.raises(BadRequest, match=r"holds no \.txt"):
        list(read_documents([tar_of(tmp_path / "a.tgz", {"x.md": b"x"})]))


def test_a_cut_archive_is_refused(tmp_path: Path) -> None:
    whole = tar_of(
        tmp_path / "a.tar.gz", {"a.txt": bytes(np.random.default_rng(0).integers(97, 122, 50000, dtype=np.uint8))}
    )
    whole.write_bytes(whole.read_bytes()[:2000])
    with pytest.raises(BadRequest, match="not a readable tar"):
        list(read_documents([whole]))


def test_an_archive_that_unpacks_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "LARGEST_ARCHIVE_BYTES", 1000)
    path = tar_of(tmp_path / "a.tar.gz", {"a.txt": b"a" * 600, "b.png": b"b" * 600})
    with pytest.raises(BadRequest, match="unpacks to more than"):
        list(read_documents([path]))


def test_a_file_that_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corpus, "LARGEST_FILE_BYTES", 10)
    (tmp_path / "a.txt").write_text("eleven char")
    with pytest.raises(BadRequest, match="larger than"):
        list(read_documents([tmp_path]))


def test_whole_books_are_held_out_by_name() -> None:
    documents = [Document(name, name) for name in "abc"]
    assert split_held_out(documents, ["b"]) == ([documents[0], documents[2]], [documents[1]])
    with pytest.raises(BadRequest, match="not found: d"):
        split_held_out(documents, ["a", "d"])
    with pytest.raises(BadRequest, match="left to train on"):
        split_held_out(documents, "abc")


def test_preparing_cleans_both_sides_and_counts_what_was_dropped(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("“One.”\n\nThe gypsy.\n")
    (tmp_path / "b.txt").write_text("‘Two.’\n")
    (tmp_path / "c.txt").write_text("The gypsy.\n")
    prepared = prepare([tmp_path], ["b"])
    assert prepared.training == (Document("a", '"One."\n'),)
    assert prepared.held_out == (Document("b", "'Two.'\n"),)
    assert prepared.dropped_passages == {"a": 1, "c": 1}


def test_shared_ngrams_find_a_copied_passage() -> None:
    book = Document("book", "one two three four five six")
    others = [Document("other", "nothing alike here at all"), Document("copy", "and One, two. three FOUR five then")]
    assert shared_ngrams([book], others, n=3) == {"book": (3 / 4, "copy")}


def test_the_vocabulary_is_full_and_ends_with_the_end_of_text() -> None:
    backend = train_bpe([STORY * 50], 280)
    assert backend.get_vocab_size() == 280
    assert backend.token_to_id("<|endoftext|>") == 279
    assert backend.token_to_id("!") == 0
    assert json.loads(backend.to_str())["model"]["vocab"]["<|endoftext|>"] == 279


def test_training_a_vocabulary_twice_gives_the_same() -> None:
    assert train_bpe([STORY, STORY * 9], 290).to_str() == train_bpe([STORY, STORY * 9], 290).to_str()


def test_a_text_too_short_for_the_vocabulary_is_said_so() -> None:
    with pytest.raises(BadRequest, match="too short for 5000"):
        train_bpe([STORY], 5000)
    with pytest.raises(BadRequest, match="at least 257"):
        train_bpe([STORY], 100)


def test_packed_documents_come_back_apart() -> None:
    tokenizer = Tokenizer(train_bpe([STORY * 9], 280))
    documents = [Document("a", STORY), Document("b", "Another <|endoftext|> one 🦄.")]
    tokens = pack(tokenizer, documents)
    assert tokens.dtype == np.uint16
    assert tokens.ndim == 1
    ends = np.flatnonzero(tokens == tokenizer.eos_id)
    assert len(ends) == 2
    assert tokenizer.decode(tokens[: ends[0]]) == STORY
    assert tokenizer.decode(tokens[ends[0] + 1 : ends[1]]) == documents[1].text
    with pytest.raises(BadRequest, match="no document"):
        pack(tokenizer, [])


@pytest.mark.parametrize("row, message", [
    ("[" * 200_000, "line 2: not JSON that can be read"),
    (r'{"text": "a \ud800 b"}', r"line 2: holds \\ud800, half of a character"),
    (r'{"text": "a", "story": "\udc00"}', r"line 2: holds \\udc00, half of a character"),
])  # fmt: skip
def test_a_row_that_cannot_be_read_is_refused_with_its_file_and_line(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "Once."}\n' + row)
    with pytest.raises(BadRequest, match="rows.jsonl, " + message) as caught:
        list(read_documents([path]))
    assert str(caught.value).encode()


@pytest.mark.parametrize("ending", ["gz", "bz2", "xz"])
def test_a_damaged_archive_of_any_packing_is_refused_by_name(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"texts.tar.{ending}"
    with tarfile.open(path, f"w:{ending}") as archive:  # type: ignore[call-overload]
        data = np.random.default_rng(0).bytes(50_000)
        info = tarfile.TarInfo("a.txt")
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], whole[:1000] + bytes(2000) + whole[3000:]):
        path.write_bytes(broken)
        with pytest.raises(BadRequest, match=f"texts.tar.{ending}"):
            list(read_documents([path]))
