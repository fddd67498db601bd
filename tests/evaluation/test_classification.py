from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn import metrics as reference

from crack_lightning.evaluation.classification import (
    binary_metrics,
    confusion_matrix,
    evaluate_predictions,
)
from crack_lightning.evaluation.metrics.scoring_rules import PROBABILITY_FLOOR, brier_score, log_loss
from crack_lightning.evaluation.predictions import Predictions

NAMES = ("crack", "intact", "spall", "rust")


def drawn_predictions(num_classes: int, *, tiles: int = 400, absent: int | None = None) -> Predictions:
    rng = np.random.default_rng(num_classes)
    label = rng.integers(num_classes, size=tiles)
    if absent is not None:
        label[label == absent] = (absent + 1) % num_classes
    logits = rng.normal(size=(tiles, num_classes))
    logits[np.arange(tiles), label] += 1.0
    odds = np.exp(logits)
    probability = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    return Predictions(index=np.arange(tiles), label=label, probability=probability)


@pytest.mark.parametrize("num_classes", [2, 3, 4])
@pytest.mark.parametrize("absent", [None, 1])
def test_class_metrics_equal_scikit_learns_classification_report(
    num_classes: int, absent: int | None
) -> None:
    predictions = drawn_predictions(num_classes, absent=absent)
    names = NAMES[:num_classes]
    figures = evaluate_predictions(predictions, class_names=names, positive_class=None)
    expected = reference.classification_report(
        predictions.label,
        predictions.probability.argmax(axis=1),
        labels=range(num_classes),
        target_names=names,
        output_dict=True,
        zero_division=np.nan,
    )
    for name, row in figures["classes"].items():
        for key in ("precision", "recall", "f1", "support"):
            told = expected[name]["f1-score" if key == "f1" else key]
            uncomparable = absent is not None and (num_classes == 2 or name == names[absent])
            if np.isnan(told) or (uncomparable and key in ("precision", "f1")):
                assert row[key] is None
            else:
                assert row[key] == pytest.approx(told, abs=1e-12)
    for average in ("macro", "weighted") if absent is None else ():
        for key in ("precision", "recall", "f1-score", "support"):
            told = expected[f"{average} avg"][key]
            assert figures[average][key.removesuffix("-score")] == pytest.approx(told, abs=1e-12)
    assert figures["metrics"]["accuracy"] == pytest.approx(expected["accuracy"])


def test_metrics_of_more_classes_are_averages_of_one_class_against_the_rest() -> None:
    predictions = drawn_predictions(4)
    metrics = evaluate_predictions(predictions, class_names=NAMES, positive_class=None)["metrics"]
    probability = predictions.probability.astype(np.float64)
    probability /= probability.sum(axis=1, keepdims=True)
    truth = np.eye(4)[predictions.label]
    expected = {
        "auroc_macro": reference.roc_auc_score(predictions.label, probability, multi_class="ovr"),
        "average_precision_macro": reference.average_precision_score(truth, probability),
        "log_loss": reference.log_loss(predictions.label, probability),
        "brier_score": float(np.mean(np.sum((probability - truth) ** 2, axis=1))),
    }
    assert {key: metrics[key] for key in expected} == pytest.approx(expected, abs=1e-6)
    assert "false_negatives" not in metrics


def test_a_class_without_tiles_has_no_area_and_is_left_out_of_balanced_accuracy() -> None:
    predictions = drawn_predictions(3, absent=2)
    figures = evaluate_predictions(predictions, class_names=NAMES[:3], positive_class=None)
    called = predictions.probability.argmax(axis=1)
    recalls = [np.mean(called[predictions.label == k] == k) for k in (0, 1)]
    assert figures["classes"]["spall"]["auroc"] is None
    assert figures["curves"]["pr"]["spall"] is None
    assert figures["metrics"]["balanced_accuracy"] == pytest.approx(np.mean(recalls))


@pytest.mark.parametrize("key", ["precision", "recall", "f1"])
def test_a_class_without_tiles_is_left_out_of_averages(key: str) -> None:
    figures = evaluate_predictions(
        drawn_predictions(3, absent=2), class_names=NAMES[:3], positive_class="spall"
    )
    tested = [figures["classes"][name][key] for name in ("crack", "intact")]
    assert figures["classes"]["spall"][key] is None
    assert figures["metrics"][f"{key}_spall"] is None
    assert figures["macro"][key] == pytest.approx(np.mean(tested))


def test_constant_predictions_have_an_mcc_of_zero() -> None:
    one_prediction, one_class, both = (
        binary_metrics(np.array(confusion), 1)["mcc"]
        for confusion in ([[0, 3], [0, 5]], [[0, 0], [2, 5]], [[4, 1], [2, 5]])
    )
    label, called = np.repeat([0, 0, 1, 1], [4, 1, 2, 5]), np.repeat([0, 1, 0, 1], [4, 1, 2, 5])
    assert one_prediction == reference.matthews_corrcoef([0] * 3 + [1] * 5, [1] * 8)
    assert one_class is None
    assert both == pytest.approx(reference.matthews_corrcoef(label, called))


def test_a_lower_threshold_trades_misses_for_false_alarms() -> None:
    predictions = drawn_predictions(2)
    low, high = (
        evaluate_predictions(predictions, class_names=NAMES[:2], positive_class="crack", threshold=threshold)[
            "metrics"
        ]
        for threshold in (0.1, 0.9)
    )
    assert low["false_negatives"] < high["false_negatives"]
    assert low["false_positives"] > high["false_positives"]
    truth, called = predictions.label == 0, predictions.probability[:, 0] >= 0.1
    assert low["false_negatives"] == (truth & ~called).sum()
    assert low["false_positives"] == (~truth & called).sum()


def test_all_values_are_json_values_except_the_first_threshold() -> None:
    figures = evaluate_predictions(drawn_predictions(2), class_names=NAMES[:2], positive_class="crack")
    assert figures["curves"]["roc"]["crack"]["threshold"].pop(0) == np.inf
    assert figures["curves"]["pr"]["crack"]["threshold"].pop(0) == np.inf
    assert json.loads(json.dumps(figures, allow_nan=False)) == figures


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_log_loss_of_a_confident_error_is_the_same_for_all_dtypes(kind: type[np.floating]) -> None:
    label = np.array([0, 1, 0, 1])
    probability = np.array([[0.0, 1.0], [0.0, 1.0], [0.7, 0.3], [1e-30, 1.0]]).astype(kind)
    predictions = Predictions(index=np.arange(4), label=label, probability=probability)
    metrics = evaluate_predictions(predictions, class_names=NAMES[:2], positive_class="crack")["metrics"]
    clipped = np.clip(probability.astype(np.float64), PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)
    assert np.finfo(np.float32).eps == PROBABILITY_FLOOR
    assert metrics["log_loss"] == pytest.approx(reference.log_loss(label, clipped), rel=1e-6)
    assert metrics["log_loss"] == pytest.approx(
        reference.log_loss(label, probability.astype(np.float32)), rel=1e-5
    )
    assert log_loss(label, probability) == metrics["log_loss"]
    assert brier_score(label[:2], probability[:2]) == 0.5


def test_rows_of_the_confusion_matrix_are_the_truth() -> None:
    label, called = np.array([0, 0, 0, 1, 2]), np.array([0, 1, 1, 1, 0])
    expected = reference.confusion_matrix(label, called)
    assert confusion_matrix(label, called, num_classes=3).tolist() == expected.tolist()
