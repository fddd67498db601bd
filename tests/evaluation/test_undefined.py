"""Metrics and intervals of incomplete tests: without a class, a second tile or photo, or a ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn import metrics as reference
from statsmodels.stats.proportion import proportion_confint

from crack_lightning.evaluation.classification import evaluate_predictions
from crack_lightning.evaluation.intervals.metrics import uncertainty
from crack_lightning.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray

CLASSES: dict[str, Any] = {"class_names": ["intact", "crack"], "positive_class": "crack"}
COMPARING = {
    "precision_crack",
    "f1_crack",
    "auroc_crack",
    "average_precision_crack",
    "balanced_accuracy",
    "mcc",
}


def told(
    label: NDArray[np.int64],
    score: NDArray[np.floating],
    group: NDArray[np.str_] | None = None,
    **settings: Any,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the metrics of a test, and what is said of how sure they are."""
    score = np.asarray(score, np.float64)
    predictions = Predictions(
        index=np.arange(len(label)), label=label, probability=np.stack([1 - score, score], axis=1)
    )
    group = np.full(len(label), "") if group is None else group
    metrics = evaluate_predictions(predictions, **CLASSES, **settings)["metrics"]
    return metrics, uncertainty(predictions, group, **CLASSES, **settings)


def few_cracked_photos() -> tuple[NDArray[np.int64], NDArray[np.floating], NDArray[np.str_]]:
    """Draw 30 photos of 20 tiles, of which three are cracked in every tile."""
    rng, photo = np.random.default_rng(4), np.repeat(np.arange(30), 20)
    label = (photo < 3).astype(np.int64)
    score = np.clip(rng.normal(0.15 + 0.7 * label, 0.19), 0, 1)
    return label, score, np.char.add("photo ", photo.astype(np.str_))


def test_resamples_without_a_class_are_left_out() -> None:
    label, score, group = few_cracked_photos()
    metrics, sure = told(label, score, group)
    assert metrics["f1_crack"] == pytest.approx(reference.f1_score(label, score >= 0.5))
    for name in COMPARING:
        row = sure["intervals"][name]
        assert row["low"] <= metrics[name] <= row["high"], name
    assert metrics["f1_crack"] > 0.8
    assert sure["intervals"]["f1_crack"]["low"] > 0.2
    assert sure["intervals"]["balanced_accuracy"]["low"] > 0.5


def test_the_share_of_resamples_without_a_class_is_reported() -> None:
    label, score, group = few_cracked_photos()
    _, sure = told(label, score, group)
    chance = 0.9**30
    for name in ("auroc_crack", "average_precision_crack"):
        assert sure["intervals"][name]["undefined_resamples"] == pytest.approx(chance, abs=0.015)
    assert sure["intervals"]["log_loss"]["undefined_resamples"] == 0
    assert "of the resamples, which AUROC and average precision leave out" in sure["notes"][-1]


@pytest.mark.parametrize("only", [0, 1])
def test_metrics_of_two_classes_are_undefined_with_one(only: int) -> None:
    label, score = np.full(200, only), np.where(np.arange(200) < 12, 1 - 0.9 * only - 0.05, 0.9 * only + 0.05)
    metrics, sure = told(label, score)
    found = "recall_crack" if only else "specificity"
    assert {name: metrics[name] for name in COMPARING} == dict.fromkeys(COMPARING)
    assert COMPARING.isdisjoint(sure["intervals"])
    assert metrics[found] == metrics["accuracy"] == pytest.approx(188 / 200)
    limits = proportion_confint(188, 200, method="wilson")
    assert (sure["intervals"][found]["low"], sure["intervals"][found]["high"]) == pytest.approx(limits)


LABEL = np.arange(60) % 2
ODD: dict[str, tuple[NDArray[np.int64], NDArray[np.floating], NDArray[np.str_] | None]] = {
    "one tile": (LABEL[1:2], np.array([0.7]), None),
    "one wrong tile": (LABEL[:1], np.array([0.7]), None),
    "two tiles": (LABEL[:2], np.array([0.7, 0.6]), None),
    "all right": (LABEL, 0.1 + 0.8 * LABEL, None),
    "all wrong": (LABEL, 0.9 - 0.8 * LABEL, None),
    "all right for certain": (LABEL, LABEL.astype(float), None),
    "all wrong for certain": (LABEL, 1.0 - LABEL, None),
    "one score": (LABEL, np.full(60, 0.4), None),
    "two scores": (LABEL, np.where(np.arange(60) % 5, 0.8, 0.3), None),
    "one photo": (LABEL, np.linspace(0, 1, 60), np.full(60, "photo")),
    "two photos": (LABEL, np.linspace(0, 1, 60), np.where(np.arange(60) < 30, "a", "b")),
    "a photo a class": (LABEL, np.linspace(0, 1, 60), np.where(LABEL == 1, "a", "b")),
    "one crack": ((np.arange(60) == 7).astype(np.int64), np.linspace(1, 0, 60), None),
    "one intact tile": ((np.arange(60) != 7).astype(np.int64), np.linspace(1, 0, 60), None),
}


