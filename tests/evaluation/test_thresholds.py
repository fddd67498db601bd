"""Temperature scaling, and the choice of the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import statsmodels.api as sm
from sklearn.metrics import f1_score

from crack_lightning.evaluation.calibration import cross_fitted, fit_temperature, reliability, tempered
from crack_lightning.evaluation.intervals.groups import lower_bound
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.evaluation.thresholds import choose_threshold, decide

if TYPE_CHECKING:
    from numpy.typing import NDArray


def photos(number: int, *, tiles: int = 1) -> NDArray[np.str_]:
    return np.char.add("photo ", (np.arange(number) // tiles).astype(np.str_))


def overconfident(number: int = 2000, *, sharpness: float = 3.0, seed: int = 0) -> Predictions:
    """Predictions whose logits are so many times too large."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(0, 1.5, number)
    label = (rng.random(number) < 1 / (1 + np.exp(-logit))).astype(np.int64)
    score = 1 / (1 + np.exp(-sharpness * logit))
    return Predictions(index=np.arange(number), label=label, probability=np.stack([1 - score, score], axis=1))


def test_the_temperature_is_the_inverse_of_statsmodels_slope() -> None:
    predictions = overconfident()
    margin = np.log(predictions.probability[:, 1] / predictions.probability[:, 0])
    slope = sm.Logit(predictions.label, margin).fit(disp=0, tol=1e-12).params[0]
    found = fit_temperature(predictions.label, predictions.probability)
    assert found == pytest.approx(1 / slope, rel=1e-6)
    assert found == pytest.approx(3.0, abs=0.4)


@pytest.mark.parametrize(("right", "expected"), [(True, 0.05), (False, 20.0)])
def test_a_temperature_without_a_finite_optimum_is_a_limit(right: bool, expected: float) -> None:  # noqa: FBT001
    score = np.linspace(0.6, 0.9, 50)
    label = np.full(50, int(right))
    assert fit_temperature(label, np.stack([1 - score, score], axis=1)) == expected


def test_the_temperature_of_a_group_is_fitted_without_it() -> None:
    predictions = overconfident(1000)
    group = np.arange(1000) // 10
    found, temperatures = cross_fitted(predictions, group)
    assert len(set(temperatures)) == 5
    odds = np.log(found[:, 1] / found[:, 0])
    used = np.log(predictions.probability[:, 1] / predictions.probability[:, 0]) / odds
    for number, temperature in enumerate(temperatures):
        own = np.isclose(used, temperature, rtol=1e-9)
        assert own.sum() == 200, number
        assert not set(group[own]) & set(group[~own])
        others = fit_temperature(predictions.label[~own], predictions.probability[~own])
        assert temperature == pytest.approx(others, rel=1e-9)


def test_a_single_photo_is_calibrated_by_itself() -> None:
    predictions = overconfident(200)
    found, [temperature] = cross_fitted(predictions, np.zeros(200, np.int64))
    assert temperature == fit_temperature(predictions.label, predictions.probability)
    np.testing.assert_array_equal(found, tempered(predictions.probability, temperature))


def test_a_temperature_and_its_inverse_restore_the_probabilities() -> None:
    probability = overconfident(50).probability
    np.testing.assert_allclose(tempered(tempered(probability, 2.5), 0.4), probability, atol=1e-9)


def test_a_temperature_halves_the_calibration_error() -> None:
    validation = overconfident()
    chosen = fit_temperature(validation.label, validation.probability)
    fresh = overconfident(seed=1)
    before = reliability(fresh.label, fresh.probability)["expected_calibration_error"]
    after = reliability(fresh.label, tempered(fresh.probability, chosen))["expected_calibration_error"]
    assert after < before / 2


@pytest.mark.parametrize(("errors", "said"), [(0, "0 errors"), (1, "1 error"), (19, "19 errors")])
def test_few_errors_identify_no_temperature(errors: int, said: str) -> None:
    label = np.arange(400) % 2
    score = np.where(label == 1, 0.999, 0.001)
    score[:errors] = 1 - score[:errors]
    sure = Predictions(index=np.arange(400), label=label, probability=np.stack([1 - score, score], axis=1))
    found = decide(sure, photos(400), positive=1, rule="0.5", calibrate=True)
    assert found.temperature == 1.0
    assert f"got {said} among 400 validation tiles" in found.facts["temperature_notes"][0]
    assert (
        found.facts["validation"]["false_negatives"] + found.facts["validation"]["false_positives"] == errors
    )


