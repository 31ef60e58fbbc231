"""The metrics as `evaluate` runs them, beside the functions they wrap and scikit-learn's."""

import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workbench.errors import BadRequest
from workbench.evals.metrics import squad
from workbench.evals.metrics.estimates import bootstrap_stderr, mean_stderr
from workbench.evals.metrics.metric import Metric
from workbench.evals.metrics.rouge import rouge
from workbench.evals.metrics.statistics import bits_per_byte, mean, perplexity, weighted_perplexity

evaluate = pytest.importorskip("evaluate")
metrics = pytest.importorskip("workbench.evals.evaluate_metrics")

GOLD, GIVEN = [0, 1, 2, 1, 0, 2, 1, 1], [0, 1, 1, 1, 2, 2, 0, 1]


@pytest.fixture(autouse=True)
def own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Where `evaluate` keeps what it is given."""
    monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path))


def quickly(*modules: Any, **inputs: Any) -> dict[str, float | None]:
    return evaluate.combine(list(modules)).compute(**inputs, bootstrap=False)


def test_classes_work_together_with_an_empty_cache_and_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any) -> None:
        raise AssertionError("a metric asked for a connection")

    monkeypatch.setattr(socket, "socket", no_network)
    found = quickly(metrics.Accuracy(), metrics.MacroF1(), predictions=[0, 1, 1], references=[0, 1, 0])
    names = [f"{name}{ending}" for name in ("accuracy", "macro_f1") for ending in ("", "_stderr", "_n")]
    assert list(found) == names
    assert found["accuracy"] == pytest.approx(2 / 3)


def test_label_metrics_are_scikit_learns() -> None:
    sklearn = pytest.importorskip("sklearn.metrics")
    inputs = {"predictions": GIVEN, "references": GOLD}
    found = quickly(metrics.Accuracy(), metrics.MacroF1(), metrics.MatthewsCorrelation(), **inputs)
    assert found["accuracy"] == pytest.approx(sklearn.accuracy_score(GOLD, GIVEN))
    assert found["macro_f1"] == pytest.approx(sklearn.f1_score(GOLD, GIVEN, average="macro"))
    assert found["matthews_correlation"] == pytest.approx(sklearn.matthews_corrcoef(GOLD, GIVEN))
    assert {found[f"{name}_n"] for name in ("accuracy", "macro_f1", "matthews_correlation")} == {8}


def test_labels_may_be_texts() -> None:
    letters = {"predictions": ["abc"[one] for one in GIVEN], "references": ["abc"[one] for one in GOLD]}
    modules = metrics.Accuracy(), metrics.MacroF1(), metrics.MatthewsCorrelation()
    assert quickly(*modules, **letters) == quickly(*modules, predictions=GIVEN, references=GOLD)


def test_a_means_standard_error_comes_with_it() -> None:
    found = metrics.Accuracy().compute(predictions=GIVEN, references=GOLD)
    right = np.array([float(one == other) for one, other in zip(GIVEN, GOLD, strict=True)])
    assert found["accuracy_stderr"] == pytest.approx(mean_stderr(right))


def test_a_perplexitys_standard_error_is_the_bootstraps() -> None:
    found = metrics.Perplexity().compute(predictions=[-1.0, -2.0, -4.5])
    sample = np.array([[-1.0], [-2.0], [-4.5]])
    assert found["perplexity"] == pytest.approx(float(perplexity(sample)))
    assert found["perplexity_stderr"] == pytest.approx(bootstrap_stderr(perplexity, sample))


def test_perplexities_of_texts_are_by_word_and_byte() -> None:
    found = quickly(metrics.WordPerplexity(), metrics.BitsPerByte(), predictions=[-3.0, -9.0], references=[2, 5])
    sample = np.array([[-3.0, 2.0], [-9.0, 5.0]])
    assert found["word_perplexity"] == pytest.approx(float(weighted_perplexity(sample)))
    assert found["bits_per_byte"] == pytest.approx(float(bits_per_byte(sample)))


def test_texts_are_compared_with_the_best_of_their_references() -> None:
    said = ["The cat.", "two dogs"]
    one_each = quickly(metrics.ExactMatch(), metrics.Contains(), predictions=said, references=["the cat", "dogs"])
    several = quickly(metrics.ExactMatch(), predictions=said, references=[["a cat", "the cat"], ["two dogs"]])
    assert (one_each["exact_match"], one_each["contains"], several["exact_match"]) == (0.5, 1, 1)


def test_rouge_is_the_mean_of_our_own() -> None:
    said, right = ["A cat sat.\nIt purred.", "nothing"], ["Cats sit.\nThey purr.", "something else"]
    found = quickly(metrics.Rouge(), predictions=said, references=right)
    for name in ("rouge1", "rouge2", "rougeL", "rougeLsum"):
        assert found[name] == pytest.approx(np.mean([rouge(a, b)[name] for a, b in zip(said, right, strict=True)]))


def test_an_example_without_a_reference_is_refused() -> None:
    with pytest.raises(BadRequest, match="no reference"):
        metrics.Rouge().compute(predictions=["a"], references=[[]])


def answers(*rights: list[str]) -> list[dict[str, Any]]:
    return [
        {"id": str(number), "answers": {"text": right, "answer_start": [0] * len(right)}}
        for number, right in enumerate(rights)
    ]


def test_squad_1_is_the_official_figures() -> None:
    said = [{"id": "0", "prediction_text": "the tower"}, {"id": "1", "prediction_text": "in 1889"}]
    found = metrics.SquadMetric().compute(predictions=said, references=answers(["Tower"], ["1889", "the year 1889"]))
    expected = squad.squad_v1({"0": "the tower", "1": "in 1889"}, {"0": ["Tower"], "1": ["1889", "the year 1889"]})
    assert {name: found[name] for name in expected} == pytest.approx(expected)
    assert (found["exact_match_stderr"], found["exact_match_n"]) == (50, 2)


def test_squad_2_knows_questions_without_an_answer_and_a_threshold() -> None:
    said = [
        {"id": "0", "prediction_text": "Tower", "no_answer_probability": 0.25},
        {"id": "1", "prediction_text": "1889", "no_answer_probability": 0.75},
    ]
    module, right = metrics.SquadV2Metric(), answers(["Tower"], [])
    assert module.compute(predictions=said, references=right)["exact"] == 50
    found = module.compute(predictions=said, references=right, no_answer_threshold=0.5)
    assert (found["exact"], found["NoAns_exact"], found["exact_stderr"], found["total"]) == (100, 100, 0, 2)


def test_any_metric_of_a_task_is_computed_from_its_columns() -> None:
    accuracy = metrics.FromScores(Metric("acc_norm", ("acc_norm",), mean))
    loss = metrics.FromScores(Metric("perplexity", ("ll",), perplexity, False, "bootstrap"))
    found = quickly(accuracy, loss, acc_norm=[1.0, 0.0], ll=[-1.0, -3.0])
    assert found["acc_norm"] == 0.5
    assert found["perplexity"] == pytest.approx(np.exp(2))


def test_examples_may_be_added_one_by_one() -> None:
    together = evaluate.combine([metrics.Accuracy(), metrics.MacroF1()])
    for given, right in zip(GIVEN, GOLD, strict=True):
        together.add(prediction=given, reference=right)
    assert together.compute(bootstrap=False)["accuracy"] == pytest.approx(5 / 8)
