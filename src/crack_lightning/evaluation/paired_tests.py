"""Paired comparison of two models on the same tiles: p-values and intervals of the difference.

Errors on tiles of one photo are correlated. The permutation test therefore exchanges whole photos: McNemar's
test, which exchanges tiles, has too many false positives (simulated by ``benchmarks/model_comparison.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import stdtrit

from crack_lightning.evaluation.intervals.groups import CONFIDENCE, TAILS, Interval, resampled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

LEAST_PHOTOS = 6
"""With n photos the lowest possible p-value is 2 / 2^n, which is above 0.05 for fewer than 6."""
_EQUAL = 1e-12


def photo_codes(group: NDArray[np.str_]) -> NDArray[np.int64]:
    """Number the photos of N tiles from 0, int64 ``(N,)``; all tiles of unknown photo count as one photo."""
    return np.unique(group, return_inverse=True)[1].astype(np.int64)


def sign_flip_p_value(gain: NDArray[np.int64]) -> float:
    """Return the two-sided p-value of the sign-flip test over photos for equal error rates.

    Under the null hypothesis the two models can be exchanged on any photo, which flips the sign of the
    difference on it. The distribution over all patterns of signs is exact; with one tile per photo this is
    McNemar's exact test. If two equally good models differ in how strongly their errors are correlated
    within photos, the test rejects too often with few photos or photos of very unequal sizes.

    Args:
        gain: Correct predictions of one model minus those of the other, by photo, ``(G,)``.

    References:
        Fisher, "The Design of Experiments", 1935, section 21; Durkalski et al., "The analysis of clustered
        matched-pair data", Statistics in Medicine 2003, on McNemar's test where observations share a group.
    """
    sizes = np.abs(gain[gain != 0])
    most = int(sizes.sum())
    chance = np.zeros(most + 1)  # probability of each sum of signed sizes: -most, -most + 2, ..., most
    chance[0] = 1.0
    for size in sizes.tolist():
        chance /= 2
        chance[size:] += chance[:-size].copy()
    sums = 2 * np.arange(most + 1) - most
    return min(1.0, float(chance[np.abs(sums) >= abs(int(gain.sum()))].sum()))


def difference_intervals(gain: NDArray[np.int64], tiles: NDArray[np.int64]) -> list[Interval]:
    """Return 95 % bootstrap intervals of differences of accuracy; all models use the same resampled photos.

    Args:
        gain: Correct predictions of each of R models minus those of the reference, by photo, ``(R, G)``.
        tiles: Number of tiles of each photo, ``(G,)``.
    """

    def differences(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        means = counts @ gain.T / (counts @ tiles)[:, None]
        return {str(number): row for number, row in enumerate(means.T)}

    resamples = resampled(differences, np.arange(len(tiles)))
    return [Interval(*np.quantile(values, TAILS).tolist()) for values in resamples.values()]


def paired_t(one: Sequence[float], other: Sequence[float]) -> tuple[float, Interval | None, float | None]:
    """Compare two settings over the same repetitions (seeds or folds) by the paired t-test.

    Args:
        one: Values of one setting, one per repetition, at least two.
        other: Values of the other setting for the same repetitions in the same order.

    Returns:
        The mean difference, its 95 % interval by Student's t, and the two-sided p-value; both ``None`` where
        all differences are equal, which gives no estimate of their variance.
    """
    from scipy.stats import ttest_rel  # half a second, which few callers need

    gain = np.asarray(one, float) - np.asarray(other, float)
    if np.ptp(gain) < _EQUAL:
        return float(gain.mean()), None, None
    mean, error = float(gain.mean()), float(gain.std(ddof=1) / np.sqrt(len(gain)))
    half = float(stdtrit(len(gain) - 1, 0.5 + CONFIDENCE / 2)) * error
    return mean, Interval(mean - half, mean + half), float(ttest_rel(one, other).pvalue)


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
