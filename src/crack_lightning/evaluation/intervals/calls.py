"""Closed-form 95 % intervals of the metrics of predicted classes in the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.classification import confusion_matrix
from crack_lightning.evaluation.intervals.shares import combined
from crack_lightning.evaluation.metrics.registry import call_metrics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crack_lightning.evaluation.intervals.shares import Estimate


def call_intervals(
    label: NDArray[np.int64],
    called: NDArray[np.int64],
    group: NDArray[np.int64],
    *,
    class_names: Sequence[str],
    positive: int | None,
) -> dict[str, dict[str, Any]]:
    """Return the closed-form intervals of metrics of predicted classes; an undefined metric has none.

    Args:
        label: True classes, int64 ``(N,)``.
        called: Predicted classes, int64 ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``.
        class_names: K names by class index.
        positive: Index of the positive class, if there is one.

    Returns:
        ``low``, ``high`` and ``method`` by metric: ``accuracy``, ``recall_<class>`` and, averaged over
        classes, ``recall_macro``, for example.
    """
    confusion = confusion_matrix(label, called, num_classes=len(class_names))[None].astype(np.float64)
    estimates: dict[str, Estimate] = {}
    for metric in call_metrics():
        if metric.interval is None:
            continue
        parts = {
            key: metric.interval(label, called, group, k)
            for key, k in metric.keys(class_names, positive).items()
            if not np.isnan(metric.values(confusion, k)[0])
        }
        if metric.scope == "class" and parts:
            parts[f"{metric.name}_macro"] = combined(np.mean, [*parts.values()])
        estimates |= parts
    return {key: estimate.limits() for key, estimate in estimates.items()}
