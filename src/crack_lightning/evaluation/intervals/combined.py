"""Intervals of metrics that are not proportions: from those of proportions, or by a bootstrap over groups.

Both have a positive width where the percentile bootstrap has width 0, such as for an AUROC of 1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crack_lightning.evaluation.intervals.groups import (
    Interval,
    effective_size,
    few_groups_factor,
    resampled_counts,
    wilson_interval,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from crack_lightning.evaluation.intervals.groups import Figures

    Floats = NDArray[np.float64]

_PRIOR_GROUPS = 4


def mover_interval(
    figure: Callable[[Sequence[float]], float], values: Sequence[float], limits: Sequence[Interval]
) -> Interval:
    """Return the interval of a function of independent values from their intervals (MOVER).

    The distance from the estimate to a limit is the root of the sum of squares of the changes that result
    from replacing each value by its limit.

    Args:
        figure: The function, from all values to a number.
        values: The observed values.
        limits: The interval of each value.

    References:
        Zou and Donner, "Construction of confidence limits about effect measures: a general approach",
        Statistics in Medicine 2008.
    """
    centre = figure(values)
    moved = [
        [figure([*values[:place], limit, *values[place + 1 :]]) - centre for limit in interval]
        for place, interval in enumerate(limits)
    ]
    below, above = np.minimum(moved, 0).min(axis=1), np.maximum(moved, 0).max(axis=1)
    return Interval(centre - float(np.hypot.reduce(below)), centre + float(np.hypot.reduce(above)))


class Bounded(NamedTuple):
    """Range of a metric, and its sample size if no error was observed.

    Attributes:
        low: The least possible value.
        high: The greatest possible value.
        groups: Number of groups; for a metric of one class against the rest, of the side with fewer groups.
        size: Prior effective sample size; see :func:`prior_size`.
    """

    low: float
    high: float
    groups: int
    size: float


class ResampledInterval(NamedTuple):
    """An interval, and the share of the resamples in which the metric is undefined."""

    interval: Interval
    undefined: float


def prior_size(group: NDArray[np.int64]) -> float:
    """Return the effective sample size of N tiles in groups if no error was observed."""
    return effective_size(np.ones(len(group), np.bool_), group)


def resampled_intervals(
    figures: Figures, group: NDArray[np.int64], bounded: Mapping[str, Bounded]
) -> dict[str, ResampledInterval]:
    """Return Wilson's intervals of bounded metrics, with effective sample sizes from a bootstrap over groups.

    The effective sample size is that at which a proportion equal to the metric, scaled to ``[0, 1]``, has
    the variance of the resamples; no variable in ``[0, 1]`` with that mean has a larger variance.
    A ranking without errors, or with errors in one photo only, tells little about its variance. The inverse
    size is therefore averaged with the inverse of the prior size, with weights of n squared and 4, where n is
    the effective number of groups that contribute to the variance. ``benchmarks/interval_kinds.py`` simulates
    the coverage.

    Args:
        figures: Computes metrics by name, float ``(R,)``, NaN where undefined, from the counts of G groups
            in R resamples, ``(R, G)``; a metric that is undefined for the test gets no interval.
        group: Group numbers from 0, two at least, int64 ``(N,)``.
        bounded: Range and sample size by name.

    References:
        Wilson, JASA 1927, on an effective sample size as Korn and Graubard, Survey Methodology 1998;
        resampling groups: Field and Welsh, JRSS B 2007; their influence: Efron, "Estimation and Accuracy
        After Model Selection", JASA 2014. The variance of an area under the ROC curve is at most that of a
        proportion of the tiles of the smaller class: Birnbaum and Klose, "Bounds for the Variance of the
        Mann-Whitney Statistic", Annals of Mathematical Statistics 1957.
    """
    whole, found = figures(np.ones((1, int(group.max()) + 1))), {}
    for name, (variance, influence, undefined) in _spread(figures, group).items():
        value = float(whole[name][0])
        if not np.isnan(value):
            interval = _scaled_wilson(value, bounded[name], variance, influence)
            found[name] = ResampledInterval(interval, undefined)
    return found


def _scaled_wilson(value: float, bounds: Bounded, variance: float, influence: Floats) -> Interval:
    width = bounds.high - bounds.low
    share = float(np.clip((value - bounds.low) / width, 0, 1))
    inverse, weight = 0.0, 0.0
    if 0 < share < 1 and variance > 0 and bounds.groups > 1:
        weight = min(variance**2 / float((influence**4).sum()), bounds.groups) ** 2
        inverse = variance / width**2 * few_groups_factor(bounds.groups) ** 2 / (share * (1 - share))
    inverse = (weight * inverse + _PRIOR_GROUPS / bounds.size) / (weight + _PRIOR_GROUPS)
    low, high = wilson_interval(share, max(1.0, 1 / inverse))
    return Interval(bounds.low + width * low, bounds.low + width * high)


def _spread(figures: Figures, group: NDArray[np.int64]) -> dict[str, tuple[float, Floats, float]]:
    """Return by metric the variance over resamples, the influence of each group, and the undefined share."""
    resamples: dict[str, list[Floats]] = {}
    sums: dict[str, Floats] = {}
    for counts in resampled_counts(int(group.max()) + 1, tiles=len(group)):
        for name, values in figures(counts).items():
            known = ~np.isnan(values)
            resamples.setdefault(name, []).append(values)
            both = np.stack([np.where(known, values, 0.0), known.astype(np.float64)]) @ counts
            sums[name] = sums.get(name, 0.0) + both
    found = {}
    for name, parts in resamples.items():
        values = np.concatenate(parts)
        known = values[~np.isnan(values)]
        if len(known):
            weighted, plain = sums[name] / len(known)
            influence = weighted - plain * known.mean()
            found[name] = (float(known.var()), influence, 1 - len(known) / len(values))
    return found
