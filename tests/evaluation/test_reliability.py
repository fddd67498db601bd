"""The expected calibration error against independent computations, and its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from statsmodels.stats.proportion import proportion_confint

from crack_lightning.evaluation.calibration import calibration_error, reliability

if TYPE_CHECKING:
    from numpy.typing import NDArray


def forecasts(number: int, seed: int = 0) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Draw labels and probabilities of a crack that are too sure."""
    rng = np.random.default_rng(seed)
    chance = rng.beta(0.7, 0.7, number)
    score = 1 / (1 + ((1 - chance) / chance) ** 1.5)
    return (rng.random(number) < chance).astype(np.int64), np.stack([1 - score, score], axis=1)


@pytest.mark.parametrize("number", [1500, 1507, 9])
def test_the_error_of_the_positive_class_equals_scikit_learns_curve(number: int) -> None:
    label, probability = forecasts(number)
    score = probability[:, 1]
    parts = [part for part in np.array_split(np.argsort(score), 15) if len(part)]
    gaps = [len(part) * abs(score[part].mean() - label[part].mean()) for part in parts]
    assert calibration_error(label, probability, positive=1) == pytest.approx(sum(gaps) / number)
    if number == 1500:
        observed, predicted = calibration_curve(label, score, n_bins=15, strategy="quantile")
        found = reliability(label, probability, positive=1)
        assert found["observed_frequency"] == pytest.approx(observed)
        assert found["mean_probability"] == pytest.approx(predicted)


def test_the_error_of_more_classes_is_that_of_the_predicted_class() -> None:
    rng = np.random.default_rng(0)
    odds = np.exp(rng.normal(size=(600, 3)))
    probability = odds / odds.sum(axis=1, keepdims=True)
    label = rng.integers(3, size=600)
    sure, right = probability.max(axis=1), probability.argmax(axis=1) == label
    gaps = [abs(sure[part].mean() - right[part].mean()) for part in np.array_split(np.argsort(sure), 15)]
    assert calibration_error(label, probability) == pytest.approx(np.mean(gaps))
    assert reliability(label, probability)["tiles"] == [40] * 15


@pytest.mark.parametrize("levels", [1, 3, 10])
def test_equal_forecasts_share_a_bin_whatever_the_order_of_the_tiles(levels: int) -> None:
    rng = np.random.default_rng(1)
    score = (1 + rng.integers(levels, size=500)) / (levels + 2)
    label = np.sort((rng.random(500) < score).astype(np.int64))
    probability = np.stack([1 - score, score], axis=1)
    error, mixed = calibration_error(label, probability, positive=1), rng.permutation(500)
    assert calibration_error(label[mixed], probability[mixed], positive=1) == pytest.approx(error)
    if levels < 4:
        gaps = [abs((label - score)[score == level].sum()) for level in np.unique(score)]
        assert error == pytest.approx(sum(gaps) / 500)


def test_the_limits_of_bins_are_wilsons() -> None:
    label, probability = forecasts(600)
    found = reliability(label, probability, positive=1)
    for row in zip(found["observed_frequency"], found["low"], found["high"], found["tiles"], strict=True):
        share, low, high, tiles = row
        expected = proportion_confint(round(share * tiles), tiles, method="wilson")
        assert (low, high) == pytest.approx(expected, abs=1e-9)


def test_the_interval_of_the_error_holds_the_true_one_and_is_wider_over_photos() -> None:
    label, probability = forecasts(400_000, seed=5)
    truth, inside = calibration_error(label, probability, positive=1), 0
    for seed in range(25):
        drawn = reliability(*forecasts(400, seed=seed), positive=1)
        inside += drawn["interval"]["low"] <= truth <= drawn["interval"]["high"]
    assert inside >= 23
    label, probability = forecasts(400)
    doubled = np.repeat(label, 2), np.repeat(probability, 2, axis=0)
    alone = reliability(*doubled, positive=1)["interval"]
    together = reliability(*doubled, np.arange(800) // 2, positive=1)["interval"]
    assert together["high"] - together["low"] > 1.2 * (alone["high"] - alone["low"])


def test_a_single_photo_has_no_interval_of_the_error() -> None:
    assert reliability(*forecasts(50), np.zeros(50, np.int64), positive=1)["interval"] is None
