"""The head of a probe is the optimum that scikit-learn finds."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from crack_lightning.model.logistic import LogisticHead, StandardisedFeatures, fit_logistic


def drawn(num_classes: int, *, tiles: int = 300, width: int = 12) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of overlapping classes, one feature constant, scales far apart."""
    rng = np.random.default_rng(num_classes)
    labels = rng.integers(0, num_classes, tiles)
    centres = rng.normal(0, 1, (num_classes, width))
    features = (centres[labels] + rng.normal(0, 1.5, (tiles, width))) * np.logspace(-2, 2, width) + 5
    features[:, 3] = 1.0
    return torch.tensor(features, dtype=torch.float32), torch.tensor(labels)


@pytest.mark.parametrize("num_classes", [2, 3])
@pytest.mark.parametrize("weights", [None, [1.0, 2.0, 3.0]])
@pytest.mark.parametrize("l2", [0.3, 0.003])
def test_it_is_the_optimum_that_scikit_learn_finds(
    num_classes: int, weights: list[float] | None, l2: float
) -> None:
    features, labels = drawn(num_classes)
    of_class = None if weights is None else torch.tensor(weights[:num_classes])
    scale = StandardisedFeatures.of(features.clone())
    head = fit_logistic(scale.values, labels, num_classes=num_classes, l2=l2, class_weights=of_class)

    total = len(labels) if of_class is None else float(of_class[labels].sum())
    # Two rows of weights that mirror each other pay the penalty half as dear as the one row that differs.
    strength = 1 / (l2 * total) * (2 if num_classes == 2 else 1)
    known = None if of_class is None else dict(enumerate(of_class.tolist()))
    theirs = LogisticRegression(C=strength, class_weight=known, tol=1e-8, max_iter=5000)
    theirs.fit(scale.values.double().numpy(), labels.numpy())

    ours = torch.softmax(scale.values @ head.weight.T + head.bias, dim=1).numpy()
    assert ours == pytest.approx(theirs.predict_proba(scale.values.double().numpy()), abs=2e-4)


def test_a_stronger_penalty_makes_smaller_weights() -> None:
    features, labels = drawn(2)
    scale = StandardisedFeatures.of(features.clone())
    lengths = [
        float(fit_logistic(scale.values, labels, num_classes=2, l2=l2).weight.norm()) for l2 in (1, 0.1, 0.01)
    ]
    assert lengths == sorted(lengths)


def test_where_it_begins_does_not_matter() -> None:
    features, labels = drawn(3)
    scale = StandardisedFeatures.of(features.clone())
    far = fit_logistic(scale.values, labels, num_classes=3, l2=1.0)
    cold = fit_logistic(scale.values, labels, num_classes=3, l2=0.01)
    warm = fit_logistic(scale.values, labels, num_classes=3, l2=0.01, start=far)
    torch.testing.assert_close(warm.weight, cold.weight, atol=2e-3, rtol=0)


def test_a_layer_with_the_head_takes_features_as_they_are() -> None:
    features, _ = drawn(3)
    scale = StandardisedFeatures.of(features.clone())
    head = LogisticHead(weight=torch.randn(3, 12), bias=torch.randn(3))
    layer = torch.nn.Linear(12, 3)
    head.put_into(layer, scale)
    expected = scale.values @ head.weight.T + head.bias
    torch.testing.assert_close(layer(features), expected, atol=1e-2, rtol=1e-3)
