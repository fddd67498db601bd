"""Metrics of N weighted tiles, for R sets of weights at once: what a bootstrap evaluates.

Weights are whole numbers, how often each tile is in a resample. A metric without a value is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.special import digamma

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


def weighted_ranking(
    weights: Floats, score: NDArray[np.floating], positive: NDArray[np.bool_]
) -> dict[str, Floats]:
    """Compute the area under the ROC curve and the average precision.

    Args:
        weights: Of N tiles, ``(R, N)``.
        score: The higher, the more likely positive, float ``(N,)``.
        positive: The truth, bool ``(N,)``.

    Returns:
        ``auroc`` and ``average_precision``, each ``(R,)``; NaN where the positives or the others have no
        weight.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    # whole numbers below 2**24: sums in 32 bits are exact, and twice as fast
    ranked = weights.astype(np.float32)[:, order]
    called = np.cumsum(ranked, axis=1)[:, ends]
    hits = np.cumsum(ranked * positive[order], axis=1)[:, ends]
    found, last = np.diff(hits, axis=1, prepend=np.float32(0)), hits[:, -1].astype(np.float64)
    alarms = np.diff(called, axis=1, prepend=np.float32(0)) - found
    area = (alarms * (hits - found / 2)).sum(axis=1, dtype=np.float64)
    others = called[:, -1] - last
    precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
    return {
        "auroc": ratio(area, last * others),
        "average_precision": ratio((found * precision).sum(axis=1, dtype=np.float64), last * (others > 0)),
    }


def weighted_area_under_risk(weights: Floats, doubt: Floats, wrong: NDArray[np.bool_]) -> Floats:
    """Compute the area under the risk-coverage curve, ``(R,)``, exactly as for repeated tiles.

    Args:
        weights: Of N tiles, ``(R, N)``.
        doubt: The higher, the sooner a tile is left out, ``(N,)``; ties are broken by chance, and the mean
            over that is returned.
        wrong: Which tiles are called wrongly, bool ``(N,)``.
    """
    order = np.argsort(doubt, kind="stable")
    starts = np.flatnonzero(np.diff(doubt[order], prepend=-np.inf))
    mass = np.add.reduceat(weights[:, order], starts, axis=1)
    errors = np.add.reduceat((weights * wrong)[:, order], starts, axis=1)
    kept, found = np.cumsum(mass, axis=1), np.cumsum(errors, axis=1)
    before, earlier = kept - mass, found - errors
    rate = np.divide(errors, mass, out=np.zeros_like(mass), where=mass > 0)
    harmonic = digamma(np.arange(int(kept[:, -1].max()) + 1) + 1.0)
    steps = harmonic[kept.astype(np.int64)] - harmonic[before.astype(np.int64)]
    return np.asarray(((earlier - rate * before) * steps + errors).sum(axis=1) / kept[:, -1])


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    """Divide; NaN where the whole is 0."""
    empty = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), np.nan)
    return np.asarray(np.divide(part, whole, out=empty, where=np.asarray(whole) > 0), np.float64)
