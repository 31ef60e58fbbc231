"""The probe is logistic regression: scikit-learn finds the same weights."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, Ridge

from workbench.training.examples import Example, Split
from workbench.training.objectives import Classification
from workbench.training.probe import STRENGTHS, Fitted, fit

ROWS, WIDTH = 200, 12


def made_up(problem: str = "single_label_classification", seed: int = 0) -> tuple[Split, torch.Tensor]:
    """Features with a linear rule and noise."""
    random = np.random.default_rng(seed)
    features = random.normal(size=(ROWS, WIDTH)) * random.uniform(0.1, 5, WIDTH)
    scores = features @ random.normal(size=(WIDTH, 3)) + random.normal(size=(ROWS, 3))
    if problem == "regression":
        targets = [(float(value),) for value in scores[:, 0]]
    else:
        targets = [(float(row.argmax()),) for row in scores]
    examples = tuple(Example((1,), target) for target in targets)
    return Split(examples, examples, {}), torch.from_numpy(features).float()


def best(problem: str = "single_label_classification") -> Fitted:
    split, features = made_up(problem)
    objective = Classification(problem, ("a", "b", "c"))
    return list(fit(objective, split, features, features, 0.0))[-1][1]


def test_the_weights_are_those_of_scikit_learn() -> None:
    split, features = made_up()
    fitted = best()
    scaled = (features / features.std(0, correction=0)).numpy().astype(np.float64)
    gold = [int(example.target[0]) for example in split.training]
    oracle = LogisticRegression(C=1 / (fitted.strength * ROWS), fit_intercept=False, tol=1e-10, max_iter=10_000)
    ours = fitted.weight.numpy() * features.std(0, correction=0).numpy()
    assert np.abs(ours - oracle.fit(scaled, gold).coef_).max() < 1e-2


def test_the_weights_of_a_regression_are_ridge_regressions() -> None:
    split, features = made_up("regression")
    fitted = best("regression")
    scaled = (features / features.std(0, correction=0)).numpy().astype(np.float64)
    gold = [example.target[0] for example in split.training]
    oracle = Ridge(alpha=fitted.strength * ROWS / 2, fit_intercept=False).fit(scaled, gold)
    ours = fitted.weight.numpy()[0] * features.std(0, correction=0).numpy()
    assert np.abs(ours - oracle.coef_).max() < 1e-3


def test_the_strength_with_the_least_validation_loss_is_kept() -> None:
    split, features = made_up()
    objective = Classification("single_label_classification", ("a", "b", "c"))
    moments = list(fit(objective, split, features, features + torch.randn(features.shape), 0.0))
    losses = [moment.validation["loss"] for moment, _ in moments if moment.validation]
    assert len(losses) == len(STRENGTHS)
    assert moments[-1][1].strength == STRENGTHS[int(np.argmin(losses))]
    assert moments[-1][0].best is not None and moments[-1][0].best["loss"] == pytest.approx(min(losses))


def test_the_same_features_give_the_same_weights() -> None:
    assert torch.equal(best().weight, best().weight)


def test_a_feature_that_never_changes_does_no_harm() -> None:
    split, features = made_up()
    features[:, 3] = 0.0
    objective = Classification("single_label_classification", ("a", "b", "c"))
    fitted = list(fit(objective, split, features, features, 0.0))[-1][1]
    assert torch.isfinite(fitted.weight).all() and fitted.metrics["accuracy"] > 0.8