@pytest.mark.parametrize("case", ODD)
def test_every_value_lies_in_its_interval_in_incomplete_tests(case: str) -> None:
    label, score, group = ODD[case]
    metrics, sure = told(label, score, group)
    for name, row in sure["intervals"].items():
        assert np.isfinite([row["low"], row["high"]]).all(), name
        value = metrics.get(name)
        if name in metrics:
            assert value is not None
            assert row["low"] - 1e-9 <= value <= row["high"] + 1e-9, name
        assert row["low"] < row["high"] or (name, case) == ("auroc_crack", "one score"), name
    many = group is None and len(label) > 1
    lacking = {name for name, value in metrics.items() if value is not None} - set(sure["intervals"])
    assert not many or lacking == {
        "tiles",
        "errors",
        "false_negatives",
        "false_positives",
        "auroc_macro",
        "average_precision_macro",
    }


@pytest.mark.parametrize("threshold", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("best", [0, 1])
def test_the_interval_of_a_perfect_ranking_depends_on_the_number_of_tiles(
    threshold: float, best: int
) -> None:
    label = np.arange(200) % 2
    score = np.linspace(0.1, 0.2, 200) + (0.7 * label if best else 0.7 * (1 - label))
    metrics, sure = told(label, score, threshold=threshold)
    assert metrics["auroc_crack"] == best
    low, high = proportion_confint(100 * best, 100, method="wilson")
    row = sure["intervals"]["auroc_crack"]
    assert (row["low"], row["high"]) == pytest.approx((low, high), abs=1e-9)
    if best:
        average = sure["intervals"]["average_precision_crack"]
        assert (average["low"], average["high"]) == pytest.approx((low, 1.0), abs=1e-9)


def test_shared_photos_widen_the_interval_of_a_perfect_ranking() -> None:
    label, score = np.arange(400) % 2, 0.1 + 0.8 * (np.arange(400) % 2)
    photos = np.char.add("photo ", (np.arange(400) // 20).astype(np.str_))
    alone, together = (told(label, score, group)[1]["intervals"]["auroc_crack"] for group in (None, photos))
    assert together["low"] < alone["low"] < 1 == together["high"]


def test_the_intervals_of_nearly_perfect_rankings_cover_the_true_value() -> None:
    rng, inside, photo = np.random.default_rng(0), 0, np.repeat(np.arange(40), 6)
    for _ in range(60):
        label = rng.integers(0, 2, 240)
        missed = rng.random(40)[photo] < 0.03  # in a photo of thirty cracks look like intact concrete
        score = 1 / (1 + np.exp(-rng.normal(np.where(missed, 0, 8) * label - 4)))
        row = told(label, score, photo.astype(np.str_))[1]["intervals"]["auroc_crack"]
        inside += row["low"] <= 1 - 0.03 / 2 <= row["high"]
    assert inside >= 54


def test_the_interval_of_f1_is_computed_from_a_proportion() -> None:
    label, called = np.repeat([1, 1, 0, 0], [40, 6, 4, 150]), np.repeat([1, 0, 1, 0], [40, 6, 4, 150])
    row = told(label, 0.2 + 0.6 * called)[1]["intervals"]["f1_crack"]
    low, high = (2 * limit / (1 + limit) for limit in proportion_confint(40, 50, method="wilson"))
    assert (row["low"], row["high"]) == pytest.approx((low, high))


def test_the_interval_of_balanced_accuracy_is_computed_from_those_of_recalls() -> None:
    label, called = np.repeat([1, 1, 0, 0], [40, 6, 4, 150]), np.repeat([1, 0, 1, 0], [40, 6, 4, 150])
    metrics, sure = told(label, 0.2 + 0.6 * called)
    (low_r, high_r), (low_s, high_s) = (
        proportion_confint(hits, tiles, method="wilson") for hits, tiles in ((40, 46), (150, 154))
    )
    below = np.hypot(40 / 46 - low_r, 150 / 154 - low_s) / 2
    above = np.hypot(high_r - 40 / 46, high_s - 150 / 154) / 2
    row, value = sure["intervals"]["balanced_accuracy"], metrics["balanced_accuracy"]
    assert (row["low"], row["high"]) == pytest.approx((value - below, value + above))


def test_metrics_averaged_over_classes_have_intervals() -> None:
    rng = np.random.default_rng(1)
    label = rng.integers(3, size=300)
    odds = np.exp(rng.normal(size=(300, 4)) + 2 * np.eye(4)[label])
    predictions = Predictions(
        index=np.arange(300), label=label, probability=odds / odds.sum(axis=1, keepdims=True)
    )
    classes: dict[str, Any] = {"class_names": ["a", "b", "c", "untested"], "positive_class": None}
    metrics = evaluate_predictions(predictions, **classes)["metrics"]
    sure = uncertainty(predictions, np.full(300, ""), **classes)["intervals"]
    for name in ("recall", "precision", "f1", "auroc", "average_precision"):
        row = sure[f"{name}_macro"]
        assert 0 < row["low"] < metrics[f"{name}_macro"] < row["high"] < 1, name
    assert not any(name.endswith("untested") for name in sure)
