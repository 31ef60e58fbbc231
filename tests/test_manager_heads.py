"""Heads beside a loaded model: found without loading, put in once, and checkpoints that are heads themselves."""

import gc
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.gptj.tiny import fill
from tests.loading.saved_heads import LABELS, saved
from tests.text.tiny import ROWS, TOKENIZER, write_checkpoint
from workbench.errors import BadCheckpoint, BadRequest
from workbench.gptj.config import GPTJConfig
from workbench.loading import shelf
from workbench.loading.heads import trunk_fingerprint
from workbench.loading.load import save_pretrained
from workbench.manager import ModelManager, ModelSpec
from workbench.published import GPTJForCausalLM, GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.text.requests import Classify, ExtractSpan, Generate, LogLikelihood

QUESTION = ExtractSpan("Who slept?", "The old king slept under the apple tree.", "own")


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    """A language model's checkpoint."""
    return write_checkpoint(tmp_path / "trunk")


@pytest.fixture
def spec(trunk: Path) -> ModelSpec:
    """What asks for it."""
    return ModelSpec(str(trunk))


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModelManager]:
    """A manager with a folder of heads; it looks for no garbage, which takes longer than a test."""
    monkeypatch.setattr(gc, "collect", lambda: 0)
    made = ModelManager(heads_folder=tmp_path / "heads")
    yield made
    made.close()


def names(manager: ModelManager, spec: ModelSpec) -> list[str]:
    """Of the heads that fit."""
    return [card.name for card in manager.heads(spec)]


def test_the_heads_that_fit_are_listed_without_loading(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path
) -> None:
    assert manager.heads(spec) == []
    other = write_checkpoint(tmp_path / "other", seed=1)
    saved(tmp_path / "heads" / "b", trunk, name="shelved")
    saved(tmp_path / "heads" / "a", other, name="of another trunk")
    saved(trunk / "heads" / "c", trunk, "answer", "lora", name="beside")
    assert names(manager, spec) == ["beside", "shelved"] and names(manager, ModelSpec(str(other))) == [
        "of another trunk"
    ]
    assert manager.loaded() == []


def test_heads_fit_the_model_in_every_precision(manager: ModelManager, trunk: Path, tmp_path: Path) -> None:
    saved(tmp_path / "heads" / "mood", trunk)
    spec = ModelSpec(str(trunk), precision="bfloat16")
    assert names(manager, spec) == ["mood"]
    with manager.lease(spec) as model:
        said = model.classify([Classify("The king", manager.use_head(spec, "mood").key)])[0]
    assert len(said.logits) == len(LABELS)


def test_a_model_whose_weights_are_still_on_the_hub_shows_no_heads(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path
) -> None:
    saved(tmp_path / "heads" / "mood", trunk)
    (trunk / "model.safetensors").unlink()
    assert manager.heads(spec) == []


@pytest.mark.parametrize("how", ["name", "folder name", "path", "key"])
def test_a_head_is_used_by_name_folder_or_key(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path, how: str
) -> None:
    folder = saved(tmp_path / "heads" / "the-folder", trunk, name="mood")
    asked = {"name": "mood", "folder name": "the-folder", "path": str(folder), "key": manager.heads(spec)[0].key}[how]
    with manager.lease(spec) as model:
        card = manager.use_head(spec, asked)
        assert model.heads == {card.key: card}
        assert len(model.classify([Classify("The king", card.key)])[0].logits) == 3


def test_a_head_is_put_in_once_and_a_retrained_one_beside_it(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "mood", trunk)
    first = manager.use_head(spec, str(folder))
    with manager.lease(spec) as model:
        served = model.engine.served.heads[first.key]
        assert manager.use_head(spec, str(folder)).key == first.key
        assert model.engine.served.heads[first.key] is served
        saved(folder, trunk, "classify", "lora")
        again = manager.use_head(spec, str(folder))
        assert again.key != first.key and set(model.heads) == {first.key, again.key}


def test_training_a_head_again_and_again_takes_no_more_memory(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path
) -> None:
    other = manager.use_head(spec, str(saved(tmp_path / "mood#2", trunk)))
    with manager.lease(spec) as model:
        keys = [other.key]
        for number in range(5):
            keys.append(manager.use_head(spec, str(saved(tmp_path / "mood", trunk, name=f"mood {number}"))).key)
        assert len(set(keys)) == 6
        # The one before stays for who is still asking it.
        assert set(model.heads) == set(model.engine.served.heads) == {other.key, *keys[-2:]}


