"""Two models on the same tiles: whether one is better, and by how much."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from crack_lightning.evaluation.intervals import CONFIDENCE, Interval, bootstrap_intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_EQUAL = 1e-12


def mcnemar_exact(right: NDArray[np.bool_], other_right: NDArray[np.bool_]) -> float:
    """Return the two-sided p-value of McNemar's exact test that two models err equally often.

    Args:
        right: Whether the one model is right on each tile, bool ``(N,)``.
        other_right: The other, likewise.

    References:
        McNemar, "Note on the sampling error of the difference between correlated proportions", 1947; exact by
        the binomial distribution of the tiles on which just one of the two is right.
    """
    ours, theirs = int((right & ~other_right).sum()), int((other_right & ~right).sum())
    return float(stats.binomtest(ours, ours + theirs).pvalue) if ours + theirs else 1.0


def difference_interval(
    right: NDArray[np.bool_], other_right: NDArray[np.bool_], group: NDArray[np.int64]
) -> Interval:
    """Return the 95 % interval of the difference of two accuracies on the same tiles, over whole groups.

    Args:
        right: Whether the one model is right on each tile, bool ``(N,)``.
        other_right: The other, likewise.
        group: Group numbers from 0, int64 ``(N,)``.
    """
    gain = right.astype(np.float64) - other_right

    def difference(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {"accuracy": weights @ gain / weights.sum(axis=1)}

    return bootstrap_intervals(difference, group)["accuracy"]


def paired_t(one: Sequence[float], other: Sequence[float]) -> tuple[float, Interval | None, float | None]:
    """Compare the figures of two settings over the same repetitions (seeds or folds).

    Args:
        one: A figure a repetition, at least two.
        other: Of the same repetitions in the same order.

    Returns:
        The mean difference, its 95 % interval by Student's t, and the two-sided p-value; both ``None`` where
        all differences are equal, which tells nothing of how they vary.
    """
    gain = np.asarray(one, float) - np.asarray(other, float)
    if np.ptp(gain) < _EQUAL:
        return float(gain.mean()), None, None
    mean, error = float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(gain) - 1)) * error
    return mean, Interval(mean - half, mean + half), float(stats.ttest_rel(one, other).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for being several (Holm, "A simple sequentially rejective procedure", 1979).

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    sorted_up = np.maximum.accumulate(np.minimum(np.asarray(p_values, float)[order] * factors, 1.0))
    adjusted = np.empty(len(p_values))
    adjusted[order] = sorted_up
    found: list[float] = adjusted.tolist()
    return found
