"""How good a set of predictions is, in plain numbers.

A figure that would divide by zero (precision of a class that is never called, recall of one that has no tile)
has no value: it is ``None``, and left out of averages over classes, as with scikit-learn's
``zero_division=np.nan``. So are precision, F1 and average precision of a class where the test has no tile of
it, or none of another: without a crack no call can be right, and without an intact tile none can be wrong. In
columns of many tests at once such a figure is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.curves import auroc, average_precision, pr_curve, roc_curve, simplify_curve
from crack_lightning.evaluation.intervals.weighted_metrics import ratio
from crack_lightning.evaluation.predictions import Predictions, predicted_labels
from crack_lightning.evaluation.scoring_rules import brier_score, log_loss

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


def evaluate_predictions(
    predictions: Predictions,
    *,
    class_names: Sequence[str],
    positive_class: str | None,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Compute every figure of a set of predictions.

    Args:
        predictions: Labels and probabilities of N tiles.
        class_names: K names by class index.
        positive_class: The class whose misses and false alarms count; ``None`` when there is none.
        threshold: With two classes the positive one is called from this probability on.

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
    figures = class_figures(confusion, names)
    for name in names:
        figures["classes"][name] |= ranking["areas"][name]
    metrics = _overall_metrics(confusion, figures, ranking["areas"])
    metrics |= {"log_loss": log_loss(label, probability), "brier_score": brier_score(label, probability)}
    if positive_class is not None and positive is not None:
        metrics |= _positive_metrics(confusion, figures, positive_class, positive)
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


def class_figures(confusion: NDArray[np.int64], class_names: Sequence[str]) -> dict[str, Any]:
    """Compute precision, recall, F1 and support by class, and their plain and weighted averages.

    Args:
        confusion: Counts by true and predicted class, int64 ``(K, K)``.
        class_names: K names by class index.

    Returns:
        ``classes`` (by name), ``macro`` and ``weighted``, each with precision, recall, f1 and support.
    """
    right, support, called = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    comparable = (support > 0) & (support < support.sum())
    columns = {
        "precision": ratio(right, called * comparable),
        "recall": ratio(right, support),
        "f1": ratio(2 * right, (support + called) * comparable),
    }

    def averaged(weight: NDArray[np.floating]) -> dict[str, Any]:
        means = {key: _average(column, weight) for key, column in columns.items()}
        return means | {"support": int(support.sum())}

    by_class = {
        name: {key: defined(column[k]) for key, column in columns.items()} | {"support": int(support[k])}
        for k, name in enumerate(class_names)
    }
    equal = np.ones(len(support))
    return {"classes": by_class, "macro": averaged(equal), "weighted": averaged(support)}


def defined(value: float) -> float | None:
    """Return a plain number, ``None`` for NaN."""
    return None if np.isnan(value) else float(value)


def binary_figures(confusion: NDArray[np.floating], positive: int) -> dict[str, NDArray[np.float64]]:
    """Compute the figures of R confusion matrices of two classes.

    Args:
        confusion: Counts by true and called class, float ``(R, 2, 2)``.
        positive: Index of the positive class.

    Returns:
        ``balanced_accuracy``, ``recall``, ``specificity``, ``precision``, ``f1`` and ``mcc`` (Matthews, BBA
        1975), each float ``(R,)``; NaN where a class that it needs has no tile, or for precision no call.
        The MCC of calling every tile the same is 0, as in scikit-learn: no better than chance.
    """
    other = 1 - positive
    tp, fn = confusion[:, positive, positive], confusion[:, positive, other]
    tn, fp = confusion[:, other, other], confusion[:, other, positive]
    recall, specificity = ratio(tp, tp + fn), ratio(tn, tn + fp)
    comparable = ~np.isnan(recall + specificity)
    spread = np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    correlation = np.divide(tp * tn - fp * fn, spread, out=np.zeros(len(tp)), where=spread > 0)
    return {
        "balanced_accuracy": (recall + specificity) / 2,
        "recall": recall,
        "specificity": specificity,
        "precision": np.where(comparable, ratio(tp, tp + fp), np.nan),
        "f1": np.where(comparable, ratio(2 * tp, 2 * tp + fp + fn), np.nan),
        "mcc": np.where(comparable, correlation, np.nan),
    }


def _ranking(
    label: NDArray[np.int64], probability: NDArray[np.floating], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Rank each class against the rest: areas in full, curves thinned."""
    result: dict[str, dict[str, Any]] = {"areas": {}, "roc": {}, "pr": {}}
    for k, name in enumerate(names):
        score, positive = probability[:, k], label == k
        if not 0 < positive.sum() < len(label):
            result["areas"][name] = {"auroc": None, "average_precision": None}
            result["roc"][name] = result["pr"][name] = None
            continue
        result["areas"][name] = {
            "auroc": auroc(score, positive),
            "average_precision": average_precision(score, positive),
        }
        for kind, trace in (("roc", roc_curve), ("pr", pr_curve)):
            curve = trace(score, positive)
            assert curve is not None, "both classes are there"
            result[kind][name] = {key: column.tolist() for key, column in simplify_curve(curve).items()}
    return result


def _overall_metrics(
    confusion: NDArray[np.int64], figures: dict[str, Any], areas: dict[str, Any]
) -> dict[str, float | None]:
    support = confusion.sum(axis=1)
    recalls = [row["recall"] for row in figures["classes"].values() if row["support"]]
    balanced = float(np.mean(recalls)) if len(recalls) > 1 else None
    return {
        "tiles": int(support.sum()),
        "errors": int(support.sum() - np.trace(confusion)),
        "accuracy": float(np.trace(confusion) / support.sum()),
        "accuracy_of_largest_class": float(support.max() / support.sum()),
        "balanced_accuracy": balanced,
        **{f"{key}_macro": figures["macro"][key] for key in ("recall", "precision", "f1")},
        "auroc_macro": _mean([row["auroc"] for row in areas.values()]),
        "average_precision_macro": _mean([row["average_precision"] for row in areas.values()]),
    }


def _positive_metrics(
    confusion: NDArray[np.int64], figures: dict[str, Any], name: str, positive: int
) -> dict[str, float | None]:
    row = figures["classes"][name]
    called = int(confusion[:, positive].sum())
    found = int(confusion[positive, positive])
    binary = binary_figures(confusion[None].astype(np.float64), positive) if len(confusion) == 2 else {}
    return {
        "misses": row["support"] - found,
        "false_alarms": called - found,
        **{f"{key}_{name}": row[key] for key in ("recall", "precision", "f1", "auroc", "average_precision")},
        **{key: defined(binary[key][0]) for key in ("specificity", "mcc") if key in binary},
    }


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _average(values: NDArray[np.float64], weight: NDArray[np.floating]) -> float | None:
    """Return the weighted mean of the values that there are, ``None`` where they have no weight."""
    known = ~np.isnan(values)
    return float(np.average(values[known], weights=weight[known])) if weight[known].any() else None
