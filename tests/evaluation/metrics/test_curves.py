from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference

from crack_lightning.evaluation.metrics.curves import (
    auroc,
    average_precision,
    pr_curve,
    roc_curve,
    simplify_curve,
)


def drawn_scores(tiles: int, *, levels: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Scores that overlap; with ``levels`` many of them are equal."""
    rng = np.random.default_rng(8)
    positive = rng.random(tiles) < 0.3
    score = 1 / (1 + np.exp(-rng.normal(positive * 2.0, 1.0)))
    return (score if levels is None else np.round(score * levels) / levels), positive


@pytest.mark.parametrize("levels", [None, 7])
def test_the_roc_curve_equals_scikit_learns(levels: int | None) -> None:
    score, positive = drawn_scores(500, levels=levels)
    curve = roc_curve(score, positive)
    assert curve is not None
    expected = reference.roc_curve(positive, score, drop_intermediate=False)
    for column, wanted in zip(curve.values(), expected, strict=True):
        np.testing.assert_allclose(column, wanted, rtol=1e-12)


@pytest.mark.parametrize("levels", [None, 7])
def test_the_precision_recall_curve_equals_scikit_learns(levels: int | None) -> None:
    score, positive = drawn_scores(500, levels=levels)
    curve = pr_curve(score, positive)
    assert curve is not None
    precision, recall, threshold = reference.precision_recall_curve(positive, score)
    np.testing.assert_allclose(curve["precision"], precision[::-1], rtol=1e-12)
    np.testing.assert_allclose(curve["recall"], recall[::-1], rtol=1e-12)
    np.testing.assert_allclose(curve["threshold"][1:], threshold[::-1], rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("levels", [None, 3, 40])
def test_areas_equal_scikit_learns(levels: int | None, dtype: type) -> None:
    score, positive = drawn_scores(2_000, levels=levels)
    score = score.astype(dtype)
    assert auroc(score, positive) == pytest.approx(reference.roc_auc_score(positive, score), abs=1e-12)
    expected = reference.average_precision_score(positive, score)
    assert average_precision(score, positive) == pytest.approx(expected, abs=1e-12)


def test_scores_that_separate_the_classes_give_areas_of_exactly_one() -> None:
    positive = np.arange(7_919) >= 3_001
    score = np.arange(7_919) / 7_919
    assert auroc(score, positive) == 1.0
    assert average_precision(score, positive) == 1.0


def test_scores_of_one_class_have_no_area_and_no_curve() -> None:
    score = np.array([0.1, 0.9])
    assert auroc(score, np.array([True, True])) is None
    assert auroc(score, np.array([False, False])) is None
    assert average_precision(score, np.array([False, False])) is None
    assert roc_curve(score, np.array([True, True])) is None
    assert pr_curve(score, np.array([False, False])) is None


def test_a_simplified_curve_keeps_its_ends_and_nearly_its_area() -> None:
    score, positive = drawn_scores(20_000)
    curve = roc_curve(score, positive)
    assert curve is not None
    thinned = simplify_curve(curve)
    x, y = thinned["false_positive_rate"], thinned["true_positive_rate"]
    assert len(x) <= 200
    assert (x[0], y[0], x[-1], y[-1]) == (0.0, 0.0, 1.0, 1.0)
    own_points = set(zip(*(column.tolist() for column in curve.values()), strict=True))
    assert set(zip(*(column.tolist() for column in thinned.values()), strict=True)) <= own_points
    assert np.trapezoid(y, x) == pytest.approx(reference.roc_auc_score(positive, score), abs=1e-3)


def test_simplifying_a_curve_with_few_corners_loses_nothing() -> None:
    score, positive = np.arange(1_000) / 1_000, np.arange(1_000) >= 400
    positive[[380, 450]] = [True, False]
    curve = roc_curve(score, positive)
    assert curve is not None
    thinned = simplify_curve(curve)
    x = curve["false_positive_rate"]
    restored = np.trapezoid(thinned["true_positive_rate"], thinned["false_positive_rate"])
    assert len(thinned["threshold"]) < 10
    assert restored == pytest.approx(np.trapezoid(curve["true_positive_rate"], x), abs=1e-12)
