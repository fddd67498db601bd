"""Metrics of N weighted tiles for R sets of weights at once, for the bootstrap.

The weight of a tile is the number of times that it is in a resample. An undefined metric is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import digamma

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


class RankedWeights(NamedTuple):
    """Cumulative weights of tiles at T distinct scores, from the highest score down, for R sets of weights.

    Attributes:
        hits: Weight of the positives with at least this score, float32 ``(R, T)``.
        predicted: Weight of all tiles with at least this score, float32 ``(R, T)``.
        positives: Weight of all positives, ``(R,)``.
        others: Weight of all other tiles, ``(R,)``.
    """

    hits: NDArray[np.float32]
    predicted: NDArray[np.float32]
    positives: Floats
    others: Floats

    @property
    def new_hits(self) -> NDArray[np.float32]:
        """Weight of the positives with exactly this score, float32 ``(R, T)``."""
        return np.diff(self.hits, axis=1, prepend=np.float32(0))


def rank_weights(weights: Floats, score: NDArray[np.floating], positive: NDArray[np.bool_]) -> RankedWeights:
    """Accumulate weights from the highest score down.

    Args:
        weights: Weights of N tiles, whole numbers, ``(R, N)``.
        score: A higher score is more likely positive, float ``(N,)``.
        positive: The truth, bool ``(N,)``.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    # sums of whole numbers below 2**24 are exact in float32, and twice as fast
    ranked = weights.astype(np.float32)[:, order]
    predicted = np.cumsum(ranked, axis=1)[:, ends]
    hits = np.cumsum(ranked * positive[order], axis=1)[:, ends]
    positives = hits[:, -1].astype(np.float64)
    return RankedWeights(hits, predicted, positives, predicted[:, -1] - positives)


def weighted_auroc(ranked: RankedWeights) -> Floats:
    """Compute the area under the ROC curve, ``(R,)``; NaN where positives or others have no weight."""
    alarms = np.diff(ranked.predicted, axis=1, prepend=np.float32(0)) - ranked.new_hits
    area = (alarms * (ranked.hits - ranked.new_hits / 2)).sum(axis=1, dtype=np.float64)
    return ratio(area, ranked.positives * ranked.others)


def weighted_average_precision(ranked: RankedWeights) -> Floats:
    """Compute the average precision, ``(R,)``; NaN where positives or others have no weight."""
    hits, predicted = ranked.hits, ranked.predicted
    precision = np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0)
    area = (ranked.new_hits * precision).sum(axis=1, dtype=np.float64)
    return ratio(area, ranked.positives * (ranked.others > 0))


def weighted_area_under_risk(weights: Floats, doubt: Floats, wrong: NDArray[np.bool_]) -> Floats:
    """Compute the area under the risk-coverage curve, ``(R,)``, equal to that of a table of repeated tiles.

    Args:
        weights: Weights of N tiles, whole numbers, ``(R, N)``.
        doubt: Tiles with a higher value are rejected first, ``(N,)``; the risk is averaged over the orders of
            equal values.
        wrong: Whether each tile is predicted wrongly, bool ``(N,)``.
    """
    order = np.argsort(doubt, kind="stable")
    starts = np.flatnonzero(np.diff(doubt[order], prepend=-np.inf))
    mass = np.add.reduceat(weights[:, order], starts, axis=1)
    errors = np.add.reduceat((weights * wrong)[:, order], starts, axis=1)
    covered, covered_errors = np.cumsum(mass, axis=1), np.cumsum(errors, axis=1)
    before, earlier = covered - mass, covered_errors - errors
    rate = np.divide(errors, mass, out=np.zeros_like(mass), where=mass > 0)
    harmonic = digamma(np.arange(int(covered[:, -1].max()) + 1) + 1.0)
    steps = harmonic[covered.astype(np.int64)] - harmonic[before.astype(np.int64)]
    return np.asarray(((earlier - rate * before) * steps + errors).sum(axis=1) / covered[:, -1])


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    """Divide elementwise; NaN where the denominator is 0."""
    empty = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), np.nan)
    return np.asarray(np.divide(part, whole, out=empty, where=np.asarray(whole) > 0), np.float64)
