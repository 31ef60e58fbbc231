"""The TensorFlow twins compute what our torch classes compute; `python -m tests.twins` runs this where Keras is."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from tests.gptj.tiny import CLASSES as TORCH
from tests.gptj.tiny import fill, tiny_config, tokens
from tests.loading.foreign import ALL_WRITERS
from tests.loading.tiny import tiny_model
from tests.twins.cases import CLOSE, SEEDS, array, assert_close, batch_for, difference, saved_model
from workbench.errors import BadRequest, TooLong
from workbench.loading.load import from_pretrained, save_pretrained
from workbench.published import GPTJForCausalLM

tf = pytest.importorskip("tensorflow", reason="python -m tests.twins installs it")
keras = pytest.importorskip("keras", reason="python -m tests.twins installs it")
twins = pytest.importorskip("workbench.twins.tf_gptj")
CLASSES = {
    "trunk": "TFGPTJModel",
    "causal": "TFGPTJForCausalLM",
    "classify": "TFGPTJForSequenceClassification",
    "answer": "TFGPTJForQuestionAnswering",
}


@pytest.fixture(autouse=True)
def nothing_of_keras_is_kept() -> Iterator[None]:
    """Keras keeps names and graphs of every model until it is told to let go."""
    yield
    keras.backend.clear_session()


def twin_of(kind: str, folder: Path, dtype: str | None = None) -> Any:
    return getattr(twins, CLASSES[kind]).from_pretrained(folder, dtype=dtype)


def tiny_pair(folder: Path, **changes: Any) -> tuple[Any, Any]:
    """A torch model and its twin."""
    model = fill(GPTJForCausalLM(tiny_config(**changes)), 0)
    save_pretrained(model, folder)
    return model, twin_of("causal", folder)


def arrays(named: dict[str, Any]) -> dict[str, Any]:
    return {name: array(value) for name, value in named.items()}


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("seed", SEEDS)
def test_states_logits_and_attention_are_those_of_the_torch_class(kind: str, seed: int, tmp_path: Path) -> None:
    model = saved_model(kind, seed, tmp_path)
    batch = batch_for(model, seed)
    asked = {"output_hidden_states": True, "output_attentions": True}
    found = twin_of(kind, tmp_path)(array(batch.input_ids), **arrays(batch.arguments), **asked)
    with torch.no_grad():
        assert_close(found, model(batch.input_ids, **batch.arguments, **asked))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cache_filled_in_two_calls_gives_what_one_call_gives(seed: int, tmp_path: Path) -> None:
    model = saved_model("causal", seed, tmp_path)
    twin = twin_of("causal", tmp_path)
    batch = batch_for(model, seed)
    ids, mask, real = array(batch.input_ids), array(batch.attention_mask), array(batch.real)
    cut = 1 + seed % (ids.shape[1] - 1)
    first = twin(ids[:, :cut], attention_mask=None if mask is None else mask[:, :cut], use_cache=True)
    second = twin(ids[:, cut:], first.past_key_values, mask)
    apart = numpy.concatenate([first.logits, second.logits], 1)
    assert abs(apart - numpy.asarray(twin(ids, attention_mask=mask).logits))[real].max() < CLOSE


def test_a_cache_is_a_pair_a_layer(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    held = twin(array(tokens(3, 5)), use_cache=True).past_key_values
    assert [tuple(tuple(one.shape) for one in pair) for pair in held] == [((3, 2, 5, 8),) * 2] * 2
    assert twin(array(tokens(3, 5)), use_cache=False).past_key_values is None


@pytest.mark.parametrize("kind", ["causal", "classify", "answer"])
@pytest.mark.parametrize("seed", SEEDS)
def test_losses_are_those_of_the_torch_class(kind: str, seed: int, tmp_path: Path) -> None:
    num_labels = 2 if kind != "classify" else 1 + seed % 3
    model = saved_model(kind, seed, tmp_path, num_labels)
    batch = batch_for(model, seed)
    rows, count = batch.input_ids.shape
    rng = numpy.random.default_rng(seed)
    if kind == "causal":
        labels = {"labels": batch.labels}
    elif kind == "answer":
        labels = {name: torch.from_numpy(rng.integers(0, count + 2, rows)) for name in ("start_positions",)}
        labels["end_positions"] = torch.from_numpy(rng.integers(0, count, rows))
        labels["start_positions"][0] = 1  # one target at least
    elif num_labels == 1:
        labels = {"labels": torch.from_numpy(rng.standard_normal(rows).astype("float32"))}
    elif num_labels == 2:
        labels = {"labels": torch.from_numpy(rng.integers(0, 2, rows))}
    else:
        labels = {"labels": torch.from_numpy(rng.integers(0, 2, (rows, num_labels)).astype("float32"))}
    found = twin_of(kind, tmp_path)(
        array(batch.input_ids), attention_mask=array(batch.attention_mask), **arrays(labels)
    )
    with torch.no_grad():
        expected = model(batch.input_ids, attention_mask=batch.attention_mask, **labels)
    assert abs(float(found.loss) - expected.loss.item()) < CLOSE


@pytest.mark.parametrize("form", ALL_WRITERS)
def test_a_checkpoint_of_every_format_becomes_the_same_twin(form: str, tmp_path: Path) -> None:
    model = tiny_model()
    ALL_WRITERS[form](model, tmp_path)
    ids = tokens(2, 5, vocab_size=model.config.vocab_size)
    with torch.no_grad():
        assert difference(twin_of("causal", tmp_path)(array(ids)).logits, model(ids).logits) < CLOSE


def test_a_tied_model_has_no_matrix_in_its_head(tmp_path: Path) -> None:
    model, twin = tiny_pair(tmp_path, tie_word_embeddings=True)
    ids = tokens(2, 5)
    assert [variable.name for variable in twin.lm_head.weights] == ["bias"]
    with torch.no_grad():
        assert difference(twin(array(ids)).logits, model(ids).logits) < CLOSE


def test_bfloat16_weights_can_be_computed_with_in_float32(tmp_path: Path) -> None:
    save_pretrained(fill(GPTJForCausalLM(tiny_config()), 0).bfloat16(), tmp_path)
    ids = tokens(2, 5)
    with torch.no_grad():
        expected = from_pretrained(GPTJForCausalLM, tmp_path, dtype="float32")(ids).logits
    assert difference(twin_of("causal", tmp_path, "float32")(array(ids)).logits, expected) < CLOSE


@pytest.mark.parametrize("dtype", [None, "bfloat16", "mixed_bfloat16"])
def test_a_bfloat16_computation_stays_near_that_in_float32(dtype: str | None, tmp_path: Path) -> None:
    model = fill(GPTJForCausalLM(tiny_config()), 0)
    save_pretrained(model.bfloat16() if dtype is None else model, tmp_path)
    found = twin_of("causal", tmp_path, dtype)(array(tokens(2, 5))).logits
    assert found.dtype == "bfloat16"
    with torch.no_grad():
        assert 0 < difference(tf.cast(found, "float32"), model.float()(tokens(2, 5)).logits) < 0.1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("kind", CLASSES)
def test_a_saved_twin_is_the_torch_model_bit_for_bit(kind: str, dtype: str, tmp_path: Path) -> None:
    model = fill(TORCH[kind](tiny_config()), 0).to(getattr(torch, dtype))
    save_pretrained(model, tmp_path / "torch")
    twin_of(kind, tmp_path / "torch").save_pretrained(tmp_path / "tf")
    again = from_pretrained(TORCH[kind], tmp_path / "tf").state_dict()
    assert all(torch.equal(again[name], value.float()) for name, value in model.state_dict().items())


def test_a_saved_file_has_the_published_names(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    _, twin = tiny_pair(tmp_path / "torch")
    twin.save_pretrained(tmp_path / "tf")
    with h5py.File(tmp_path / "tf" / "tf_model.h5") as file:
        assert [*file.attrs["layer_names"]] == ["transformer", "lm_head"]
        names = [name.partition("/")[2] for name in file["transformer"].attrs["weight_names"]]
    assert "transformer/h_._1/attn/q_proj/kernel:0" in names
    assert len(names) == 1 + 2 * 10 + 2


def test_a_folder_with_weights_that_would_be_read_instead_is_not_saved_to(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    with pytest.raises(BadRequest, match=r"holds model.safetensors"):
        twin.save_pretrained(tmp_path)


def test_a_new_head_is_made_fresh_and_said_to_be(tmp_path: Path) -> None:
    saved_model("trunk", 0, tmp_path)
    with pytest.warns(UserWarning, match=r"untrained.*score.weight"):
        twin = twin_of("classify", tmp_path)
    assert twin.load_report.untrained == ("score.weight",)


@pytest.mark.parametrize("seed", range(5))
def test_generate_gives_the_tokens_of_the_torch_class(seed: int, tmp_path: Path) -> None:
    model, twin = tiny_pair(tmp_path)
    ids = tokens(3, 5, seed)
    mask = torch.tensor([[1] * 5, [0, 0, 1, 1, 1], [0, 1, 1, 1, 1]])
    settings = {"max_new_tokens": 6, "eos_token_id": 7 + seed, "pad_token_id": 0}
    expected = model.generate(ids, attention_mask=mask, **settings)
    assert numpy.array_equal(twin.generate(ids, mask, **settings), expected)


def test_all_inputs_may_stand_in_one_dictionary(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    ids, mask = array(tokens(2, 5)), numpy.array([[0, 0, 1, 1, 1], [1] * 5])
    given = twin({"input_ids": ids, "attention_mask": mask}).logits
    assert numpy.array_equal(given, twin(ids, attention_mask=mask).logits)


def test_embeddings_may_stand_in_place_of_ids(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    ids = array(tokens(2, 5))
    assert numpy.array_equal(twin(inputs_embeds=twin.transformer.wte(ids)).logits, twin(ids).logits)
    with pytest.raises(BadRequest, match="exactly one of"):
        twin(ids, inputs_embeds=twin.transformer.wte(ids))


def test_a_compiled_function_gives_what_the_model_gives(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    any_shape = tf.function(lambda ids: twin(ids).logits, input_signature=[tf.TensorSpec((None, None), "int32")])
    ids = tf.constant(array(tokens(2, 5)), "int32")
    assert abs(any_shape(ids).numpy() - twin(ids).logits.numpy()).max() < CLOSE


def test_predict_gives_the_outputs_by_name(tmp_path: Path) -> None:
    model, twin = tiny_pair(tmp_path)
    ids = tokens(5, 4)
    with torch.no_grad():
        found = twin.predict({"input_ids": array(ids)}, batch_size=2, verbose=0)
        assert difference(found["logits"], model(ids).logits) < CLOSE


def test_fit_learns_from_labels_among_the_inputs(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    ids = array(tokens(4, 6))
    twin.compile("adam")
    losses = twin.fit({"input_ids": ids, "labels": ids}, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


def test_dropout_draws_only_in_training(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path, dropout=0.5)
    ids = array(tokens(1, 5))
    assert not numpy.array_equal(twin(ids, training=True).logits, twin(ids, training=True).logits)
    assert numpy.array_equal(twin(ids).logits, twin(ids).logits)


def test_gradients_are_those_of_the_torch_class(tmp_path: Path) -> None:
    model, twin = tiny_pair(tmp_path)
    ids = tokens(2, 5)
    model(ids, labels=ids).loss.backward()
    kernel = twin.transformer.h[0].attn.q_proj.kernel
    with tf.GradientTape() as tape:
        loss = twin(array(ids), labels=array(ids)).loss
    found = tape.gradient(loss, kernel.value)
    assert difference(tf.transpose(found), model.transformer.h[0].attn.q_proj.weight.grad) < CLOSE


def test_several_rows_without_a_sign_of_their_end_are_refused() -> None:
    twin = twins.TFGPTJForSequenceClassification(tiny_config())
    with pytest.raises(BadRequest, match="no padding token"):
        twin(array(tokens(2, 5)))


def test_a_mask_that_does_not_cover_the_tokens_is_refused() -> None:
    with pytest.raises(BadRequest, match="covers 4 tokens, and there are 5"):
        twins.TFGPTJModel(tiny_config())(array(tokens(1, 5)), attention_mask=numpy.ones((1, 4), int))


def test_more_tokens_than_the_context_are_refused() -> None:
    with pytest.raises(TooLong, match="n_positions=8"):
        twins.TFGPTJModel(tiny_config(n_positions=8))(array(tokens(1, 9)))
