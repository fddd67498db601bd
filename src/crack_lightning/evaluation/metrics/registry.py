"""The registry of metrics, :data:`METRICS`, for evaluation, reports, comparisons and TensorBoard.

To add a metric, write its function and its entry here, and a test that compares it with a reference.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.evaluation.intervals import shares
from crack_lightning.evaluation.intervals.weighted_metrics import (
    ratio,
    weighted_auroc,
    weighted_average_precision,
)
from crack_lightning.evaluation.metrics.curves import auroc, average_precision
from crack_lightning.evaluation.metrics.metric_types import (
    CallMetric,
    Metric,
    ProbabilityMetric,
    RankingMetric,
)
from crack_lightning.evaluation.metrics.scoring_rules import log_losses, squared_errors

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def _tp(confusion: Floats, k: int) -> Floats:
    return confusion[:, k, k]


def _support(confusion: Floats, k: int) -> Floats:
    return np.asarray(confusion[:, k].sum(axis=1))


def _predicted(confusion: Floats, k: int) -> Floats:
    return np.asarray(confusion[:, :, k].sum(axis=1))


def _tiles(confusion: Floats) -> Floats:
    return np.asarray(confusion.sum(axis=(1, 2)))


def _accuracy(confusion: Floats, _: int) -> Floats:
    return ratio(np.trace(confusion, axis1=1, axis2=2), _tiles(confusion))


def _majority_class_accuracy(confusion: Floats, _: int) -> Floats:
    return ratio(confusion.sum(axis=2).max(axis=1), _tiles(confusion))


def _recall(confusion: Floats, k: int) -> Floats:
    return ratio(_tp(confusion, k), _support(confusion, k))


def _precision(confusion: Floats, k: int) -> Floats:
    return ratio(_tp(confusion, k), _predicted(confusion, k))


def _f1(confusion: Floats, k: int) -> Floats:
    return ratio(2 * _tp(confusion, k), _support(confusion, k) + _predicted(confusion, k))


def _specificity(confusion: Floats, k: int) -> Floats:
    others = _tiles(confusion) - _support(confusion, k)
    false_positives = _predicted(confusion, k) - _tp(confusion, k)
    return ratio(others - false_positives, others)


def _balanced_accuracy(confusion: Floats, _: int) -> Floats:
    """Average recall over the classes that have tiles, two at least."""
    recalls = np.stack([_recall(confusion, k) for k in range(confusion.shape[1])])
    tested = (~np.isnan(recalls)).sum(axis=0)
    return np.where(tested > 1, ratio(np.nansum(recalls, axis=0), tested), np.nan)


def _mcc(confusion: Floats, k: int) -> Floats:
    """Return Matthews' correlation (BBA 1975); 0 where all predictions are the same, as in scikit-learn."""
    tp, support, predicted = _tp(confusion, k), _support(confusion, k), _predicted(confusion, k)
    fp, fn = predicted - tp, support - tp
    tn = _tiles(confusion) - tp - fp - fn
    spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return np.divide(tp * tn - fp * fn, spread, out=np.zeros(len(tp)), where=spread > 0)


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        CallMetric(
            name="accuracy",
            label="accuracy",
            meaning="share of tiles that are predicted correctly",
            scope="all",
            function=_accuracy,
            interval=shares.accuracy,
            in_training=True,
            percent=True,
            headline=True,
            hub_name="accuracy",
        ),
        CallMetric(
            name="majority_class_accuracy",
            label="accuracy without a model",
            meaning="share of the most frequent class: the accuracy of predicting it for every tile",
            scope="all",
            function=_majority_class_accuracy,
            interval=shares.majority_class_accuracy,
            depends_on_model=False,
            percent=True,
        ),
        CallMetric(
            name="balanced_accuracy",
            label="balanced accuracy",
            meaning="recall averaged over the classes; 50 % is no better than chance with two classes",
            scope="all",
            function=_balanced_accuracy,
            interval=shares.balanced_accuracy,
            percent=True,
        ),
        CallMetric(
            name="precision",
            label="precision",
            meaning="share of the tiles predicted as {name} that are {name}",
            scope="class",
            function=_precision,
            interval=shares.precision,
            needs_both_classes=True,
            in_training=True,
            percent=True,
            hub_name="precision",
        ),
        CallMetric(
            name="recall",
            label="recall",
            meaning="share of the {name} tiles that are predicted as {name}",
            scope="class",
            function=_recall,
            interval=shares.recall,
            in_training=True,
            percent=True,
            headline=True,
            hub_name="recall",
        ),
        CallMetric(
            name="f1",
            label="F1",
            meaning="harmonic mean of precision and recall",
            scope="class",
            function=_f1,
            interval=shares.f1,
            needs_both_classes=True,
            in_training=True,
            percent=True,
            hub_name="f1",
        ),
        RankingMetric(
            name="auroc",
            label="AUROC",
            meaning="probability that a {name} tile scores higher than another; 0.5 is chance, 1 is perfect",
            scope="class",
            function=auroc,
            weighted=weighted_auroc,
            value_of_ties=0.5,
            headline=True,
            hub_name="roc_auc",
        ),
        RankingMetric(
            name="average_precision",
            label="average precision",
            meaning="area under the precision-recall curve; 1 is perfect",
            scope="class",
            function=average_precision,
            weighted=weighted_average_precision,
        ),
        CallMetric(
            name="specificity",
            label="specificity",
            meaning="share of the other tiles that raise no false alarm",
            scope="positive",
            function=_specificity,
            interval=shares.specificity,
            percent=True,
            headline=True,
        ),
        CallMetric(
            name="mcc",
            label="MCC",
            meaning="Matthews correlation of prediction and truth; 0 is no better than chance, 1 is perfect",
            scope="positive",
            function=_mcc,
            interval=shares.mcc,
            needs_both_classes=True,
            low=-1.0,
            hub_name="matthews_correlation",
        ),
        ProbabilityMetric(
            name="log_loss",
            label="log loss",
            meaning="mean negative log probability of the true class, in nats; lower is better, 0 is perfect",
            scope="all",
            losses=log_losses,
            confident_error=float(np.log(100)),
            high=float("inf"),
            higher_is_better=False,
        ),
        ProbabilityMetric(
            name="brier_score",
            label="Brier score",
            meaning="mean squared error of the probabilities; lower is better, 0 is perfect",
            scope="all",
            losses=squared_errors,
            confident_error=1.0,
            high=2.0,
            higher_is_better=False,
            hub_name="brier_score",
        ),
    )
}


def keys_of(positive_class: str | None) -> dict[str, Metric]:
    """Return the keys of the metrics that reports and comparisons show, in the order of the registry.

    They are those of the positive class of two; with ``None``, averages over classes.
    """
    return {
        f"{metric.name}_{positive_class or 'macro'}" if metric.scope == "class" else metric.name: metric
        for metric in METRICS.values()
        if metric.scope != "positive" or positive_class
    }


def call_metrics() -> list[CallMetric]:
    """Return the metrics that are computed from predicted classes."""
    return [metric for metric in METRICS.values() if isinstance(metric, CallMetric)]


def ranking_metrics() -> list[RankingMetric]:
    """Return the metrics that are computed from the order of scores."""
    return [metric for metric in METRICS.values() if isinstance(metric, RankingMetric)]


def probability_metrics() -> list[ProbabilityMetric]:
    """Return the metrics that are computed from probabilities."""
    return [metric for metric in METRICS.values() if isinstance(metric, ProbabilityMetric)]
