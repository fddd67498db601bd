"""Metrics of a test, computed from predictions and labels by the registry.

An undefined metric (precision of a class that is never predicted, recall of a class without tiles) is
``None`` and left out of averages over classes, as with scikit-learn's ``zero_division=np.nan``. Precision, F1
and average precision of a class are also undefined if no tile, or every tile, is of that class: then no, or
every, prediction of it is correct. In arrays of many tests an undefined metric is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.metrics.curves import pr_curve, roc_curve, simplify_curve
from crack_lightning.evaluation.metrics.registry import call_metrics, probability_metrics, ranking_metrics
from crack_lightning.evaluation.predictions import Predictions, predicted_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def evaluate_predictions(
    predictions: Predictions,
    *,
    class_names: Sequence[str],
    positive_class: str | None,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Compute every metric of the registry for a set of predictions.

    Args:
        predictions: Labels and probabilities of N tiles.
        class_names: K names by class index.
        positive_class: The class whose misses and false alarms count; ``None`` when there is none.
        threshold: Lowest probability of a positive prediction, with two classes.

    Returns:
        ``metrics`` (flat: name to number), ``classes`` (by name: precision, recall, f1, support, auroc,
        average_precision), ``macro`` and ``weighted`` averages, ``confusion_matrix`` (rows: truth),
        ``threshold``, and ``curves`` (``roc`` and ``pr`` by class name, at most 200 points, the positive
        class alone where two classes have one).
    """
    names = list(class_names)
    positive = None if positive_class is None else names.index(positive_class)
    label, probability = predictions.label, predictions.probability
    predicted = predicted_labels(probability, positive_index=positive, threshold=threshold)
    confusion = confusion_matrix(label, predicted, num_classes=len(names))
    ranking = _ranking(label, probability, names)
    figures = class_metrics(confusion, names)
    for name in names:
        figures["classes"][name] |= ranking["metrics"][name]
    metrics = call_metric_values(confusion, names, positive)
    for metric in ranking_metrics():
        metrics |= _of_classes(metric.name, ranking["metrics"], positive_class)
    metrics |= {
        metric.name: float(metric.losses(label, probability).mean()) for metric in probability_metrics()
    }
    shown = [positive_class] if positive_class is not None and len(names) == 2 else names
    return {
        "metrics": metrics,
        "threshold": threshold if len(names) == 2 and positive is not None else None,
        "confusion_matrix": confusion.tolist(),
        **figures,
        "curves": {kind: {name: ranking[kind][name] for name in shown} for kind in ("roc", "pr")},
    }


def confusion_matrix(
    label: NDArray[np.int64], predicted: NDArray[np.int64], *, num_classes: int
) -> NDArray[np.int64]:
    """Count tiles by true class (row) and predicted class (column), int64 ``(K, K)``."""
    cells = np.bincount(label * num_classes + predicted, minlength=num_classes**2)
    return cells.reshape(num_classes, num_classes).astype(np.int64)


def class_metrics(confusion: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, Any]:
    """Compute precision, recall, F1 and support by class, and their plain and weighted averages.

    Args:
        confusion: Counts by true and predicted class, int64 ``(K, K)``.
        class_names: K names by class index.

    Returns:
        ``classes`` (by name), ``macro`` and ``weighted``, each with the metrics of one class and ``support``.
    """
    support, counts = confusion.sum(axis=1), confusion[None].astype(np.float64)
    columns = {
        metric.name: np.array([metric.values(counts, k)[0] for k in range(len(class_names))])
        for metric in call_metrics()
        if metric.scope == "class"
    }

    def averaged(weight: NDArray[np.floating]) -> dict[str, Any]:
        means = {key: _average(column, weight) for key, column in columns.items()}
        return means | {"support": int(support.sum())}

    by_class = {
        name: {key: defined(column[k]) for key, column in columns.items()} | {"support": int(support[k])}
        for k, name in enumerate(class_names)
    }
    return {"classes": by_class, "macro": averaged(np.ones(len(support))), "weighted": averaged(support)}


