"""The tokenizer gives every text back, agrees with the published one, and names what is wrong with a file."""

import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.errors import BadCheckpoint, BadRequest, CheckpointNotFound
from workbench.text.tokenizer import Tokenizer
from workbench.training.corpus import train_bpe

GPT2_FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "gpt2-bpe"
STORY = "The unicorn walked to the green hill, and the children said: 'It's 10 o'clock already!'\n\nNobody answered. "
SMALL = Tokenizer(train_bpe([STORY * 20], 300))
VARIED = [
    "", " ", "Hello world", "  two  spaces\n\n\ttab", "don't we'll I'VE", "naïve café",
    "日本語のテキスト", "🦄👩‍👩‍👧 ok",
    "a\u0301 e\u0300", "1234567 3.14", "\x00\x1f\x7f", "مرحبا", "x" * 300,
    "<|extratoken_7|> and <|endoftext", "\u2028\ufeff",
]  # fmt: skip


@pytest.fixture(scope="module")
def gpt2() -> Tokenizer:
    """GPT-2's own vocabulary, which is GPT-J's."""
    if not GPT2_FOLDER.exists():
        pytest.skip(f"needs the published vocabulary in {GPT2_FOLDER}")
    return Tokenizer.from_folder(GPT2_FOLDER)


@pytest.fixture
def small_folder(tmp_path: Path) -> Path:
    """A folder with a small tokenizer in it."""
    SMALL.save(tmp_path)
    return tmp_path


def split_files(tokenizer_json: Path, folder: Path, vocabulary_name: str, merges_name: str) -> None:
    """Write a tokenizer.json as the two older files."""
    model = json.loads(tokenizer_json.read_text())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    (folder / vocabulary_name).write_text(json.dumps(model["vocab"]))
    (folder / merges_name).write_text("#version: 0.2\n" + "\n".join(merges) + "\n")


def test_hello_world_has_the_published_ids(gpt2: Tokenizer) -> None:
    assert gpt2.encode("Hello world") == [15496, 995]
    assert (gpt2.size, gpt2.eos_id) == (50257, 50256)


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_any_text_comes_back(text: str) -> None:
    assert SMALL.decode(SMALL.encode(text)) == text


@settings(max_examples=100, deadline=None)
@given(text=st.text())
def test_any_text_comes_back_from_the_published_vocabulary(gpt2: Tokenizer, text: str) -> None:
    assert gpt2.decode(gpt2.encode(text)) == text


@settings(max_examples=200, deadline=None)
@given(st.text())
def test_offsets_are_characters_and_cover_the_text(text: str) -> None:
    ids, offsets = SMALL.encode_with_offsets(text)
    assert ids == SMALL.encode(text)
    position = 0
    for token_id, (start, end) in zip(ids, offsets, strict=True):
        piece = SMALL.token_bytes(token_id)
        assert piece in text[start:end].encode()
        assert start in (position, position - 1)
        position = end
    assert position == len(text)


def test_the_offset_of_a_word_takes_its_leading_space(gpt2: Tokenizer) -> None:
    assert gpt2.encode_with_offsets("a quick fox")[1] == [(0, 1), (1, 7), (7, 11)]


def test_half_a_character_decodes_to_the_replacement_character(gpt2: Tokenizer) -> None:
    ids = gpt2.encode("🦄")
    assert len(ids) > 1
    assert gpt2.decode(ids[:1]) == "\ufffd"
    assert b"".join(map(gpt2.token_bytes, ids)).decode() == "🦄"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, SMALL.size + 5)))
def test_a_tokens_bytes_join_to_the_decoded_text(ids: list[int]) -> None:
    assert b"".join(map(SMALL.token_bytes, ids)).decode(errors="replace") == SMALL.decode(ids)


def test_a_typed_end_of_text_stays_text() -> None:
    text = "once<|endoftext|>more"
    ids = SMALL.encode(text)
    assert SMALL.eos_id not in ids
    assert SMALL.decode(ids) == text


def test_special_tokens_are_left_out_on_request() -> None:
    ids = [*SMALL.encode("the end"), SMALL.eos_id]
    assert SMALL.decode(ids) == "the end<|endoftext|>"
    assert SMALL.decode(ids, skip_special_tokens=True) == "the end"


def test_ids_beyond_the_vocabulary_decode_to_nothing() -> None:
    assert SMALL.decode([SMALL.size, *SMALL.encode("hill"), 2**31]) == "hill"


@pytest.mark.parametrize("ids", [[-1], [2**32], [1.5], ["a"], [[1, 2]], torch.tensor([[1, 2]])])
def test_ids_that_are_none_are_refused(ids: list) -> None:
    with pytest.raises(BadRequest):
        SMALL.decode(ids)


