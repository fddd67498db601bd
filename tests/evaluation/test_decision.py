"""Temperature and threshold are what they claim to be, and are not claimed where they cannot be known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.metrics import f1_score, log_loss

from crack_lightning.evaluation.decision import (
    choose_threshold,
    decide,
    fit_temperature,
    lower_bound,
    reliability,
    tempered,
)
from crack_lightning.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray


def overconfident(number: int = 2000, *, sharpness: float = 3.0, seed: int = 0) -> Predictions:
    """Predictions whose logits are so many times too large."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 1.5, number)
    label = (rng.random(number) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    score = 1 / (1 + np.exp(-sharpness * logit))
    return Predictions(index=np.arange(number), label=label, probability=np.stack([1 - score, score], axis=1))


def test_the_temperature_is_the_one_of_least_log_loss() -> None:
    predictions = overconfident()
    logits = np.log(np.clip(predictions.probability, 1e-12, None))

    def loss(scale: NDArray[np.float64]) -> float:
        odds = np.exp(logits / scale[0])
        return float(log_loss(predictions.label, odds / odds.sum(axis=1, keepdims=True)))

    expected = minimize(loss, [1.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-12}).x[0]
    assert fit_temperature(predictions) == pytest.approx(expected, abs=1e-4)
    assert fit_temperature(predictions) == pytest.approx(3.0, abs=0.4)


def test_tempering_there_and_back_changes_nothing() -> None:
    probability = overconfident(50).probability
    np.testing.assert_allclose(tempered(tempered(probability, 2.5), 0.4), probability, atol=1e-9)


def test_a_temperature_halves_the_calibration_error() -> None:
    chosen = fit_temperature(overconfident())
    fresh = overconfident(seed=1)
    before = reliability(fresh.label, fresh.probability)["expected_calibration_error"]
    after = reliability(fresh.label, tempered(fresh.probability, chosen))["expected_calibration_error"]
    assert after < before / 2


def test_the_calibration_error_equals_an_independent_computation() -> None:
    predictions = overconfident(1500)
    sure = predictions.probability.max(axis=1)
    right = predictions.probability.argmax(axis=1) == predictions.label
    ranks = np.argsort(np.argsort(sure, kind="stable"), kind="stable") // 100
    gaps = [abs(sure[ranks == k].mean() - right[ranks == k].mean()) for k in range(15)]
    found = reliability(predictions.label, predictions.probability)
    assert found["expected_calibration_error"] == pytest.approx(np.mean(gaps), abs=1e-9)
    assert found["tiles"] == [100] * 15


def test_few_errors_identify_no_temperature() -> None:
    label = np.arange(400) % 2
    score = np.where(label == 1, 0.999, 0.001)
    score[:19] = 1 - score[:19]
    sure = Predictions(index=np.arange(400), label=label, probability=np.stack([1 - score, score], axis=1))
    found = decide(sure, np.arange(400), positive=1, rule="0.5", calibrate=True)
    assert found.temperature == 1.0
    assert "With 19 errors among 400 validation tiles" in found.told[0]
    assert found.facts["validation"]["misses"] + found.facts["validation"]["false_alarms"] == 19


def test_the_threshold_of_f1_is_the_best_there_is() -> None:
    predictions = overconfident(300)
    score, positive = predictions.probability[:, 1], predictions.label == 1
    threshold, _ = choose_threshold(score, positive, np.arange(300), rule="f1")
    best = max(f1_score(positive, score >= candidate) for candidate in score)
    assert f1_score(positive, score >= threshold) == pytest.approx(best)


def test_dear_misses_lower_the_threshold() -> None:
    predictions = overconfident(1000)
    score, positive = predictions.probability[:, 1], predictions.label == 1
    cheap, dear = (
        choose_threshold(score, positive, np.arange(1000), rule=rule)[0] for rule in ("cost:1", "cost:20")
    )
    assert dear < cheap
    costs = [20 * (positive & (score < t)).sum() + (~positive & (score >= t)).sum() for t in score]
    ours = 20 * (positive & (score < dear)).sum() + (~positive & (score >= dear)).sum()
    assert ours == min(costs)


def test_a_promised_recall_is_promised_by_its_lower_bound() -> None:
    predictions = overconfident(3000)
    score, positive = predictions.probability[:, 1], predictions.label == 1
    threshold, told = choose_threshold(score, positive, np.arange(3000), rule="recall:0.95")
    assert lower_bound(score[positive] >= threshold, np.arange(positive.sum())) >= 0.95
    assert (score[positive] >= threshold).mean() < 0.98
    assert "at least 95.00% of the cracks are found" in told[0]


def test_a_recall_that_cannot_be_promised_is_said() -> None:
    predictions = overconfident(60)
    score, positive = predictions.probability[:, 1], predictions.label == 1
    threshold, told = choose_threshold(score, positive, np.arange(60), rule="recall:0.999")
    assert "cannot be promised" in told[0]
    assert (score[positive] >= threshold).all()


def test_promises_are_kept_on_other_tiles() -> None:
    kept = 0
    for seed in range(100):
        validation, test = overconfident(1500, seed=2 * seed), overconfident(4000, seed=2 * seed + 1)
        threshold, _ = choose_threshold(
            validation.probability[:, 1], validation.label == 1, np.arange(1500), rule="recall:0.9"
        )
        kept += (test.probability[test.label == 1, 1] >= threshold).mean() >= 0.9
    assert kept >= 90


def test_more_classes_have_a_temperature_and_no_threshold() -> None:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 3, 600)
    odds = np.exp(rng.normal(0, 3, (600, 3)))
    three = Predictions(index=np.arange(600), label=label, probability=odds / odds.sum(axis=1, keepdims=True))
    found = decide(three, np.arange(600), positive=None, rule="0.5", calibrate=True)
    assert found.temperature > 3
    assert "validation" not in found.facts
