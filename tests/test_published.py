"""The published documentation's own usage works when only its import line changes."""

import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch

import workbench
from tests.gptj.tiny import fill, tiny_config, tokens
from workbench import (
    GPTJConfig,
    GPTJForCausalLM,
    GPTJForQuestionAnswering,
    GPTJForSequenceClassification,
    GPTJModel,
    Tokenizer,
)
from workbench.errors import BadRequest, TooLong
from workbench.text import tokenizer as text_tokenizer
from workbench.training.corpus import train_bpe

CLASSES = (GPTJModel, GPTJForCausalLM, GPTJForSequenceClassification, GPTJForQuestionAnswering)
PROMPT = "In a shocking finding, scientists discovered a herd of unicorns"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder: a tiny model and its tokenizer."""
    path = tmp_path_factory.mktemp("checkpoint")
    tokenizer = text_tokenizer.Tokenizer(train_bpe([PROMPT * 20], 300))
    tokenizer.save(path)
    values = tiny_config(vocab_size=tokenizer.size + 3, n_positions=160).to_dict()
    config = GPTJConfig.from_dict({**values, "bos_token_id": tokenizer.eos_id, "eos_token_id": tokenizer.eos_id})
    fill(GPTJForCausalLM(config), 0).save_pretrained(path)
    return path


@pytest.fixture
def model() -> GPTJForCausalLM:
    """A tiny language model without an end token."""
    return fill(GPTJForCausalLM(tiny_config()), 0)


def in_fresh_python(code: str) -> str:
    """What a program prints that imports the workbench first."""
    root = Path(workbench.__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_imports_no_torch() -> None:
    assert (
        in_fresh_python("import sys, workbench; print('torch' in sys.modules, 'numpy' in sys.modules)") == "False False"
    )


def test_using_the_published_names_imports_no_transformers() -> None:
    code = "import sys; from workbench import GPTJForCausalLM, Tokenizer; print('transformers' in sys.modules)"
    assert in_fresh_python(code) == "False"


def test_the_package_names_what_it_has_not() -> None:
    with pytest.raises(AttributeError, match="'GPTNeo'"):
        workbench.GPTNeo  # noqa: B018


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_published_page_generates(folder: Path, dtype: torch.dtype) -> None:
    model = GPTJForCausalLM.from_pretrained(folder, dtype=dtype)
    tokenizer = Tokenizer.from_pretrained(folder)
    input_ids = tokenizer(PROMPT, return_tensors="pt").input_ids
    generated = model.generate(input_ids, do_sample=True, temperature=0.9, max_length=100)
    assert generated.dtype == torch.long and generated.shape[0] == 1
    assert input_ids.shape[1] < generated.shape[1] <= 100
    assert tokenizer.batch_decode(generated)[0].startswith(PROMPT)
    assert {parameter.dtype for parameter in model.parameters()} == {dtype}


def test_an_encoding_is_a_models_arguments(folder: Path) -> None:
    model, tokenizer = GPTJForCausalLM.from_pretrained(folder), Tokenizer.from_pretrained(folder)
    inputs = tokenizer([PROMPT, "In a herd"], return_tensors="pt", padding=True)
    with torch.no_grad():
        logits = model(**inputs).logits
    assert logits.shape[:2] == inputs.input_ids.shape
    assert model.generate(**inputs, max_new_tokens=3).shape[1] <= inputs.input_ids.shape[1] + 3


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("kind", CLASSES)
def test_saved_and_loaded_again_it_is_the_same_to_the_bit(kind: type, dtype: torch.dtype, tmp_path: Path) -> None:
    model = fill(kind(tiny_config(pad_token_id=0)), 0).to(dtype)
    model.save_pretrained(tmp_path)
    again = kind.from_pretrained(tmp_path)
    state, loaded = model.state_dict(), again.state_dict()
    assert state.keys() == loaded.keys()
    assert all(torch.equal(state[name], loaded[name]) and loaded[name].dtype == dtype for name in state)
    assert again.config.rotated_width == 4 and not again.training
    with torch.no_grad():
        for one, other in zip(model(tokens(2, 5)), again(tokens(2, 5)), strict=True):
            assert not isinstance(one, torch.Tensor) or torch.equal(one, other)


def test_tied_embeddings_stay_tied_when_saved_and_loaded(tmp_path: Path) -> None:
    model = fill(GPTJForCausalLM(tiny_config(tie_word_embeddings=True)), 0)
    model.save_pretrained(tmp_path)
    again = GPTJForCausalLM.from_pretrained(tmp_path)
    assert again.lm_head.weight is again.transformer.wte.weight
    assert torch.equal(again(tokens(1, 5)).logits, model(tokens(1, 5)).logits)


@pytest.mark.parametrize("kind", [GPTJForSequenceClassification, GPTJForQuestionAnswering])
def test_a_language_model_in_a_head_class_says_which_head_is_untrained(kind: type, folder: Path) -> None:
    with pytest.warns(UserWarning, match=r"score\.weight|qa_outputs\.weight"):
        model = kind.from_pretrained(folder)
    trunk = GPTJModel.from_pretrained(folder)
    assert torch.equal(model.transformer.wte.weight, trunk.wte.weight)


def test_a_language_model_loads_without_a_warning(folder: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert GPTJForCausalLM.from_pretrained(folder).lm_head.bias.abs().max() > 0


def test_a_torch_seed_repeats_what_is_drawn(model: GPTJForCausalLM) -> None:
    drawn = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        drawn.append(model.generate(tokens(3, 4), do_sample=True, max_new_tokens=12).tolist())
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_seed_of_its_own_repeats_what_is_drawn(model: GPTJForCausalLM) -> None:
    drawn = [model.generate(tokens(1, 4), do_sample=True, max_new_tokens=12, seed=seed).tolist() for seed in (5, 5, 6)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_equal_rows_are_drawn_apart(model: GPTJForCausalLM) -> None:
    rows = model.generate(tokens(1, 4).repeat(4, 1), do_sample=True, max_new_tokens=12, seed=1).tolist()
    assert len(set(map(tuple, rows))) == 4


def test_greedy_generation_takes_the_likeliest_token_each_time(model: GPTJForCausalLM) -> None:
    ids = tokens(2, 4)
    generated = model.generate(ids, max_new_tokens=6)
    assert torch.equal(generated[:, :4], ids)
    with torch.no_grad():
        likeliest = model(generated).logits.argmax(-1)
    assert torch.equal(generated[:, 4:], likeliest[:, 3:-1])


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_row_goes_on_as_it_does_alone(model: GPTJForCausalLM, side: str) -> None:
    ids = tokens(2, 6)
    mask = torch.ones_like(ids)
    mask[0, slice(0, 2) if side == "left" else slice(4, None)] = 0
    together = model.generate(ids, attention_mask=mask, max_new_tokens=6)
    alone = model.generate(ids[:1][mask[:1].bool()][None], max_new_tokens=6)
    assert torch.equal(together[0, 6:], alone[0, 4:])


def test_without_a_length_twenty_new_tokens_come(model: GPTJForCausalLM) -> None:
    assert model.generate(tokens(1, 4)).shape == (1, 24)


@pytest.mark.parametrize("max_length", [3, 4])
def test_a_length_that_the_prompt_fills_is_refused(model: GPTJForCausalLM, max_length: int) -> None:
    with pytest.raises(BadRequest, match=f"max_length={max_length} leaves no room after the prompt's 4 tokens"):
        model.generate(tokens(1, 4), max_length=max_length)


def test_max_length_counts_the_prompt_and_max_new_tokens_does_not(model: GPTJForCausalLM) -> None:
    assert model.generate(tokens(1, 4), max_length=9).shape == (1, 9)
    assert model.generate(tokens(1, 4), max_new_tokens=9).shape == (1, 13)


def test_a_row_that_ends_early_is_padded() -> None:
    model = fill(GPTJForCausalLM(tiny_config()), 0)
    first = model.generate(tokens(1, 4), max_new_tokens=8)[0, 4:].tolist()
    end = first[2]
    ended = model.generate(tokens(2, 4), max_new_tokens=8, eos_token_id=end, pad_token_id=0)[0, 4:].tolist()
    length = first.index(end) + 1
    assert ended == first[:length] + [0] * (len(ended) - length)


def test_the_configurations_own_end_token_ends(model: GPTJForCausalLM) -> None:
    greedy = model.generate(tokens(1, 4), max_new_tokens=8)[0].tolist()
    model.config.eos_token_id = greedy[6]
    ended = model.generate(tokens(1, 4), max_new_tokens=8)[0].tolist()
    assert ended == greedy[: 4 + greedy[4:].index(greedy[6]) + 1]


@pytest.mark.parametrize("training", [True, False])
def test_generation_leaves_the_models_mode_as_it_was(training: bool) -> None:
    model = fill(GPTJForCausalLM(tiny_config(dropout=0.5)), 0)
    calm = model.generate(tokens(1, 4), max_new_tokens=8)
    model.train(training)
    assert torch.equal(model.generate(tokens(1, 4), max_new_tokens=8), calm)
    assert model.training is training


def test_a_model_can_be_trained_after_it_generated(model: GPTJForCausalLM) -> None:
    model.generate(tokens(1, 4), max_new_tokens=3)
    model.train()(tokens(1, 6), labels=tokens(1, 6)).loss.backward()
    assert model.transformer.wte.weight.grad.abs().max() > 0


def test_generation_stops_at_the_end_of_the_context(model: GPTJForCausalLM) -> None:
    assert model.generate(tokens(1, 30), max_new_tokens=50).shape == (1, 32)


def test_a_prompt_that_fills_the_context_is_refused(model: GPTJForCausalLM) -> None:
    with pytest.raises(TooLong, match="32"):
        model.generate(tokens(1, 32), max_new_tokens=1)


@pytest.mark.parametrize(
    "name, value",
    [
        ("temperature", float("nan")),
        ("temperature", -1.0),
        ("top_p", 0.0),
        ("top_p", 1.1),
        ("top_k", -1),
        ("min_p", 2.0),
        ("typical_p", 0.0),
        ("repetition_penalty", 0.0),
        ("num_beams", 0),
        ("max_new_tokens", 0),
        ("seed", -1),
    ],
)
def test_a_setting_out_of_its_range_is_refused_by_name(model: GPTJForCausalLM, name: str, value: float) -> None:
    with pytest.raises(BadRequest, match=name):
        model.generate(tokens(1, 4), **{"max_new_tokens": 2, "do_sample": name != "num_beams", name: value})


@pytest.mark.parametrize("by", ["argument", "configuration"])
def test_several_end_tokens_each_end_a_row_and_the_first_one_pads(model: GPTJForCausalLM, by: str) -> None:
    greedy = model.generate(tokens(2, 4), max_new_tokens=8)[:, 4:].tolist()
    ends = [greedy[0][1], greedy[1][4]]
    if by == "configuration":
        model.config.eos_token_id = ends
    ended = model.generate(
        tokens(2, 4), max_new_tokens=8, eos_token_id=ends if by == "argument" else None
    )[:, 4:].tolist()  # fmt: skip
    for row, whole in zip(ended, greedy, strict=True):
        length = next(place for place, token in enumerate(whole) if token in ends) + 1
        assert row == whole[:length] + [ends[0]] * (len(row) - length)


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_model_tells_its_device_and_its_dtype(kind: type, dtype: torch.dtype) -> None:
    model = kind(tiny_config()).to(dtype)
    assert model.device == torch.device("cpu") and model.dtype == dtype
    assert kind(tiny_config()).to("meta").device == torch.device("meta")


def test_a_model_offloaded_to_disk_takes_its_inputs_on_the_cpu(folder: Path, tmp_path: Path) -> None:
    model = GPTJForCausalLM.from_pretrained(folder, device_map={"": "disk"}, offload_folder=tmp_path)
    ids = tokens(1, 4).to(model.device)
    assert model.device == torch.device("cpu") and model.dtype == torch.float32
    plain = GPTJForCausalLM.from_pretrained(folder, device_map="cpu")
    assert torch.equal(model.generate(ids, max_new_tokens=5), plain.generate(ids, max_new_tokens=5))