def test_a_lone_surrogate_is_refused_with_its_place() -> None:
    with pytest.raises(BadRequest, match=r"character 3 is U\+D83E"):
        SMALL.encode("ab\ud83e")


def test_a_call_gives_one_row_for_one_text_and_lists_without_tensors() -> None:
    encoding = SMALL("the hill", return_tensors="pt")
    assert encoding.input_ids.tolist() == [SMALL.encode("the hill")]
    assert encoding["attention_mask"].tolist() == [[1] * encoding.input_ids.shape[1]]
    assert SMALL("the hill").input_ids == SMALL.encode("the hill")
    assert SMALL(["the hill"]).input_ids == [SMALL.encode("the hill")]
    assert set(dict(**encoding)) == {"input_ids", "attention_mask"}


@pytest.mark.parametrize("texts", ["", [""], []])
def test_nothing_encodes_to_a_tensor_without_columns(texts: str | list[str]) -> None:
    encoding = SMALL(texts, return_tensors="pt")
    assert encoding.input_ids.shape == (0 if texts == [] else 1, 0)
    assert encoding.input_ids.dtype == torch.long


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_masked_and_leaves_the_text_whole(side: str) -> None:
    texts = ["the hill", "a", "the children said"]
    encoding = SMALL(texts, return_tensors="pt", padding=True, padding_side=side)
    for text, ids, mask in zip(texts, encoding.input_ids, encoding.attention_mask, strict=True):
        assert ids[mask.bool()].tolist() == SMALL.encode(text)
        assert set(ids[~mask.bool()].tolist()) <= {SMALL.eos_id}
        assert mask.tolist() == sorted(mask.tolist(), reverse=side == "right")


def test_truncation_and_padding_to_a_length() -> None:
    encoding = SMALL(["a", "the children said"], padding="max_length", truncation=True, max_length=4)
    assert encoding.input_ids[1] == SMALL.encode("the children said")[:4]
    assert encoding.input_ids[0] == SMALL.encode("a") + [SMALL.eos_id] * 3


@pytest.mark.parametrize(
    "arguments",
    [
        {"return_tensors": "tf"},
        {"padding": "sometimes"},
        {"truncation": True},
        {"padding": "max_length"},
        {"max_length": 0},
        {"padding_side": "top"},
        {"return_tensors": "pt"},
    ],
)
def test_a_call_that_means_nothing_is_refused(arguments: dict) -> None:
    with pytest.raises(BadRequest):
        SMALL(["a", "the hill"], **arguments)


def test_decoding_takes_tensors_and_batches() -> None:
    rows = SMALL(["the hill", "said it"], return_tensors="pt", padding=True).input_ids
    assert SMALL.decode(rows[0], skip_special_tokens=True) == "the hill"
    assert SMALL.batch_decode(rows, skip_special_tokens=True) == ["the hill", "said it"]
    assert SMALL.decode(rows[0, 0]) == SMALL.decode([int(rows[0, 0])])


def test_a_saved_tokenizer_is_the_same(small_folder: Path) -> None:
    again = Tokenizer.from_folder(small_folder)
    assert (again.size, again.eos_id) == (SMALL.size, SMALL.eos_id)
    assert [again.encode(text) for text in VARIED] == [SMALL.encode(text) for text in VARIED]


@pytest.mark.parametrize("names", [("vocab.json", "merges.txt"), ("encoder.json", "vocab.bpe")])
def test_the_older_files_give_the_same_tokenizer(small_folder: Path, tmp_path: Path, names: tuple[str, str]) -> None:
    older = tmp_path / "older"
    older.mkdir()
    split_files(small_folder / "tokenizer.json", older, *names)
    again = Tokenizer.from_pretrained(older)
    assert [again.encode(text) for text in VARIED] == [SMALL.encode(text) for text in VARIED]


def test_the_first_releases_files_have_the_published_ids(gpt2: Tokenizer, tmp_path: Path) -> None:
    for name in ("encoder.json", "vocab.bpe"):
        (tmp_path / name).symlink_to(GPT2_FOLDER / name)
    (tmp_path / "added_tokens.json").write_text(json.dumps({f"<|extratoken_{n}|>": 50256 + n for n in range(1, 144)}))
    (tmp_path / "config.json").write_text('{"vocab_size": 50400}')
    gptj = Tokenizer.from_folder(tmp_path)
    assert (gptj.size, gptj.eos_id) == (50400, 50256)
    assert gptj.encode("Hello<|extratoken_143|> world") == [15496, 50399, 995]
    assert gptj.decode([50257], skip_special_tokens=True) == "<|extratoken_1|>"
    plain = [text for text in VARIED if "extratoken" not in text]
    assert [gptj.encode(text) for text in plain] == [gpt2.encode(text) for text in plain]


