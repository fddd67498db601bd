"""The 95 % interval of every metric of a test, and the metrics of predicting one class for every tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.classification import binary_metrics, confusion_matrix
from crack_lightning.evaluation.intervals.calls import call_intervals
from crack_lightning.evaluation.intervals.groups import effective_size, group_codes, lower_bound
from crack_lightning.evaluation.intervals.resampling import resampled_metrics
from crack_lightning.evaluation.predictions import Predictions, predicted_labels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def uncertainty(
    predictions: Predictions,
    group: NDArray[np.str_],
    *,
    class_names: Sequence[str],
    positive_class: str | None,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Return the intervals of the metrics of a test.

    Args:
        predictions: Labels and probabilities of N tiles.
        group: The photo or set of near-duplicates of each tile, str ``(N,)``; empty where unknown.
        class_names: K names by class index.
        positive_class: The class whose misses and false alarms count; ``None`` when there is none.
        threshold: Lowest probability of a positive prediction, with two classes.

    Returns:
        ``intervals`` (by metric: ``low``, ``high``, ``method``, and for bootstrap intervals
        ``undefined_resamples``, the share of resamples that are left out because the metric is undefined),
        ``groups`` (their number), ``groups_known``, ``effective_sample_size`` (for the accuracy), ``notes``
        (sentences on classes without an observed error, on resamples left out, and on tests of a single
        group), and ``baselines`` (by class: metrics of predicting that class for every tile).
    """
    codes = group_codes(group)
    positive = None if positive_class is None else class_names.index(positive_class)
    label = predictions.label
    called = predicted_labels(predictions.probability, positive_index=positive, threshold=threshold)
    binary_positive = positive if len(class_names) == 2 else None
    intervals = call_intervals(label, called, codes, class_names=class_names, positive=positive)
    bounds = _bounds(called == label, label, codes, class_names, binary_positive)
    if codes.any():
        intervals |= resampled_metrics(predictions, called, codes, class_names=class_names, positive=positive)
        bounds += _left_out(intervals)
    else:
        bounds.append(
            "All tiles are of one group: metrics without an interval may be very different on other photos."
        )
    return {
        "intervals": intervals,
        "groups": int(codes.max()) + 1,
        "groups_known": bool((group != "").any()),
        "effective_sample_size": round(effective_size(called == label, codes), 1),
        "notes": bounds,
        "baselines": {}
        if binary_positive is None or np.ptp(label) == 0
        else _baselines(label, class_names, binary_positive),
    }


def _left_out(intervals: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return a sentence on the share of resamples in which AUROC and average precision are undefined."""
    most = max((row.get("undefined_resamples", 0.0) for row in intervals.values()), default=0.0)
    if not most:
        return []
    share = f"{100 * most:.2g} %"
    return [f"A class has no tile in {share} of the resamples, which AUROC and average precision leave out."]


def _bounds(
    right: NDArray[np.bool_],
    label: NDArray[np.int64],
    codes: NDArray[np.int64],
    class_names: Sequence[str],
    positive: int | None,
) -> list[str]:
    """Return a sentence on the upper bound of the error rate for each class without an observed error."""
    sentences = []
    for k, name in enumerate(class_names):
        of_class = label == k
        if not of_class.any() or not right[of_class].all():
            continue
        tiles, groups = int(of_class.sum()), len(np.unique(codes[of_class]))
        of_groups = f" of {groups:,} group{'s' * (groups > 1)}" if groups < tiles else ""
        error = "error" if positive is None else "miss" if k == positive else "false alarm"
        bound = 100 * (1 - lower_bound(right[of_class], codes[of_class]))
        sentences.append(
            f"No {error} among {tiles:,} {name} tiles{of_groups}; up to "
            f"{bound:.2g} % cannot be excluded (one-sided, 95 %)."
        )
    return sentences


def _baselines(
    label: NDArray[np.int64], class_names: Sequence[str], positive: int
) -> dict[str, dict[str, float | None]]:
    return {
        name: binary_metrics(confusion_matrix(label, np.full_like(label, k), num_classes=2), positive)
        for k, name in enumerate(class_names)
    }
