"""The reader of TensorFlow's format: names, transposes, and files that are broken or more than plain arrays."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.loading.foreign import write_tf_model
from tests.loading.tiny import tiny_model
from workbench.errors import BadCheckpoint, MissingDependency
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.loading.checkpoint import open_checkpoint, whole
from workbench.loading.formats.tf_h5 import open_h5, torch_name

h5py = pytest.importorskip("h5py")
FILE = "tf_model.h5"
VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)

NAMES = {
    "transformer/tf_gptj_for_causal_lm/transformer/wte/weight:0": "transformer.wte.weight",
    "transformer/tf_gptj_for_causal_lm/transformer/h_._0/attn/q_proj/kernel:0": "transformer.h.0.attn.q_proj.weight",
    "transformer/tf_gptj_for_causal_lm/transformer/h_._27/mlp/fc_out/bias:0": "transformer.h.27.mlp.fc_out.bias",
    "transformer/tf_gptj_model/transformer/h_._3/ln_1/gamma:0": "transformer.h.3.ln_1.weight",
    "transformer/tf_gptj_model/transformer/ln_f/beta:0": "transformer.ln_f.bias",
    "lm_head/tf_gptj_for_causal_lm/lm_head/kernel:0": "lm_head.weight",
    "score/tf_gptj_for_sequence_classification/score/kernel:0": "score.weight",
    "qa_outputs/tf_gptj_for_question_answering/qa_outputs/bias:0": "qa_outputs.bias",
    "transformer/h_._1/attn/k_proj/kernel:0": "transformer.h.1.attn.k_proj.weight",
    "top_level_model_weights": "top_level_model_weights",
}


@pytest.mark.parametrize("place", NAMES)
def test_a_weights_path_becomes_pytorchs_name(place):
    assert torch_name(place) == NAMES[place]


@pytest.mark.parametrize("cls", [GPTJForSequenceClassification, GPTJForQuestionAnswering])
def test_a_model_with_a_head_reads_as_it_was(cls, tmp_path):
    model = tiny_model(cls)
    write_tf_model(model, tmp_path)
    found = open_checkpoint(tmp_path)
    assert set(found.tensors) == set(model.state_dict())
    assert all(torch.equal(whole(found, name), value) for name, value in model.state_dict().items())


def saved(folder: Path, **datasets: object) -> Path:
    """A file with these data sets."""
    with h5py.File(folder / FILE, "w") as file:
        for name, options in datasets.items():
            file.create_dataset(name, **options)  # type: ignore[arg-type]
    return folder / FILE


NOT_PLAIN = {
    "compressed": {"data": VALUES, "compression": "gzip"},
    "in chunks": {"data": VALUES, "chunks": (1, 4)},
    "of texts": {"data": np.array([b"abc"])},
    "of texts of any length": {"data": ["abc"]},
    "of pairs": {"data": np.zeros(3, dtype=[("a", "f4"), ("b", "f4")])},
    "big-endian": {"data": VALUES.astype(">f4")},
    "without values": {"data": h5py.Empty("f4")},
    "claimed and never written": {"shape": (2**20, 2**20), "dtype": "f4"},
    "in another file": {"shape": (3, 4), "dtype": "f4", "external": [("/etc/passwd", 0, 48)]},
}


@pytest.mark.parametrize("what", NOT_PLAIN)
def test_anything_but_a_plain_array_is_refused(what, tmp_path):
    with pytest.raises(BadCheckpoint, match=r"tf_model\.h5: .*'?a'?"):
        open_h5(saved(tmp_path, a=NOT_PLAIN[what]))


LINKS = {
    "to another file": lambda: h5py.ExternalLink("/etc/passwd", "/"),
    "to another place": lambda: h5py.SoftLink("/a"),
}


@pytest.mark.parametrize("link", LINKS)
def test_a_link_is_refused(link, tmp_path):
    path = saved(tmp_path, a={"data": VALUES})
    with h5py.File(path, "a") as file:
        file["b"] = LINKS[link]()
    with pytest.raises(BadCheckpoint, match="'b' is a link"):
        open_h5(path)


@pytest.mark.parametrize("second", ["g/g", "h"])
def test_a_group_at_two_places_is_refused(second, tmp_path):
    path = saved(tmp_path, a={"data": VALUES})
    with h5py.File(path, "a") as file:
        file[second] = file.create_group("g")
    with pytest.raises(BadCheckpoint, match="no group of its own"):
        open_h5(path)


def test_two_names_for_one_tensor_are_refused(tmp_path):
    path = saved(tmp_path, **{"x/wte/weight:0": {"data": VALUES}, "y/wte/weight:0": {"data": VALUES}})
    with pytest.raises(BadCheckpoint, match=r"'transformer\.wte\.weight' twice"):
        open_h5(path)


def test_the_files_of_an_index_are_one_checkpoint(tmp_path):
    for number, name in enumerate(["transformer/wte/weight:0", "lm_head/bias:0"], start=1):
        saved(tmp_path, **{name: {"data": VALUES}}).rename(tmp_path / f"tf_model-0000{number}-of-00002.h5")
    (tmp_path / f"{FILE}.index.json").write_text(
        '{"weight_map": {"wte": "tf_model-00001-of-00002.h5", "lm_head": "tf_model-00002-of-00002.h5"}}'
    )
    assert set(open_checkpoint(tmp_path).tensors) == {"transformer.wte.weight", "lm_head.bias"}


def test_without_h5py_the_package_is_named(tmp_path, monkeypatch):
    path = saved(tmp_path, a={"data": VALUES})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependency, match="pip install h5py"):
        open_h5(path)


@pytest.mark.parametrize("fraction", [0.0, 0.0005, 0.01, 0.3, 0.7, 0.99, 0.9999])
def test_a_file_cut_anywhere_is_refused(fraction, tmp_path):
    write_tf_model(tiny_model(), tmp_path)
    path = tmp_path / FILE
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * fraction)])
    with pytest.raises(BadCheckpoint, match=r"tf_model\.h5"):
        open_h5(path)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file, mostly of structure."""
    names = ("m/wte/weight:0", "m/h_._0/attn/q_proj/kernel:0", "m/h_._0/ln_1/gamma:0")
    return saved(tmp_path_factory.mktemp("h5"), **{name: {"data": VALUES} for name in names})


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), bits=st.integers(1, 255), cut=st.booleans())
def test_changed_bytes_and_cuts_give_a_value_or_bad_checkpoint(small, tmp_path, place, bits, cut):
    data = small.read_bytes()
    at = int(place * (len(data) - 1))
    path = tmp_path / FILE
    path.write_bytes(data[:at] if cut else data[:at] + bytes([data[at] ^ bits]) + data[at + 1 :])
    try:
        found = open_h5(path)
    except BadCheckpoint:
        return
    assert not cut
    for name, info in found.tensors.items():
        assert info.bytes <= len(data)
        whole(found, name)
