"""The Flax twin computes what our torch classes compute; `python -m tests.twins` runs this where JAX is."""

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch

from tests.gptj.tiny import fill, tiny_config, tokens
from tests.loading.foreign import ALL_WRITERS
from tests.loading.tiny import tiny_model
from tests.twins.cases import CLOSE, SEEDS, array, assert_close, batch_for, difference, references, saved_model
from workbench.errors import BadCheckpoint, BadRequest, TooLong
from workbench.loading.load import from_pretrained, save_pretrained
from workbench.loading.write import SINGLE, as_tensor_to_save, write_tensors
from workbench.published import GPTJForCausalLM, GPTJModel

jax = pytest.importorskip("jax", reason="python -m tests.twins installs it")
serialization = pytest.importorskip("flax", reason="python -m tests.twins installs it").serialization
jnp = jax.numpy
twins = pytest.importorskip("workbench.twins.flax_gptj")
CLASSES = {"trunk": "FlaxGPTJModel", "causal": "FlaxGPTJForCausalLM"}


TESTS_DONE = count(1)


@pytest.fixture(autouse=True)
def little_compiled_is_kept() -> Iterator[None]:
    """What JAX compiled for a test's shapes seldom serves another, and a hundred tests' take gigabytes."""
    yield
    if next(TESTS_DONE) % 10 == 0:
        jax.clear_caches()


def twin_of(kind: str, folder: Path) -> Any:
    return getattr(twins, CLASSES[kind]).from_pretrained(folder)


def tiny_pair(folder: Path, **changes: Any) -> tuple[Any, Any]:
    """A torch model and its twin."""
    model = fill(GPTJForCausalLM(tiny_config(**changes)), 0)
    save_pretrained(model, folder)
    return model, twin_of("causal", folder)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("seed", SEEDS)
def test_states_logits_and_attention_are_those_of_the_torch_class(kind: str, seed: int, tmp_path: Path) -> None:
    model = saved_model(kind, seed, tmp_path)
    batch = batch_for(model, seed)
    mask, positions = batch.attention_mask, batch.position_ids
    found = twin_of(kind, tmp_path)(
        array(batch.input_ids), array(mask), array(positions), output_hidden_states=True, output_attentions=True
    )
    assert_close(found, references(model, batch, attention_mask=mask, position_ids=positions))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cache_filled_in_two_calls_gives_what_one_call_gives(seed: int, tmp_path: Path) -> None:
    model = saved_model("causal", seed, tmp_path)
    twin = twin_of("causal", tmp_path)
    batch = batch_for(model, seed)
    ids, mask, real = array(batch.input_ids), array(batch.attention_mask), array(batch.real)
    cut = 1 + seed % (ids.shape[1] - 1)
    first = twin(ids[:, :cut], mask, past_key_values=twin.init_cache(len(ids), ids.shape[1] + 3))
    second = twin(ids[:, cut:], mask, past_key_values=first.past_key_values)
    apart = numpy.concatenate([first.logits, second.logits], 1)
    assert abs(apart - numpy.asarray(twin(ids, mask).logits))[real].max() < CLOSE


