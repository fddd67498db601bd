"""Metrics of each test source."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.classification import evaluate_predictions
from crack_lightning.evaluation.intervals.metrics import uncertainty

if TYPE_CHECKING:
    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions


def figures_by_source(
    predictions: Predictions, table: TileTable, *, threshold: float
) -> dict[str, dict[str, Any] | None]:
    """Compute the metrics of each test source.

    Args:
        predictions: Predictions of N test tiles.
        table: All tiles.
        threshold: Lowest probability of a positive prediction, with two classes.

    Returns:
        ``by_source`` (metrics of each source) and ``intervals_by_source`` (their intervals over groups); both
        ``None`` if the table has a single source.
    """
    if len(np.unique(table.source)) < 2:
        return {"by_source": None, "intervals_by_source": None}
    tested = table.source[predictions.index]
    classes: dict[str, Any] = {"class_names": table.class_names, "positive_class": table.positive_class}
    metrics: dict[str, Any] = {}
    intervals: dict[str, Any] = {}
    for name in np.unique(tested).tolist():
        part = predictions.select(tested == name)
        group = table.group[part.index]
        metrics[name] = evaluate_predictions(part, **classes, threshold=threshold)["metrics"]
        intervals[name] = uncertainty(part, group, **classes, threshold=threshold)["intervals"]
    return {"by_source": metrics, "intervals_by_source": intervals}