def call_metric_values(
    confusion: NDArray[np.int64], class_names: Sequence[str], positive: int | None
) -> dict[str, float | None]:
    """Compute the counts and metrics that depend on predicted classes only.

    Args:
        confusion: Counts by true and predicted class, int64 ``(K, K)``.
        class_names: K names by class index.
        positive: Index of the positive class, if there is one.

    Returns:
        ``tiles``, ``errors``, with a positive class ``false_negatives`` and ``false_positives``, and the
        metrics: averages over classes (``recall_macro``) and, with a positive class, its own
        (``recall_<class>``).
    """
    counts, of_class = confusion[None].astype(np.float64), class_metrics(confusion, class_names)
    values: dict[str, float | None] = {
        "tiles": int(confusion.sum()),
        "errors": int(confusion.sum() - np.trace(confusion)),
    }
    if positive is not None:
        hits = int(confusion[positive, positive])
        values["false_negatives"] = int(confusion[positive].sum()) - hits
        values["false_positives"] = int(confusion[:, positive].sum()) - hits
    for metric in call_metrics():
        if metric.scope == "class":
            values[f"{metric.name}_macro"] = of_class["macro"][metric.name]
            if positive is not None:
                name = class_names[positive]
                values[f"{metric.name}_{name}"] = of_class["classes"][name][metric.name]
        else:
            keys = metric.keys(class_names, positive)
            values |= {key: defined(metric.values(counts, k)[0]) for key, k in keys.items()}
    return values


def binary_metrics(confusion: NDArray[np.int64], positive: int) -> dict[str, float | None]:
    """Compute the metrics of the positive class of two from predicted classes, keyed by metric name.

    Args:
        confusion: Counts by true and predicted class, int64 ``(2, 2)``.
        positive: Index of the positive class.
    """
    counts = confusion[None].astype(np.float64)
    return {
        metric.name: defined(metric.values(counts, positive)[0])
        for metric in call_metrics()
        if metric.depends_on_model
    }


def defined(value: float) -> float | None:
    """Return a value as a Python float, ``None`` for NaN."""
    return None if np.isnan(value) else float(value)


def _ranking(
    label: NDArray[np.int64], probability: NDArray[np.floating], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Compute ranking metrics and simplified curves of each class against the rest."""
    result: dict[str, dict[str, Any]] = {"metrics": {}, "roc": {}, "pr": {}}
    for k, name in enumerate(names):
        score, positive = probability[:, k], label == k
        if not 0 < positive.sum() < len(label):
            result["metrics"][name] = {metric.name: None for metric in ranking_metrics()}
            result["roc"][name] = result["pr"][name] = None
            continue
        result["metrics"][name] = {
            metric.name: metric.function(score, positive) for metric in ranking_metrics()
        }
        for kind, trace in (("roc", roc_curve), ("pr", pr_curve)):
            curve = trace(score, positive)
            assert curve is not None, "both classes have tiles"
            result[kind][name] = {key: column.tolist() for key, column in simplify_curve(curve).items()}
    return result


def _of_classes(
    name: str, by_class: Mapping[str, Mapping[str, float | None]], positive_class: str | None
) -> dict[str, float | None]:
    """Return the mean of a metric over the classes where it is defined, and that of the positive class."""
    known = [value for row in by_class.values() if (value := row[name]) is not None]
    values: dict[str, float | None] = {f"{name}_macro": float(np.mean(known)) if known else None}
    if positive_class is not None:
        values[f"{name}_{positive_class}"] = by_class[positive_class][name]
    return values


def _average(values: NDArray[np.float64], weight: NDArray[np.floating]) -> float | None:
    """Return the weighted mean of the values that are not NaN; ``None`` if their weights are all 0."""
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=weight[known])) if weight[known].any() else None