def test_a_head_trained_anew_while_it_is_put_in_gives_the_key_of_what_was_put_in(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = saved(tmp_path / "heads" / "mood", trunk)
    chosen, load = manager.heads(spec)[0], shelf.load_head

    def trained_before(*given: Any) -> Any:
        saved(folder, trunk, name="newer")
        return load(*given)

    monkeypatch.setattr(shelf, "load_head", trained_before)
    with manager.lease(spec) as model:
        card = manager.use_head(spec, "mood")
        assert card.key != chosen.key and card.name == "newer" and set(model.heads) == {card.key}
        assert model.classify([Classify("The king", card.key)])[0].logits


@pytest.mark.parametrize("how", ["key", "version", "folder"])
def test_heads_of_one_name_are_told_apart(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path, how: str
) -> None:
    saved(tmp_path / "heads" / "a", trunk)
    saved(trunk / "heads" / "b", trunk, "classify", "lora")
    for card in manager.heads(spec):
        asked = {"key": card.key, "version": card.version, "folder": str(card.folder)}[how]
        assert manager.use_head(spec, asked) == card
    with pytest.raises(BadRequest, match=r"Several heads are called 'mood': .*/heads/b .*/heads/a .*Give its folder"):
        manager.use_head(spec, "mood")


def test_heads_of_one_name_and_two_kinds_are_told_apart_by_who_asks(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path
) -> None:
    for kind in ("classify", "answer"):
        saved(tmp_path / "heads" / kind, trunk, kind)
    for kind in ("classify", "answer"):
        assert manager.use_head(spec, "mood", kind).kind == kind


def test_a_head_of_the_other_kind_is_refused_as_such(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "heads" / "the-folder", trunk)
    for asked in ("mood", "the-folder", str(folder)):
        with pytest.raises(BadRequest, match=r"'mood' classifies texts\. .*one that answers questions"):
            manager.use_head(spec, asked, "answer")


def test_heads_switch_at_once_on_one_trunk(manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path) -> None:
    for name, method in (("a", "probe"), ("b", "lora")):
        saved(tmp_path / "heads" / name, trunk, "classify", method, name=name)
    with manager.lease(spec) as model:
        keys = [manager.use_head(spec, name).key for name in ("a", "b")]
        asked = [Classify(text, key) for text in ("The king", "a hill") for key in keys]
        together = model.classify(asked)
        assert together == [model.classify([request])[0] for request in asked]
        assert together[0].logits != together[1].logits
    assert len(manager.loaded()) == 1


def test_a_head_of_another_trunk_is_refused_by_name_and_by_path(
    manager: ModelManager, spec: ModelSpec, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "heads" / "mood", write_checkpoint(tmp_path / "other", seed=1))
    for asked in ("mood", str(folder)):
        with pytest.raises(BadRequest, match="another trunk"):
            manager.use_head(spec, asked)


def test_a_head_that_is_not_there_is_refused_with_those_that_are(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path
) -> None:
    for asked in ("moods", "", "a\0b", "x" * 5000):
        with pytest.raises(BadRequest, match="This model has no head"):
            manager.use_head(spec, asked)
    saved(tmp_path / "heads" / "mood", trunk)
    with pytest.raises(BadRequest, match=r"no head 'moods'.*Heads that fit it: mood\."):
        manager.use_head(spec, "moods")


def test_a_damaged_head_is_refused_and_the_others_go_on(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path
) -> None:
    saved(tmp_path / "heads" / "good", trunk, name="good")
    weights = saved(tmp_path / "heads" / "bad", trunk, name="bad") / "head.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\xff" * 4)
    with pytest.raises(BadCheckpoint, match="NaN"):
        manager.use_head(spec, "bad")
    assert manager.use_head(spec, "good").name == "good"


def own(folder: Path, cls: Any, **changes: Any) -> ModelSpec:
    """Writes a checkpoint that ends in a head; gives what asks for it."""
    shape = {"vocab_size": ROWS, "n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4, "rotary_dim": 4,
             "bos_token_id": None, "eos_token_id": TOKENIZER.eos_id}  # fmt: skip
    config = GPTJConfig.from_dict({**shape, **changes})
    save_pretrained(fill(cls(config), 0), folder)
    TOKENIZER.save(folder)
    return ModelSpec(str(folder))


def test_a_classifiers_checkpoint_answers_with_its_own_head(manager: ModelManager, tmp_path: Path) -> None:
    labels = {str(number): label for number, label in enumerate(LABELS)}
    spec = own(tmp_path / "own", GPTJForSequenceClassification, id2label=labels)
    [card] = manager.heads(spec)
    assert (card.key, card.kind, card.labels, card.folder) == ("own", "classify", LABELS, None)
    assert card.problem == "single_label_classification" and card.trunk == trunk_fingerprint(tmp_path / "own")
    network = GPTJForSequenceClassification.from_pretrained(tmp_path / "own")
    with manager.lease(spec) as model:
        assert manager.use_head(spec, "own") == card
        said = model.classify([Classify("The old king", card.key)])[0]
    with torch.no_grad():
        expected = network(torch.tensor([TOKENIZER.encode("The old king")])).logits[0]
    torch.testing.assert_close(torch.tensor(said.logits), expected)


