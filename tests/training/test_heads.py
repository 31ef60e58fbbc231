"""The whole way of a head: every method learns, the same seed gives the same head, and bad input is said early."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.toy import answer, classify, files, shuffled, toy_questions, toy_texts, trained
from workbench.gptj.model import GPTJModel
from workbench.loading.config_file import read_config
from workbench.loading.heads import load_head, read_card, trunk_fingerprint
from workbench.loading.load import load_model
from workbench.published import GPTJForQuestionAnswering, GPTJForSequenceClassification, Tokenizer
from workbench.training.heads import train_head

METHODS: dict[str, dict[str, Any]] = {
    "probe": {},
    "head": {"learning_rate": 0.05, "epochs": 6.0},
    "lora": {"learning_rate": 0.02, "epochs": 5.0},
    "full": {"learning_rate": 0.005, "epochs": 6.0},
}
every_method = pytest.mark.parametrize("method", METHODS)


@every_method
def test_every_method_learns_a_learnable_task(tmp_path: Path, method: str) -> None:
    result, _ = trained(classify(tmp_path, method=method, **METHODS[method]))
    assert result.metrics["accuracy"] > 0.9 and result.metrics["macro_f1"] > 0.9


@every_method
def test_no_method_learns_shuffled_labels(tmp_path: Path, method: str) -> None:
    rows = shuffled(toy_texts(160))
    result, _ = trained(classify(tmp_path, rows, method=method, **METHODS[method] | {"validation_share": 0.4}))
    assert result.metrics["accuracy"] < 0.75


@every_method
def test_every_method_learns_to_find_answers_and_that_there_is_none(tmp_path: Path, method: str) -> None:
    changes = METHODS[method] | ({"learning_rate": 0.05, "epochs": 20.0} if method == "probe" else {"epochs": 10.0})
    result, _ = trained(answer(tmp_path, toy_questions(impossible=0.3), method=method, **changes))
    assert result.metrics["f1"] > 90 and result.metrics["exact"] > 90


@every_method
def test_the_same_seed_gives_the_same_files_and_another_one_does_not(tmp_path: Path, method: str) -> None:
    request = classify(tmp_path, method=method, epochs=1.0, dropout=0.1 if method == "lora" else 0.0)
    heads = []
    for name, seed in (("first", 3), ("second", 3), ("third", 4)):
        out = tmp_path / name / "head"
        trained(replace(request, out=str(out), seed=seed))
        weights = {file: content for file, content in files(out).items() if file.endswith(".safetensors")}
        heads.append(weights)
    assert heads[0] == heads[1] != heads[2]


def test_a_probe_reloaded_gives_the_logits_it_was_measured_with(tmp_path: Path) -> None:
    request = classify(tmp_path)
    result, _ = trained(request)
    folder = Path(request.model)
    saved = load_head(request.folder, read_config(folder), trunk_fingerprint(folder))
    trunk, _ = load_model(GPTJModel, folder)
    tokenizer = Tokenizer.from_folder(folder)
    right = 0
    for text, label in toy_texts(seed=9):
        with torch.no_grad():
            hidden = trunk(torch.tensor([tokenizer.encode(text)])).last_hidden_state[:, -1]
        right += saved.card.labels[int(saved.module(hidden).argmax())] == label
    assert right == 120 and result.metrics["accuracy"] == 1.0


@pytest.mark.parametrize("problem", ["multi_label_classification", "regression"])
@pytest.mark.parametrize("method", ["probe", "lora"])
def test_several_labels_and_numbers_can_be_learned(tmp_path: Path, method: str, problem: str) -> None:
    generator = {"hill": ("a|b", 2.0), "king": ("b", -1.0), "tree": ("", 0.5)}
    column = 0 if problem.startswith("multi") else 1
    rows = [(text, str(generator[end][column])) for text, end in toy_texts(labels=("hill", "king", "tree"))]
    result, _ = trained(classify(tmp_path, rows, method=method, problem=problem, **METHODS[method]))
    if column == 0:
        assert result.card.labels == ("a", "b") and result.metrics["subset_accuracy"] > 0.9
    else:
        assert result.card.labels == ("label",) and result.metrics["mse"] < 0.2 and result.metrics["pearson"] > 0.9


def test_lora_leaves_the_trunk_as_it_was(tmp_path: Path) -> None:
    request = classify(tmp_path, method="lora", epochs=1.0)
    before = {path.name: path.read_bytes() for path in Path(request.model).iterdir()}
    trained(request)
    assert {path.name: path.read_bytes() for path in Path(request.model).iterdir()} == before


@pytest.mark.parametrize("precision", ["int8", "nf4", "bfloat16"])
def test_lora_learns_on_a_trunk_of_fewer_bits(tmp_path: Path, precision: str) -> None:
    result, _ = trained(classify(tmp_path, method="lora", precision=precision, **METHODS["lora"]))
    assert result.metrics["accuracy"] > 0.9 and result.card.precision == precision


def test_full_fine_tuning_writes_a_published_classifier(tmp_path: Path) -> None:
    request = classify(tmp_path, method="full", **METHODS["full"])
    result, _ = trained(request)
    model = GPTJForSequenceClassification.from_pretrained(request.folder)
    config = json.loads((request.folder / "config.json").read_text())
    assert config["id2label"] == {"0": "hill", "1": "king"} and config["label2id"] == {"hill": 0, "king": 1}
    assert config["architectures"] == ["GPTJForSequenceClassification"] and config["num_labels"] == 2
    assert config["problem_type"] == "single_label_classification"
    ids = Tokenizer.from_pretrained(request.folder)("the green hill", return_tensors="pt").input_ids
    assert int(model(ids).logits.argmax()) == 0
    assert read_card(request.folder).method == "full" and result.metrics["accuracy"] > 0.9


def test_full_fine_tuning_writes_a_published_span_reader(tmp_path: Path) -> None:
    request = answer(tmp_path, method="full", learning_rate=0.005, epochs=10.0)
    trained(request)
    model = GPTJForQuestionAnswering.from_pretrained(request.folder)
    tokenizer = Tokenizer.from_pretrained(request.folder)
    tokens = tokenizer.encode("Who?") + tokenizer.encode("\n") + tokenizer.encode("the green king walked")
    said = model(torch.tensor([[*tokens, tokenizer.eos_id]]))
    assert "king" in tokenizer.decode(tokens[int(said.start_logits.argmax()) : int(said.end_logits.argmax()) + 1])


def test_the_card_says_what_the_head_was_made_of(tmp_path: Path) -> None:
    rows = [*toy_texts(), ("", "hill"), ("the king", " "), ("the king " * 60, "king")]
    result, _ = trained(classify(tmp_path, rows, method="head", max_tokens=40, epochs=1.0))
    card = read_card(tmp_path / "head")
    assert card.labels == ("hill", "king") and card.kind == "classify" and card.method == "head"
    assert card.trunk == trunk_fingerprint(tmp_path / "model") and card.precision == "float32"
    facts = card.data
    assert facts["file"] == "rows.csv" and len(facts["sha256"]) == 64 and facts["rows"] == 121
    assert facts["dropped"] == {"empty text": 1, "no label": 1} and facts["shortened"] == 1
    assert facts["training"] + facts["validation_rows"] == 121 and facts["validation_rows"] >= 30
    assert card.metrics == result.metrics and card.settings["steps"] > 0


def test_the_phases_come_in_order_and_tell_steps_and_time(tmp_path: Path) -> None:
    _, seen = trained(answer(tmp_path, method="probe", epochs=2.0))
    phases = [moment.phase for moment in seen]
    assert list(dict.fromkeys(phases)) == ["loading", "features", "training", "saving"]
    training = [moment for moment in seen if moment.phase == "training"]
    assert [moment.step for moment in training] == list(range(1, training[-1].steps + 1))
    assert training[-1].seconds_left == 0 and training[-1].epoch == pytest.approx(2, abs=0.01)
    assert sum(moment.validation is not None for moment in training) == 4
    assert all(later.seconds >= earlier.seconds for earlier, later in itertools.pairwise(seen))


@every_method
def test_a_stopped_run_keeps_the_best_so_far_and_goes_on(tmp_path: Path, method: str) -> None:
    request = classify(tmp_path, method=method, epochs=4.0, learning_rate=0.01, save_every=1)
    whole, _ = trained(replace(request, out=str(tmp_path / "whole" / "head")))
    steps = train_head(request)
    for moment in steps:
        if moment.phase == "training" and moment.step == 2:
            break
    steps.close()
    card = read_card(request.folder)
    assert "stopped" in card.settings and card.method == method
    result, rest = trained(request)
    assert "stopped" not in read_card(request.folder).settings and result.stopped_at is None
    assert files(request.folder) == files(whole.folder)
    assert result.metrics == whole.metrics
    if method != "probe":
        assert next(moment.step for moment in rest if moment.phase == "training") == 3


def test_without_validation_the_last_weights_are_kept(tmp_path: Path) -> None:
    for method in ("probe", "head"):
        result, _ = trained(classify(tmp_path, method=method, validation_share=0.0, out=str(tmp_path / method)))
        assert result.metrics == {} and not math.isnan(result.seconds)
