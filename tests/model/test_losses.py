from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from crack_lightning.model.losses import CrackLoss, balanced_class_weights, focal_loss
from crack_lightning.runtime.errors import ConfigError

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, -0.3], [-4.0, 3.0, 1.0], [0.0, 0.0, 6.0]])
TARGETS = torch.tensor([0, 2, 1, 0])
WEIGHTS = [0.5, 2.0, 1.25]


def probabilities() -> np.ndarray:
    exponents = np.exp(LOGITS.double().numpy())
    shares: np.ndarray = exponents / exponents.sum(axis=1, keepdims=True)
    return shares


def test_focal_loss_is_the_formula_of_the_paper() -> None:
    p = probabilities()[np.arange(4), TARGETS.numpy()]
    wanted = np.mean(-((1 - p) ** 2.0) * np.log(p))
    assert focal_loss(LOGITS, TARGETS, gamma=2.0).item() == pytest.approx(wanted, rel=1e-5)


def test_focal_loss_weighs_classes_as_a_weighted_mean() -> None:
    p = probabilities()[np.arange(4), TARGETS.numpy()]
    weights = np.array(WEIGHTS)[TARGETS.numpy()]
    wanted = np.average(-((1 - p) ** 1.5) * np.log(p), weights=weights)
    got = focal_loss(LOGITS, TARGETS, gamma=1.5, class_weights=torch.tensor(WEIGHTS))
    assert got.item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_loss_without_focus_is_cross_entropy(weights: list[float] | None) -> None:
    tensor = None if weights is None else torch.tensor(weights)
    wanted = nn.CrossEntropyLoss(weight=tensor)(LOGITS, TARGETS)
    torch.testing.assert_close(focal_loss(LOGITS, TARGETS, gamma=0.0, class_weights=tensor), wanted)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_focal_loss_has_finite_slopes_for_a_perfect_answer(gamma: float) -> None:
    logits = torch.tensor([[1000.0, -1000.0]], requires_grad=True)
    (slopes,) = torch.autograd.grad(focal_loss(logits, torch.tensor([0]), gamma=gamma), logits)
    assert torch.isfinite(slopes).all()


def test_focal_loss_refuses_a_negative_gamma() -> None:
    with pytest.raises(ValueError, match=r"-0\.5"):
        focal_loss(LOGITS, TARGETS, gamma=-0.5)


def test_cross_entropy_smooths_and_weighs() -> None:
    loss = CrackLoss(name="cross_entropy", label_smoothing=0.1, class_weights=WEIGHTS)
    log_p = np.log(probabilities())
    truth = np.eye(3)[TARGETS.numpy()] * 0.9 + 0.1 / 3
    total = -(truth * log_p * np.array(WEIGHTS)).sum() / np.array(WEIGHTS)[TARGETS.numpy()].sum()
    assert loss(LOGITS, TARGETS).item() == pytest.approx(total, rel=1e-5)


def test_cross_entropy_takes_blended_classes() -> None:
    blend = torch.tensor([[0.7, 0.3, 0.0], [0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [0.2, 0.2, 0.6]])
    wanted = -(blend.double().numpy() * np.log(probabilities())).sum(axis=1).mean()
    assert CrackLoss(name="cross_entropy")(LOGITS, blend).item() == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("name", ["cross_entropy", "focal"])
def test_a_loss_of_half_precision_is_computed_in_full(name: str) -> None:
    loss = CrackLoss(name=name)(LOGITS.bfloat16(), TARGETS)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, CrackLoss(name=name)(LOGITS.bfloat16().float(), TARGETS))


def test_class_weights_stay_out_of_a_checkpoint() -> None:
    loss = CrackLoss(name="focal", class_weights=WEIGHTS)
    assert not loss.state_dict()
    assert loss.to(torch.float64).class_weights.dtype == torch.float64  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"name": "hinge"}, r"recipe\.loss\.name: .*got 'hinge'"),
        ({"name": "focal", "soft_targets": True}, "'focal' expects one class per tile, got mixed"),
        ({"name": "focal", "label_smoothing": 0.1}, r"label_smoothing: .*got 0\.1"),
        ({"name": "cross_entropy", "label_smoothing": 1.0}, r"label_smoothing: .*got 1\.0"),
        ({"name": "focal", "focal_gamma": -1.0}, r"focal_gamma: .*got -1\.0"),
    ],
)
def test_a_loss_that_cannot_be_is_refused(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        CrackLoss(**arguments)  # type: ignore[arg-type]


def test_balanced_weights_give_every_class_the_same_say() -> None:
    counts = [850, 100, 50]
    weights = balanced_class_weights(counts)
    shares = np.multiply(counts, weights)
    np.testing.assert_allclose(shares, shares[0])
    assert shares.sum() == pytest.approx(sum(counts))


def test_balanced_weights_need_a_tile_of_every_class() -> None:
    with pytest.raises(ConfigError, match=r"\[5, 0\]"):
        balanced_class_weights([5, 0])