def test_a_cache_has_the_published_keys(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    held = twin.init_cache(2, 7)["transformer"]["h"]["1"]["attn"]
    assert {name: value.shape for name, value in held.items()} == {
        "cached_key": (2, 7, 2, 8),
        "cached_value": (2, 7, 2, 8),
        "cache_index": (),
    }


def test_tokens_past_the_end_of_a_cache_are_refused(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    full = twin(array(tokens(1, 4)), past_key_values=twin.init_cache(1, 4)).past_key_values
    with pytest.raises(TooLong, match="5 tokens exceed the room for 4"):
        twin(array(tokens(1, 1)), past_key_values=full)


def test_more_tokens_than_the_context_are_refused(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path, n_positions=8)
    with pytest.raises(TooLong, match="context of 8"):
        twin(array(tokens(1, 9)))


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
    assert set(twin.params["lm_head"]) == {"bias"}
    with torch.no_grad():
        assert difference(twin(array(ids)).logits, model(ids).logits) < CLOSE


def test_bfloat16_weights_keep_their_type_and_are_computed_with_in_float32(tmp_path: Path) -> None:
    save_pretrained(fill(GPTJForCausalLM(tiny_config()), 0).bfloat16(), tmp_path)
    twin = twin_of("causal", tmp_path)
    ids = tokens(2, 5)
    with torch.no_grad():
        expected = from_pretrained(GPTJForCausalLM, tmp_path, dtype="float32")(ids).logits
    assert {leaf.dtype.name for leaf in jax.tree.leaves(twin.params)} == {"bfloat16"}
    assert difference(twin(array(ids)).logits, expected) < CLOSE


def test_a_bfloat16_computation_stays_near_that_in_float32(tmp_path: Path) -> None:
    model, _ = tiny_pair(tmp_path)
    twin = twins.FlaxGPTJForCausalLM.from_pretrained(tmp_path, dtype=jnp.bfloat16)
    ids = tokens(2, 5)
    found = twin(array(ids)).logits
    assert found.dtype == jnp.bfloat16
    with torch.no_grad():
        assert 0 < difference(found.astype(jnp.float32), model(ids).logits) < 0.1


def test_parameters_are_cast_as_a_whole(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    for cast, name in ((twin.to_bf16, "bfloat16"), (twin.to_fp16, "float16"), (twin.to_fp32, "float32")):
        assert {leaf.dtype.name for leaf in jax.tree.leaves(cast(twin.params))} == {name}


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("cls", [GPTJForCausalLM, GPTJModel])
def test_a_saved_twin_is_the_torch_model_bit_for_bit(cls: Any, dtype: str, tmp_path: Path) -> None:
    model = fill(cls(tiny_config()), 0).to(getattr(torch, dtype))
    save_pretrained(model, tmp_path / "torch")
    twin_of("causal" if cls is GPTJForCausalLM else "trunk", tmp_path / "torch").save_pretrained(tmp_path / "flax")
    again = from_pretrained(cls, tmp_path / "flax").state_dict()
    assert all(torch.equal(again[name], value) for name, value in model.state_dict().items())


def test_flax_itself_reads_the_saved_file_as_the_parameters(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path / "torch")
    twin.save_pretrained(tmp_path / "flax")
    read = serialization.msgpack_restore((tmp_path / "flax" / "flax_model.msgpack").read_bytes())
    jax.tree.map(numpy.testing.assert_array_equal, read, twin.params)


def test_fresh_parameters_have_the_keys_and_shapes_of_loaded_ones(tmp_path: Path) -> None:
    model, twin = tiny_pair(tmp_path)
    fresh = twins.FlaxGPTJForCausalLM(model.config, seed=3)
    shapes = [jax.tree.map(lambda leaf: leaf.shape, one.params) for one in (fresh, twin)]
    assert shapes[0] == shapes[1]


def test_a_folder_with_weights_that_would_be_read_instead_is_not_saved_to(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path)
    with pytest.raises(BadRequest, match=r"holds model.safetensors"):
        twin.save_pretrained(tmp_path)


def test_quantised_weights_are_refused(tmp_path: Path) -> None:
    model, _ = tiny_pair(tmp_path)
    scales = {"transformer.h.0.attn.q_proj.SCB": torch.ones(16)}
    write_tensors(tmp_path / SINGLE, [as_tensor_to_save(*pair) for pair in {**model.state_dict(), **scales}.items()])
    with pytest.raises(BadRequest, match="int8 weights"):
        twin_of("causal", tmp_path)


def test_a_trunk_alone_is_no_language_model(tmp_path: Path) -> None:
    saved_model("trunk", 0, tmp_path)
    with pytest.raises(BadCheckpoint, match="lm_head"):
        twin_of("causal", tmp_path)


@pytest.mark.parametrize("seed", range(5))
def test_generate_gives_the_tokens_of_the_torch_class(seed: int, tmp_path: Path) -> None:
    model, twin = tiny_pair(tmp_path)
    ids = tokens(3, 5, seed)
    mask = torch.tensor([[1] * 5, [0, 0, 1, 1, 1], [0, 1, 1, 1, 1]])
    settings = {"max_new_tokens": 6, "eos_token_id": 7 + seed, "pad_token_id": 0}
    expected = model.generate(ids, attention_mask=mask, **settings)
    assert numpy.array_equal(twin.generate(ids, mask, **settings).sequences, expected)


def test_dropout_draws_only_in_training(tmp_path: Path) -> None:
    _, twin = tiny_pair(tmp_path, dropout=0.5)
    ids = array(tokens(1, 5))
    drawn = [twin(ids, dropout_rng=jax.random.key(key), train=True).logits for key in (0, 0, 1)]
    assert numpy.array_equal(drawn[0], drawn[1])
    assert not numpy.array_equal(drawn[0], drawn[2])
    assert numpy.array_equal(twin(ids).logits, twin(ids).logits)


def test_gradients_are_those_of_the_torch_class(tmp_path: Path) -> None:
    model, twin = tiny_pair(tmp_path)
    ids = tokens(2, 5)
    model(ids).logits.square().mean().backward()
    found = jax.grad(lambda params: jnp.square(twin(array(ids), params=params).logits).mean())(twin.params)
    kernel = found["transformer"]["h"]["0"]["attn"]["q_proj"]["kernel"].T
    assert difference(kernel, model.transformer.h[0].attn.q_proj.weight.grad) < CLOSE