def test_a_span_readers_checkpoint_answers_with_its_own_head(manager: ModelManager, tmp_path: Path) -> None:
    spec = own(tmp_path / "own", GPTJForQuestionAnswering)
    assert [(card.kind, card.labels, card.problem) for card in manager.heads(spec)] == [("answer", (), None)]
    with manager.lease(spec) as model:
        assert model.extract(QUESTION).n_best


@pytest.mark.parametrize("cls", [GPTJForSequenceClassification, GPTJForQuestionAnswering])
def test_a_checkpoint_without_a_language_head_neither_writes_nor_scores(
    manager: ModelManager, tmp_path: Path, cls: type[nn.Module]
) -> None:
    spec = own(tmp_path / "own", cls)
    said = "no language-model head.*choose a checkpoint"
    with manager.lease(spec) as model:
        for ask in (
            lambda: model.generate(Generate("The king", max_new_tokens=2)),
            lambda: model.answers([LogLikelihood("The", " king")]),
            lambda: model.extract(ExtractSpan("Who?", "The king.")),
        ):
            with pytest.raises(BadRequest, match=said):
                ask()


def test_a_checkpoint_with_a_head_shows_parts_that_sum_to_its_plan(manager: ModelManager, tmp_path: Path) -> None:
    spec = own(tmp_path / "own", GPTJForSequenceClassification)
    loaded = manager.load(spec)
    assert loaded.parts[-1].name == "score"
    assert loaded.weights_bytes == manager.plan(spec).weights_bytes
    assert loaded.parameters == manager.plan(spec).parameters


SINGLE, MULTIPLE, TWO = "single_label_classification", "multi_label_classification", ("LABEL_0", "LABEL_1")


@pytest.mark.parametrize("changes, problem, labels", [
    ({"num_labels": 1}, "regression", ()), ({"num_labels": 3}, SINGLE, (*TWO, "LABEL_2")),
    ({"num_labels": 2, "problem_type": MULTIPLE}, MULTIPLE, TWO), ({"id2label": {"0": "a", "1": "a"}}, SINGLE, TWO),
    ({"num_labels": 2, "id2label": {"0": 5}}, SINGLE, TWO),
])  # fmt: skip
def test_an_own_heads_labels_and_problem_come_from_config_json(
    manager: ModelManager, tmp_path: Path, changes: dict[str, Any], problem: str, labels: tuple[str, ...]
) -> None:
    [card] = manager.heads(own(tmp_path / "own", GPTJForSequenceClassification, **changes))
    assert (card.problem, card.labels) == (problem, labels)


def test_what_training_left_beside_a_whole_model_is_on_its_card(manager: ModelManager, tmp_path: Path) -> None:
    spec = own(tmp_path / "own", GPTJForSequenceClassification, num_labels=3)
    saved(tmp_path / "mood", tmp_path / "own", method="full")
    (tmp_path / "mood" / "head.json").rename(tmp_path / "own" / "head.json")
    [card] = manager.heads(spec)
    assert (card.name, card.key, card.labels, card.metrics) == ("own", "own", LABELS, {"accuracy": 0.75})
    with pytest.raises(BadRequest, match="choose it as the model"):
        manager.use_head(ModelSpec(str(write_checkpoint(tmp_path / "trunk"))), str(tmp_path / "own"))


@pytest.mark.parametrize("architectures, written", [
    (["GPTJForCausalLM"], True), (None, True), (["GPTJForSequenceClassification"], False), (["Other"], True),
    ("x", True),
])  # fmt: skip
def test_weights_with_both_heads_follow_config_json(
    manager: ModelManager, trunk: Path, architectures: Any, written: bool
) -> None:
    model: Any = GPTJForCausalLM.from_pretrained(trunk)
    model.score = nn.Linear(32, 2, bias=False)
    save_pretrained(model, trunk)
    values = json.loads((trunk / "config.json").read_text())
    (trunk / "config.json").write_text(json.dumps({**values, "architectures": architectures}))
    with manager.lease(ModelSpec(str(trunk))) as language_model:
        assert (language_model.heads == {}) == written


def test_a_reloaded_head_gives_the_same_bits(
    manager: ModelManager, spec: ModelSpec, trunk: Path, tmp_path: Path
) -> None:
    folder = saved(tmp_path / "mood", trunk, "classify", "lora")

    def logits() -> tuple[float, ...]:
        with manager.lease(spec) as model:
            return model.classify([Classify("The old king", manager.use_head(spec, str(folder)).key)])[0].logits

    before = logits()
    manager.unload(spec)
    assert logits() == before and all(map(math.isfinite, before))