def test_transformers_reads_what_is_saved_and_agrees(gpt2: Tokenizer, tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    rng = random.Random(0)
    noise = [
        "".join(chr(rng.choice((rng.randrange(32, 127), rng.randrange(0xA0, 0xD000)))) for _ in range(50))
        for _ in range(50)
    ]
    for number, tokenizer in enumerate((SMALL, gpt2)):
        folder = tmp_path / str(number)
        tokenizer.save(folder)
        for theirs in (
            transformers.AutoTokenizer.from_pretrained(folder),
            transformers.PreTrainedTokenizerFast.from_pretrained(folder),
        ):
            assert theirs.eos_token_id == tokenizer.eos_id
            assert len(theirs) == tokenizer.size
            for text in VARIED + noise:
                ids = tokenizer.encode(text)
                assert theirs(text).input_ids == ids
                assert theirs.decode(ids) == tokenizer.decode(ids)


BREAKAGES: dict[str, Callable[[Path], object]] = {
    "tokenizer.json": lambda path: path.write_text(path.read_text()[:500]),
    "tokenizer.json: is not a byte-level": lambda path: path.write_text('{"model": {"type": "Unigram"}, "decoder": 3}'),
    "tokenizer.json: can't be read as": lambda path: path.write_text(path.read_text().replace('"merges"', '"mergers"')),
    "tokenizer.json: does not give a text back": lambda path: path.write_text(
        path.read_text().replace('"normalizer":null', '"normalizer":{"type":"Lowercase"}')
    ),
    "tokenizer.json: must hold a JSON object": lambda path: path.write_text("[]"),
    "tokenizer.json: is a Git LFS pointer": lambda path: path.write_text(
        "version https://git-lfs.github.com/spec/v1\n"
    ),
    "tokenizer.json: is not valid JSON": lambda path: path.write_text("<html>Sign in</html>"),
    "tokenizer.json: is not UTF-8": lambda path: path.write_bytes(b"\xff\xfe{}"),
    "tokenizer.json: knows 300 tokens": lambda path: (path.parent / "config.json").write_text('{"vocab_size": 256}'),
    "config.json": lambda path: (path.parent / "config.json").write_text("{"),
    "tokenizer_config.json: eos_token": lambda path: (path.parent / "tokenizer_config.json").write_text(
        '{"eos_token": 3}'
    ),
    "tokenizer.json: lacks the end-of-text": lambda path: (path.parent / "tokenizer_config.json").write_text(
        '{"eos_token": {"content": "</s>"}}'
    ),
}


@pytest.mark.parametrize("message", BREAKAGES)
def test_a_broken_file_is_named(small_folder: Path, message: str) -> None:
    BREAKAGES[message](small_folder / "tokenizer.json")
    with pytest.raises(BadCheckpoint) as raised:
        Tokenizer.from_folder(small_folder)
    assert str(raised.value).startswith(message)


OLDER_BREAKAGES: dict[str, Callable[[Path], object]] = {
    "merges.txt: can't be read": lambda folder: (folder / "merges.txt").unlink(),
    "merges.txt: line 3 is no merge": lambda folder: (folder / "merges.txt").write_text("#version: 0.2\nh e\nonly\n"),
    "merges.txt: line 1 is no merge": lambda folder: (folder / "merges.txt").write_text("q q\n"),
    "vocab.json: lacks 256 of the 256 byte": lambda folder: (folder / "vocab.json").write_text('{"hello": 0}'),
    "vocab.json: the ids have a gap": lambda folder: (folder / "vocab.json").write_text('{"a": 0, "b": 0}'),
    "vocab.json: the id of 'a'": lambda folder: (folder / "vocab.json").write_text('{"a": "0"}'),
    "added_tokens.json: the ids have a gap": lambda folder: (folder / "added_tokens.json").write_text('{"x y": 999}'),
}


@pytest.mark.parametrize("message", OLDER_BREAKAGES)
def test_a_broken_older_file_is_named(small_folder: Path, message: str) -> None:
    split_files(small_folder / "tokenizer.json", small_folder, "vocab.json", "merges.txt")
    (small_folder / "tokenizer.json").unlink()
    OLDER_BREAKAGES[message](small_folder)
    with pytest.raises(BadCheckpoint) as raised:
        Tokenizer.from_folder(small_folder)
    assert str(raised.value).startswith(message)


def test_a_folder_without_a_tokenizer_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointNotFound, match="no tokenizer here"):
        Tokenizer.from_folder(tmp_path)
