"""95 % intervals of the figures of scores and probabilities: ranking, log loss, Brier score."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.intervals.combined import (
    Bounded,
    mover_interval,
    prior_size,
    resampled_intervals,
)
from crack_lightning.evaluation.intervals.groups import Interval
from crack_lightning.evaluation.intervals.shares import MOVER
from crack_lightning.evaluation.intervals.weighted_metrics import weighted_ranking
from crack_lightning.evaluation.scoring_rules import log_losses, squared_errors

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crack_lightning.evaluation.predictions import Predictions

    Floats = NDArray[np.float64]

SCALED_WILSON = (
    "Wilson on the effective sample size over 2,000 resamples of the groups (Field and Welsh 2007)"
)
AREAS = ("auroc", "average_precision")
_LEAST_LARGEST = {"log_loss": float(np.log(100)), "brier_score": 1.0}
"""What a tile that was not seen may cost at the least: a sure error, called wrongly with 99 %."""


def score_intervals(
    predictions: Predictions,
    group: NDArray[np.int64],
    *,
    class_names: Sequence[str],
    positive: int | None,
) -> dict[str, dict[str, Any]]:
    """Return the intervals of the figures of scores and probabilities, over resampled groups.

    Args:
        predictions: Labels and probabilities of N tiles.
        group: Group numbers from 0, two at least, int64 ``(N,)``.
        class_names: K names by class index.
        positive: Index of the positive class, if there is one.

    Returns:
        ``low``, ``high``, ``method`` and ``undefined_resamples`` of ``log_loss``, ``brier_score``, AUROC and
        average precision of each class (``auroc_<class>`` …; of two the positive one alone, where there is
        one) and, without ``undefined_resamples``, averaged over classes (``auroc_macro`` …).
    """
    label, probability = predictions.label, predictions.probability
    losses = {"log_loss": log_losses(label, probability), "brier_score": squared_errors(label, probability)}
    one = positive is not None and len(class_names) == 2
    ranked = {name: k for k, name in enumerate(class_names) if k == positive or not one}
    ranked = {name: k for name, k in ranked.items() if 0 < (label == k).sum() < len(label)}

    def figures(weights: Floats) -> dict[str, Floats]:
        found = {name: weights @ values / weights.sum(axis=1) for name, values in losses.items()}
        for name, k in ranked.items():
            areas = weighted_ranking(weights, probability[:, k], label == k)
            found |= {f"{key}_{name}": areas[key] for key in AREAS}
        return found

    bounded = {
        name: Bounded(
            0.0, max(_LEAST_LARGEST[name], float(values.max())), int(group.max()) + 1, prior_size(group)
        )
        for name, values in losses.items()
    }
    for name, k in ranked.items():
        bounded |= dict.fromkeys((f"{key}_{name}" for key in AREAS), _of_ranking(label == k, group))
    rows = {
        name: found.interval._asdict() | {"method": SCALED_WILSON, "undefined_resamples": found.undefined}
        for name, found in resampled_intervals(figures, group, bounded).items()
    }
    for name, k in ranked.items():
        if np.ptp(probability[:, k]) == 0:  # no ranking: the area is one half, whatever the tiles
            rows[f"auroc_{name}"] |= {"low": 0.5, "high": 0.5}
    return rows if one else rows | _average_areas(figures(np.ones((1, len(label)))), rows, list(ranked))


def _of_ranking(own: NDArray[np.bool_], group: NDArray[np.int64]) -> Bounded:
    """Describe the area of a class against the others: the one that is in fewer groups decides."""
    sides = [group[own], group[~own]]
    groups = min(len(np.unique(side)) for side in sides)
    return Bounded(0.0, 1.0, groups, min(map(prior_size, sides)))


def _average_areas(
    values: Mapping[str, Floats], rows: Mapping[str, Mapping[str, Any]], names: Sequence[str]
) -> dict[str, dict[str, Any]]:
    averages = {}
    for key in AREAS if names else ():
        parts = [rows[f"{key}_{name}"] for name in names]
        of_classes = [float(values[f"{key}_{name}"][0]) for name in names]
        limits = [Interval(part["low"], part["high"]) for part in parts]
        averages[f"{key}_macro"] = mover_interval(np.mean, of_classes, limits)._asdict() | {"method": MOVER}
    return averages
