"""ROC and precision-recall curves of a binary score, and the areas under them.

The areas are sums of whole numbers, exactly 1 where the scores separate the classes; scikit-learn adds up
fractions, takes half a second to import, and has no form for many resamples at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Curve = dict[str, NDArray[np.float64]]


def roc_curve(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> Curve | None:
    """Return the receiver operating characteristic, one point per distinct score.

    Args:
        score: A higher score is more likely positive, float ``(N,)``.
        positive: The truth, bool ``(N,)``.

    Returns:
        ``false_positive_rate`` and ``true_positive_rate``, rising from 0 to 1, and the ``threshold`` of each
        point, first infinite, each float64 ``(P,)``; ``None`` unless there are both positives and negatives.
    """
    threshold, hits, alarms = _counts_by_threshold(score, positive)
    if hits[-1] == 0 or alarms[-1] == 0:
        return None
    return {
        "false_positive_rate": np.concatenate([[0.0], alarms / alarms[-1]]),
        "true_positive_rate": np.concatenate([[0.0], hits / hits[-1]]),
        "threshold": np.concatenate([[np.inf], threshold]),
    }


def pr_curve(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> Curve | None:
    """Return precision against recall, one point per distinct score.

    Args:
        score: A higher score is more likely positive, float ``(N,)``.
        positive: The truth, bool ``(N,)``.

    Returns:
        ``recall`` (rising from 0 to 1), ``precision`` (1 at recall 0) and ``threshold``, first
        infinite, each float64 ``(P,)``; ``None`` when there are no positives.
    """
    threshold, hits, alarms = _counts_by_threshold(score, positive)
    if hits[-1] == 0:
        return None
    return {
        "recall": np.concatenate([[0.0], hits / hits[-1]]),
        "precision": np.concatenate([[1.0], hits / (hits + alarms)]),
        "threshold": np.concatenate([[np.inf], threshold]),
    }


def auroc(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    """Return the probability that a positive scores higher than a negative, ties counting half.

    Args:
        score: A higher score is more likely positive, float ``(N,)``.
        positive: The truth, bool ``(N,)``.

    Returns:
        The area under the ROC curve, exactly 1 where the scores separate the two; ``None`` unless there are
        both positives and negatives.
    """
    _, hits, alarms = _counts_by_threshold(score, positive)
    if hits[-1] == 0 or alarms[-1] == 0:
        return None
    doubled = np.sum(np.diff(alarms, prepend=0) * (hits + np.concatenate([[0], hits[:-1]])))
    return float(doubled / (2 * hits[-1] * alarms[-1]))


def average_precision(score: NDArray[np.floating], positive: NDArray[np.bool_]) -> float | None:
    """Return precision averaged over steps of recall, without interpolation.

    Args:
        score: A higher score is more likely positive, float ``(N,)``.
        positive: The truth, bool ``(N,)``.

    Returns:
        The average precision; ``None`` when there are no positives.
    """
    _, hits, alarms = _counts_by_threshold(score, positive)
    if hits[-1] == 0:
        return None
    return float(np.sum(np.diff(hits, prepend=0) * (hits / (hits + alarms))) / hits[-1])


def simplify_curve(curve: Curve, *, max_points: int = 200) -> Curve:
    """Reduce a curve to its corners, or to evenly spaced points along it where there are too many corners.

    Args:
        curve: Columns ``(P,)``; the first two are the coordinates.
        max_points: Largest number of points, ``>= 2``.

    Returns:
        The same columns with at most ``max_points`` of their own points, both ends among them.
    """
    x, y, *_ = curve.values()
    if len(x) < 2:
        return curve
    dx, dy = np.diff(x), np.diff(y)
    turns = np.abs(dx[:-1] * dy[1:] - dx[1:] * dy[:-1]) > 0
    corners = np.flatnonzero(np.concatenate([[True], turns, [True]]))
    way = np.concatenate([[0.0], np.cumsum(np.hypot(dx, dy))])[corners]
    even = np.unique(np.searchsorted(way, np.linspace(0.0, way[-1], max_points)))
    shown = corners if len(corners) <= max_points else corners[even]
    return {name: column[shown] for name, column in curve.items()}


def _counts_by_threshold(
    score: NDArray[np.floating], positive: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Count positives and negatives at or above each distinct score, from the highest score down."""
    order = np.argsort(-score, kind="stable")
    score, positive = score[order], positive[order]
    last_of_ties = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    hits = np.cumsum(positive)[last_of_ties]
    return score[last_of_ties].astype(np.float64), hits, last_of_ties + 1 - hits