def test_the_f1_threshold_has_the_highest_f1() -> None:
    predictions = overconfident(300)
    score, positive = predictions.probability[:, 1], predictions.label == 1
    threshold, _ = choose_threshold(score, positive, np.arange(300), rule="f1")
    best = max(f1_score(positive, score >= candidate) for candidate in score)
    assert f1_score(positive, score >= threshold) == pytest.approx(best)


def test_a_higher_cost_of_misses_lowers_the_threshold() -> None:
    predictions = overconfident(1000)
    score, positive = predictions.probability[:, 1], predictions.label == 1
    cheap, dear = (
        choose_threshold(score, positive, np.arange(1000), rule=rule)[0] for rule in ("cost:1", "cost:20")
    )
    assert dear < cheap
    costs = [20 * (positive & (score < t)).sum() + (~positive & (score >= t)).sum() for t in score]
    ours = 20 * (positive & (score < dear)).sum() + (~positive & (score >= dear)).sum()
    assert ours == min(costs)


def test_the_recall_threshold_satisfies_the_lower_bound() -> None:
    predictions = overconfident(3000)
    score, positive = predictions.probability[:, 1], predictions.label == 1
    threshold, told = choose_threshold(score, positive, np.arange(3000), rule="recall:0.95")
    assert lower_bound(score[positive] >= threshold, np.arange(positive.sum())) >= 0.95
    assert (score[positive] >= threshold).mean() < 0.98
    assert "recall is at least 95 %" in told[0]


def test_an_unreachable_recall_is_reported_with_the_highest_bound() -> None:
    predictions = overconfident(60)
    score, positive = predictions.probability[:, 1], predictions.label == 1
    threshold, told = choose_threshold(score, positive, np.arange(60), rule="recall:0.999")
    most = 100 * 0.05 ** (1 / positive.sum())
    assert f"A recall of 99.9 % cannot be guaranteed with {positive.sum()} positive" in told[0]
    assert f"the highest possible bound is {most:.4g} %" in told[0]
    assert (score[positive] >= threshold).all()


def test_the_sequence_of_tests_ends_at_the_first_failure() -> None:
    predictions = overconfident(2000)
    score, positive, group = predictions.probability[:, 1], predictions.label == 1, np.arange(2000) // 10
    threshold, _ = choose_threshold(score, positive, group, rule="recall:0.9")
    own, codes = np.sort(score[positive]), group[positive][np.argsort(score[positive])]
    bounds = [lower_bound(own >= candidate, codes) for candidate in own]
    passed = int(np.argmax(np.array(bounds) < 0.9)) - 1
    assert own[passed - 1] < threshold <= own[passed]


def test_the_threshold_lies_between_scores() -> None:
    predictions = overconfident(500)
    score, positive = predictions.probability[:, 1], predictions.label == 1
    for rule in ("f1", "cost:5", "recall:0.9", "recall:0.9999"):
        threshold, _ = choose_threshold(score, positive, np.arange(500), rule=rule)
        assert np.abs(score - threshold).min() > 1e-9, rule
        assert 0 <= threshold <= 1


@pytest.mark.parametrize("rule", ["recall:0.9", "f1"])
def test_the_threshold_is_chosen_on_cross_fitted_probabilities(rule: str) -> None:
    predictions, group = overconfident(1000), photos(1000, tiles=5)
    found = decide(predictions, group, positive=1, rule=rule, calibrate=True)
    codes = np.unique(group, return_inverse=True)[1]
    score = cross_fitted(predictions, codes)[0][:, 1]
    expected, _ = choose_threshold(score, predictions.label == 1, codes, rule=rule)
    assert found.threshold == expected
    assert found.temperature == fit_temperature(predictions.label, predictions.probability)
    facts = found.facts["cross_fitting"]
    assert facts["calibration_error_after"] < facts["calibration_error_before"] / 2
    assert facts["over"] == "groups"
    missed = (score < expected)[predictions.label == 1].mean()
    at = np.searchsorted(-np.array(found.facts["curve"]["threshold"]), -expected, side="right") - 1
    assert found.facts["curve"]["false_negative_rate"][at] == pytest.approx(missed, abs=0.01)
    assert found.facts["validation"]["recall"] == pytest.approx(1 - missed)


def test_unknown_groups_are_stated() -> None:
    told = decide(overconfident(), np.full(2000, ""), positive=1, rule="recall:0.9", calibrate=True).notes
    assert all("over tiles, as groups are unknown" in sentence for sentence in told)


def test_guaranteed_recalls_hold_on_other_tiles() -> None:
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
    found = decide(three, photos(600), positive=None, rule="0.5", calibrate=True)
    assert found.temperature > 3
    assert "validation" not in found.facts
