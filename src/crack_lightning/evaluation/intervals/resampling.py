"""95 % intervals of metrics without a closed form, over resampled groups, from the registry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.intervals.combined import Bounded, prior_size, resampled_intervals
from crack_lightning.evaluation.intervals.groups import Interval
from crack_lightning.evaluation.intervals.shares import Estimate, combined
from crack_lightning.evaluation.intervals.weighted_metrics import rank_weights
from crack_lightning.evaluation.metrics.registry import call_metrics, probability_metrics, ranking_metrics

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crack_lightning.evaluation.intervals.groups import Figures
    from crack_lightning.evaluation.predictions import Predictions

    Floats = NDArray[np.float64]

SCALED_WILSON = (
    "Wilson on the effective sample size over 2,000 resamples of the groups (Field and Welsh 2007)"
)


def resampled_metrics(
    predictions: Predictions,
    called: NDArray[np.int64],
    group: NDArray[np.int64],
    *,
    class_names: Sequence[str],
    positive: int | None,
) -> dict[str, dict[str, Any]]:
    """Return the bootstrap intervals of metrics without a closed form.

    Args:
        predictions: Labels and probabilities of N tiles.
        called: Predicted classes, int64 ``(N,)``.
        group: Group numbers from 0, two at least, int64 ``(N,)``.
        class_names: K names by class index.
        positive: Index of the positive class, if there is one.

    Returns:
        ``low``, ``high``, ``method`` and ``undefined_resamples`` by metric; those of one class as
        ``auroc_<class>`` (of two classes the positive one alone, where there is one) and, without
        ``undefined_resamples``, averaged over classes (``auroc_macro``).
    """
    parts = [
        _of_probabilities(predictions, group),
        _of_rankings(predictions, group, class_names, positive),
        _of_calls(predictions.label, called, group, class_names, positive),
    ]

    def figures(counts: Floats) -> dict[str, Floats]:
        return {key: values for weighted, _ in parts for key, values in weighted(counts).items()}

    bounded = {key: bounds for _, of_part in parts for key, bounds in of_part.items()}
    rows = {
        key: row.interval._asdict() | {"method": SCALED_WILSON, "undefined_resamples": row.undefined}
        for key, row in resampled_intervals(figures, group, bounded).items()
    }
    ranked = _ranked_classes(predictions.label, class_names, positive)
    for metric in ranking_metrics():
        for name, k in ranked.items():  # with equal scores the value is the same for all tiles
            if metric.value_of_ties is not None and np.ptp(predictions.probability[:, k]) == 0:
                rows[f"{metric.name}_{name}"] |= {"low": metric.value_of_ties, "high": metric.value_of_ties}
    values = figures(np.ones((1, int(group.max()) + 1)))
    return rows | _averages(values, rows, class_names, one=positive is not None and len(class_names) == 2)


def _of_probabilities(
    predictions: Predictions, group: NDArray[np.int64]
) -> tuple[Figures, dict[str, Bounded]]:
    losses = {
        metric.name: metric.losses(predictions.label, predictions.probability)
        for metric in probability_metrics()
    }
    groups, size = int(group.max()) + 1, prior_size(group)
    bounded = {
        metric.name: Bounded(
            metric.low, max(metric.confident_error, float(losses[metric.name].max())), groups, size
        )
        for metric in probability_metrics()
    }

    def weighted(counts: Floats) -> dict[str, Floats]:
        weights = counts[:, group]
        return {name: weights @ values / weights.sum(axis=1) for name, values in losses.items()}

    return weighted, bounded


def _of_rankings(
    predictions: Predictions, group: NDArray[np.int64], class_names: Sequence[str], positive: int | None
) -> tuple[Figures, dict[str, Bounded]]:
    label, probability = predictions.label, predictions.probability
    classes = _ranked_classes(label, class_names, positive)
    rankings = {name: rank_weights(probability[:, k], label == k, group) for name, k in classes.items()}

    def weighted(counts: Floats) -> dict[str, Floats]:
        values: dict[str, Floats] = {}
        for name, accumulate in rankings.items():
            ranked = accumulate(counts)
            values |= {f"{metric.name}_{name}": metric.weighted(ranked) for metric in ranking_metrics()}
        return values

    return weighted, {
        f"{metric.name}_{name}": _one_against_rest(label == k, group, low=metric.low, high=metric.high)
        for metric in ranking_metrics()
        for name, k in classes.items()
    }


def _of_calls(
    label: NDArray[np.int64],
    called: NDArray[np.int64],
    group: NDArray[np.int64],
    class_names: Sequence[str],
    positive: int | None,
) -> tuple[Figures, dict[str, Bounded]]:
    classes = len(class_names)
    chosen = {
        key: (metric, k)
        for metric in call_metrics()
        if metric.interval is None
        for key, k in metric.keys(class_names, positive).items()
    }

    def weighted(counts: Floats) -> dict[str, Floats]:
        if not chosen:
            return {}
        cells = np.eye(classes**2)[label * classes + called]
        confusion = (counts[:, group] @ cells).reshape(-1, classes, classes)
        return {key: metric.values(confusion, k) for key, (metric, k) in chosen.items()}

    groups, size = int(group.max()) + 1, prior_size(group)
    return weighted, {
        key: _one_against_rest(label == k, group, low=metric.low, high=metric.high)
        if metric.scope != "all" and 0 < (label == k).sum() < len(label)
        else Bounded(metric.low, metric.high, groups, size)
        for key, (metric, k) in chosen.items()
    }


def _ranked_classes(
    label: NDArray[np.int64], class_names: Sequence[str], positive: int | None
) -> dict[str, int]:
    """Return the classes to rank, by name: those that some tiles have and others do not."""
    one = positive is not None and len(class_names) == 2
    ranked = {name: k for k, name in enumerate(class_names) if k == positive or not one}
    return {name: k for name, k in ranked.items() if 0 < (label == k).sum() < len(label)}


def _one_against_rest(
    own: NDArray[np.bool_], group: NDArray[np.int64], *, low: float, high: float
) -> Bounded:
    """Return the range of a metric of one class against the others, and the smaller of their sample sizes."""
    sides = [group[own], group[~own]]
    groups = min(len(np.unique(side)) for side in sides)
    return Bounded(low, high, groups, min(map(prior_size, sides)))


def _averages(
    values: Mapping[str, Floats],
    rows: Mapping[str, Mapping[str, Any]],
    class_names: Sequence[str],
    *,
    one: bool,
) -> dict[str, dict[str, Any]]:
    """Average intervals over classes; with two classes, one of them positive, there is no average."""
    averages = {}
    for metric in () if one else (*ranking_metrics(), *call_metrics()):
        keys = [key for key in (f"{metric.name}_{name}" for name in class_names) if key in rows]
        parts = [
            Estimate(float(values[key][0]), Interval(rows[key]["low"], rows[key]["high"])) for key in keys
        ]
        if metric.scope == "class" and parts:
            averages[f"{metric.name}_macro"] = combined(np.mean, parts).limits()
    return averages
