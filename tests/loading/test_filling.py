"""Tensors filled by several threads are what one thread makes of them."""

import math
import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loading.tiny import WRITERS, assert_same_state, tiny_config, tiny_model, write_state
from workbench.errors import BadCheckpoint
from workbench.gptj.model import GPTJForCausalLM
from workbench.loading import checkpoint as reading
from workbench.loading.checkpoint import TensorInfo, open_checkpoint, rows_a_piece, whole
from workbench.loading.filling import MOST_THREADS, PIECES_A_SHARE, fill, share_out
from workbench.loading.load import from_pretrained, save_pretrained


@pytest.fixture
def four_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """PyTorch uses four threads, and every 64 rows are a piece."""
    monkeypatch.setattr(reading, "PIECE_BYTES", 1)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def described(rows: int) -> TensorInfo:
    return TensorInfo("a", (rows, 7), torch.float32, rows * 28, "x")


@pytest.mark.parametrize("form", WRITERS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_several_threads_read_what_one_reads(form, dtype, four_threads, tmp_path):
    WRITERS[form](tiny_model(vocab_size=1000), tmp_path)
    several = from_pretrained(GPTJForCausalLM, tmp_path, dtype=dtype)
    assert torch.get_num_threads() == 4
    assert_same_state(several, tiny_model(vocab_size=1000).to(dtype))


@pytest.mark.parametrize("form", WRITERS)
def test_some_rows_read_into_their_place_leave_the_others_alone(form, four_threads, tmp_path):
    model = tiny_model(vocab_size=300)
    WRITERS[form](model, tmp_path)
    out = torch.zeros(300 * 32)
    pieces = list(open_checkpoint(tmp_path).pieces("transformer.wte.weight", range(64, 250), out))
    expected = model.transformer.wte.weight.detach().clone()
    assert torch.equal(torch.cat(pieces), expected[64:250].reshape(-1))
    expected[:64] = expected[250:] = 0
    assert torch.equal(out.view(300, 32), expected)


@given(st.integers(0, 5000), st.integers(1, 5))
@settings(max_examples=50, deadline=None)
def test_every_row_is_given_out_once(rows, threads):
    before, given_out = torch.get_num_threads(), []
    torch.set_num_threads(threads)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(reading, "PIECE_BYTES", 1)
        share_out(described(rows), given_out.append)
    torch.set_num_threads(before)
    assert len(given_out) == -(-rows // 256)
    assert sorted(row for share in given_out for row in share) == list(range(rows))


def test_shares_end_where_pieces_do(four_threads):
    given_out: list[range] = []
    share_out(described(5000), given_out.append)
    assert len(given_out) > 4
    assert all(share.start % rows_a_piece((5000, 7), 4) == 0 for share in given_out)


def test_in_its_threads_pytorch_computes_alone(four_threads, monkeypatch):
    seen = set()
    everybody = threading.Barrier(4)

    def work(share: range) -> None:
        if share.start < 4 * 256:
            everybody.wait(10)
        seen.add((threading.current_thread().name, torch.get_num_threads()))

    share_out(described(256 * 6), work)
    assert len(seen) == 4 <= MOST_THREADS and {threads for _, threads in seen} == {1}


def test_an_error_in_a_thread_is_raised_and_ends_the_rest(four_threads):
    begun = []

    def work(share: range) -> None:
        begun.append(share)
        raise BadCheckpoint("x", "it is broken")

    with pytest.raises(BadCheckpoint, match="it is broken"):
        share_out(described(256 * 1000), work)
    assert len(begun) < 1000
    assert torch.get_num_threads() == 4


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("row", [0, 255, 256, 800, 1499])
def test_a_value_that_is_no_number_is_found_in_every_share(wrong, precision, row, four_threads, tmp_path):
    assert PIECES_A_SHARE * rows_a_piece((1500, 32), 4) == 256  # six shares
    state = tiny_model(n_inner=1500).state_dict()
    state["transformer.h.1.mlp.fc_in.weight"][row, 31] = wrong
    write_state(state, tiny_config(n_inner=1500), tmp_path)
    with pytest.raises(BadCheckpoint, match=r"fc_in\.weight' holds NaN or infinite values"):
        from_pretrained(GPTJForCausalLM, tmp_path, precision=precision)


def test_a_file_changed_before_threads_read_it_is_refused(four_threads, tmp_path):
    save_pretrained(tiny_model(vocab_size=1000), tmp_path)
    found = open_checkpoint(tmp_path)
    path = tmp_path / "model.safetensors"
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(BadCheckpoint, match="it was changed while it was read"):
        fill(torch.empty(1000, 32), found, "transformer.wte.weight", lambda piece: piece)


def test_a_tensor_of_the_same_type_is_read_without_a_copy(tmp_path):
    save_pretrained(tiny_model(), tmp_path)
    found, out, seen = open_checkpoint(tmp_path), torch.empty(99, 32), []
    fill(out, found, "lm_head.weight", lambda piece: seen.append(piece.data_ptr()) or piece)
    assert seen == [out.data_ptr()]
    assert torch.equal(out, whole(found, "lm_head.weight"))
