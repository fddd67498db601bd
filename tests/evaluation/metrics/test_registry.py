"""All metrics of the registry against scikit-learn, and the effects of a new entry."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn import metrics as reference

from crack_lightning.evaluation.classification import evaluate_predictions
from crack_lightning.evaluation.intervals.metrics import uncertainty
from crack_lightning.evaluation.intervals.weighted_metrics import ratio
from crack_lightning.evaluation.metrics.metric_types import CallMetric
from crack_lightning.evaluation.metrics.registry import METRICS
from crack_lightning.evaluation.predictions import Predictions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Reference = Callable[[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.float64]], float]

REFERENCES: dict[str, Reference] = {
    "accuracy": lambda truth, called, _: reference.accuracy_score(truth, called),
    "majority_class_accuracy": lambda truth, *_: max(truth.mean(), 1 - truth.mean()),
    "balanced_accuracy": lambda truth, called, _: reference.balanced_accuracy_score(truth, called),
    "recall": lambda truth, called, _: reference.recall_score(truth, called),
    "precision": lambda truth, called, _: reference.precision_score(truth, called),
    "f1": lambda truth, called, _: reference.f1_score(truth, called),
    "auroc": lambda truth, _, score: reference.roc_auc_score(truth, score),
    "average_precision": lambda truth, _, score: reference.average_precision_score(truth, score),
    "specificity": lambda truth, called, _: reference.recall_score(~truth, ~called),
    "mcc": lambda truth, called, _: reference.matthews_corrcoef(truth, called),
    "log_loss": lambda truth, _, score: reference.log_loss(truth, score),
    "brier_score": lambda truth, _, score: reference.brier_score_loss(truth, score),
}
CLASSES: dict[str, Any] = {"class_names": ["intact", "crack"], "positive_class": "crack"}


def drawn() -> Predictions:
    rng = np.random.default_rng(3)
    label = rng.integers(2, size=400)
    score = np.clip(rng.normal(0.35 + 0.3 * label, 0.2), 0.01, 0.99)
    return Predictions(index=np.arange(400), label=label, probability=np.stack([1 - score, score], axis=1))


@pytest.mark.parametrize("positive", [0, 1])
def test_every_metric_equals_its_reference_and_lies_in_its_range_and_interval(positive: int) -> None:
    predictions, names = drawn(), CLASSES["class_names"]
    classes: dict[str, Any] = CLASSES | {"positive_class": names[positive]}
    score = predictions.probability[:, positive].astype(np.float64)
    values = evaluate_predictions(predictions, **classes)["metrics"]
    limits = uncertainty(predictions, np.full(400, ""), **classes)["intervals"]
    for name, metric in METRICS.items():
        key = f"{name}_{names[positive]}" if metric.scope == "class" else name
        expected = REFERENCES[name](predictions.label == positive, score >= 0.5, score)
        assert values[key] == pytest.approx(expected, abs=1e-9), name
        assert metric.low <= limits[key]["low"] < values[key] < limits[key]["high"] <= metric.high, name


def test_a_better_model_is_better_in_the_direction_of_the_registry() -> None:
    predictions = drawn()
    surer = 0.5 * predictions.probability + 0.5 * np.eye(2)[predictions.label]
    before, after = (
        evaluate_predictions(tested, **CLASSES)["metrics"]
        for tested in (predictions, replace(predictions, probability=surer))
    )
    for name in set(METRICS) - {"majority_class_accuracy"}:
        key = f"{name}_crack" if METRICS[name].scope == "class" else name
        assert (after[key] > before[key]) == METRICS[name].higher_is_better, name


def jaccard(confusion: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    hits = confusion[:, k, k]
    return ratio(hits, confusion[:, k].sum(axis=1) + confusion[:, :, k].sum(axis=1) - hits)


@pytest.mark.parametrize("num_classes", [2, 3])
def test_an_entry_alone_gives_a_metric_its_values_and_intervals(
    monkeypatch: pytest.MonkeyPatch, num_classes: int
) -> None:
    entry = CallMetric(
        name="jaccard", label="Jaccard", meaning="overlap", scope="class", function=jaccard, percent=True
    )
    monkeypatch.setitem(METRICS, "jaccard", entry)
    rng = np.random.default_rng(3)
    label = rng.integers(num_classes, size=300)
    odds = np.exp(rng.normal(size=(300, num_classes)) + 1.5 * np.eye(num_classes)[label])
    predictions = Predictions(
        index=np.arange(300), label=label, probability=odds / odds.sum(axis=1, keepdims=True)
    )
    classes: dict[str, Any] = {"class_names": ["intact", "crack", "spall"][:num_classes]}
    classes["positive_class"] = "crack" if num_classes == 2 else None
    key = "jaccard_crack" if num_classes == 2 else "jaccard_macro"
    value = evaluate_predictions(predictions, **classes)["metrics"][key]
    called = predictions.probability.argmax(axis=1)
    average = {"average": "binary" if num_classes == 2 else "macro"}
    assert value == pytest.approx(reference.jaccard_score(label, called, **average))
    limits = uncertainty(predictions, np.full(300, ""), **classes)["intervals"][key]
    assert 0 < limits["low"] < value < limits["high"] < 1
