"""Heads on padded batches without a mask give what the published classes give on each row alone."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from tests.gptj.tiny import tiny_config
from workbench.gptj.heads import GPTJForQuestionAnswering, GPTJForSequenceClassification
from workbench.training.examples import Example
from workbench.training.network import HeadNetwork, padded
from workbench.training.objectives import Classification, SpanExtraction, better

LABELS = ("a", "b", "c")
CPU = torch.device("cpu")
ROWS = [(1, 2, 3, 4, 5, 6, 7), (8, 9), (3,), (5, 4, 3, 2)]


@pytest.mark.parametrize("problem, targets", [
    ("single_label_classification", [(0.0,), (2.0,), (1.0,), (2.0,)]),
    ("multi_label_classification", [(0.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 0.0, 0.0)]),
    ("regression", [(0.5,), (-1.5,), (2.0,), (0.0,)]),
])  # fmt: skip
def test_classification_equals_the_published_class_on_each_row(problem: str, targets: list[tuple[float, ...]]) -> None:
    config = tiny_config(num_labels=1 if problem == "regression" else 3)
    config.problem_type = problem
    model = GPTJForSequenceClassification(config).eval()
    objective = Classification(problem, LABELS)
    network = HeadNetwork(model.transformer, model.score, None, objective, False)
    examples = [Example(tokens, target) for tokens, target in zip(ROWS, targets, strict=True)]
    logits = network(padded(examples, range(4), CPU))
    each = []
    for place, example in enumerate(examples):
        label = objective.targets([example])
        said = model(torch.tensor([example.tokens]), labels=label)
        torch.testing.assert_close(logits[place], said.logits[0], rtol=1e-5, atol=1e-6)
        each.append(said.loss.item())
    loss = objective.loss(logits, objective.targets(examples))
    assert loss.item() == pytest.approx(sum(each) / 4, rel=1e-5)


def test_spans_equal_the_published_class_on_each_row() -> None:
    model = GPTJForQuestionAnswering(tiny_config()).eval()
    objective = SpanExtraction(lambda logits: {})
    network = HeadNetwork(model.transformer, model.qa_outputs, None, objective, False)
    targets = [(1.0, 3.0), (0.0, 1.0), (0.0, 0.0), (2.0, 2.0)]
    examples = [Example(tokens, target) for tokens, target in zip(ROWS, targets, strict=True)]
    logits = network(padded(examples, range(4), CPU))
    each = []
    for place, example in enumerate(examples):
        start, end = (torch.tensor([int(end)]) for end in example.target)
        said = model(torch.tensor([example.tokens]), start_positions=start, end_positions=end)
        mine = torch.from_numpy(objective.trimmed(logits[place].detach().numpy(), len(example.tokens)))
        torch.testing.assert_close(mine[:, 0], said.start_logits[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(mine[:, 1], said.end_logits[0], rtol=1e-5, atol=1e-6)
        each.append(said.loss.item())
    assert objective.loss(logits, objective.targets(examples)).item() == pytest.approx(sum(each) / 4, rel=1e-5)


def test_padding_can_not_be_an_answer() -> None:
    objective = SpanExtraction(lambda logits: {})
    finished = objective.finish(torch.zeros(2, 3, 2), torch.tensor([3, 1]))
    assert torch.isfinite(finished[0]).all() and torch.isfinite(finished[1, 0]).all()
    assert torch.isinf(finished[1, 1:]).all()


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=2, max_size=30))
def test_accuracy_and_macro_f1_are_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    gold, said = zip(*pairs, strict=True)
    examples = [Example((1,), (float(label),)) for label in gold]
    logits = [np.eye(3, dtype=np.float32)[label] for label in said]
    found = Classification("single_label_classification", LABELS).measure(examples, logits)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(gold, said))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(gold, said, average="macro", zero_division=0))


@pytest.mark.parametrize("new, old, expected", [
    ({"f1": 2.0, "loss": 9.0}, None, True),
    ({"f1": 2.0, "loss": 9.0}, {"f1": 1.0, "loss": 1.0}, True),
    ({"f1": 1.0, "loss": 0.5}, {"f1": 1.0, "loss": 1.0}, True),
    ({"f1": 1.0, "loss": 1.0}, {"f1": 1.0, "loss": 1.0}, False),
    ({"f1": 0.5, "loss": 0.1}, {"f1": 1.0, "loss": 1.0}, False),
])  # fmt: skip
def test_a_better_metric_wins_and_among_equals_the_loss(
    new: dict[str, float], old: dict[str, float] | None, expected: bool
) -> None:
    assert better(new, old, "f1") is expected


def test_of_errors_the_smaller_is_better() -> None:
    assert better({"mse": 1.0, "loss": 1.0}, {"mse": 2.0, "loss": 1.0}, "mse")
    assert not better({"mse": 2.0, "loss": 1.0}, {"mse": 1.0, "loss": 1.0}, "mse")
