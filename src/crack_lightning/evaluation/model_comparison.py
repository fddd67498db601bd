"""Paired comparison of two models on the same tiles: p-values and intervals of the difference.

Errors on tiles of one photo are correlated, so that the permutation test exchanges whole photos: McNemar's
test, which exchanges tiles, has too many false positives (``benchmarks/model_comparison.py`` simulates it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from crack_lightning.evaluation.intervals.groups import CONFIDENCE, Interval, bootstrap_intervals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAST_PHOTOS = 6
"""With fewer photos no difference has a p-value under 0.05: two of 2^n patterns of signs are as extreme."""
_EQUAL = 1e-12


def photo_codes(group: NDArray[np.str_]) -> NDArray[np.int64]:
    """Number the photos of N tiles from 0, int64 ``(N,)``; all tiles of unknown photo count as one photo."""
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def sign_flip_p_value(gain: NDArray[np.int64]) -> float:
    """Return the two-sided p-value of equal error rates by the sign-flip test over photos.

    Under the null hypothesis the two may be exchanged on any photo, which flips the sign of its difference.
    All patterns of signs are counted, photo after photo; with one tile a photo it is McNemar's exact test. Of
    two models that are equally good, but err together on photos to different degrees, the
    test rejects too often where photos are few or of very unequal sizes.

    Args:
        gain: Correct predictions of one model minus those of the other, by photo, ``(G,)``.

    References:
        Fisher, "The Design of Experiments", 1935, section 21; Durkalski et al., "The analysis of clustered
        matched-pair data", Statistics in Medicine 2003, on McNemar's test where observations share a group.
    """
    sizes = np.abs(gain[gain != 0])
    most = int(sizes.sum())
    chance = np.zeros(most + 1)  # of a sum of sizes with random signs, from -most to most in steps of 2
    chance[0] = 1.0
    for size in sizes.tolist():
        chance /= 2
        chance[size:] += chance[:-size].copy()
    sums = 2 * np.arange(most + 1) - most
    return min(1.0, float(chance[np.abs(sums) >= abs(int(gain.sum()))].sum()))


def difference_intervals(gain: NDArray[np.int64], tiles: NDArray[np.int64]) -> list[Interval]:
    """Return the 95 % intervals of differences of accuracy, over the same resampled photos for all models.

    Args:
        gain: Correct predictions of each of R models minus those of the other, by photo, ``(R, G)``.
        tiles: Number of tiles of each photo, ``(G,)``.
    """

    def differences(weights: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        means = weights @ gain.T / (weights @ tiles)[:, None]
        return {str(number): row for number, row in enumerate(means.T)}

    return [*bootstrap_intervals(differences, np.arange(len(tiles))).values()]


def paired_t(one: Sequence[float], other: Sequence[float]) -> tuple[float, Interval | None, float | None]:
    """Compare two settings over the same repetitions (seeds or folds) by the paired t-test.

    Args:
        one: A value for each repetition, at least two.
        other: Of the same repetitions in the same order.

    Returns:
        The mean difference, its 95 % interval by Student's t, and the two-sided p-value; both ``None`` where
        all differences are equal, so that their variance is unknown.
    """
    gain = np.asarray(one, float) - np.asarray(other, float)
    if np.ptp(gain) < _EQUAL:
        return float(gain.mean()), None, None
    mean, error = float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))
    half = float(stats.t.ppf(0.5 + CONFIDENCE / 2, len(gain) - 1)) * error
    return mean, Interval(mean - half, mean + half), float(stats.ttest_rel(one, other).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p-values for multiple comparisons (Holm, "A simple sequentially rejective procedure", 1979).

    Examples:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    order = np.argsort(p_values, kind="stable")
    factors = np.arange(len(p_values), 0, -1)
    sorted_up = np.maximum.accumulate(np.minimum(np.asarray(p_values, float)[order] * factors, 1.0))
    adjusted = np.empty(len(p_values))
    adjusted[order] = sorted_up
    return list(map(float, adjusted))
