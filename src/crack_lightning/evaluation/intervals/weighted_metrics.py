"""Metrics of N tiles in R resamples of their groups at once, for the bootstrap.

The weight of a tile is the number of times that its group is in a resample. An undefined metric is NaN.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.special import digamma

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]


_MANY, _FEW = 100_000, 50_000


class RankedWeights(NamedTuple):
    """Weights of tiles at T distinct scores, from the highest score down, in R resamples.

    Attributes:
        hits: Weight of the positives with at least this score, float32 ``(R, T)``.
        predicted: Weight of all tiles with at least this score, float32 ``(R, T)``.
        new_hits: Weight of the positives with exactly this score, float32 ``(R, T)``.
        new_predicted: Weight of all tiles with exactly this score, float32 ``(R, T)``.
    """

    hits: NDArray[np.float32]
    predicted: NDArray[np.float32]
    new_hits: NDArray[np.float32]
    new_predicted: NDArray[np.float32]

    @property
    def positives(self) -> Floats:
        """Weight of all positives, ``(R,)``."""
        return self.hits[:, -1].astype(np.float64)

    @property
    def others(self) -> Floats:
        """Weight of all other tiles, ``(R,)``."""
        return self.predicted[:, -1] - self.positives


def rank_weights(
    score: NDArray[np.floating], positive: NDArray[np.bool_], group: NDArray[np.int64]
) -> Callable[[Floats], RankedWeights]:
    """Return a function that accumulates weights from the highest score down.

    Args:
        score: A higher score is more likely positive, float ``(N,)``.
        positive: The truth, bool ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``.

    Returns:
        A function of the counts of G groups in R resamples, float ``(R, G)``.
    """
    order = np.argsort(-score, kind="stable")
    starts = _starts(-score[order])
    ranked_group, ranked_positive = group[order], positive[order]

    def accumulate(counts: Floats) -> RankedWeights:
        # sums of whole numbers below 2**24 are exact in float32, and twice as fast
        weights = counts.astype(np.float32)[:, ranked_group]
        new_hits = weights * ranked_positive
        if len(starts) < len(order):
            new_hits, weights = (np.add.reduceat(part, starts, axis=1) for part in (new_hits, weights))
        return RankedWeights(np.cumsum(new_hits, axis=1), np.cumsum(weights, axis=1), new_hits, weights)

    return accumulate


def _starts(ranked: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return the first row of each distinct sorted value; if there are many, neighbours are merged.

    Above 100,000 distinct values at most 50,000 remain. Resampling a million tiles then takes under half of
    the time; intervals move by less than a hundredth of their width.
    """
    starts = np.flatnonzero(np.diff(ranked, prepend=-np.inf))
    return starts if len(starts) <= _MANY else starts[:: -(-len(starts) // _FEW)]


def weighted_auroc(ranked: RankedWeights) -> Floats:
    """Compute the area under the ROC curve, ``(R,)``; NaN where positives or others have no weight."""
    alarms = ranked.new_predicted - ranked.new_hits
    area = (alarms * (ranked.hits - ranked.new_hits / 2)).sum(axis=1, dtype=np.float64)
    return ratio(area, ranked.positives * ranked.others)


def weighted_average_precision(ranked: RankedWeights) -> Floats:
    """Compute the average precision, ``(R,)``; NaN where positives or others have no weight."""
    hits, predicted = ranked.hits, ranked.predicted
    precision = np.divide(hits, predicted, out=np.zeros_like(hits), where=predicted > 0)
    area = (ranked.new_hits * precision).sum(axis=1, dtype=np.float64)
    return ratio(area, ranked.positives * (ranked.others > 0))


def area_under_risk(
    doubt: Floats, wrong: NDArray[np.bool_], group: NDArray[np.int64]
) -> Callable[[Floats], Floats]:
    """Return a function that computes areas under risk-coverage curves as if tiles were repeated.

    Args:
        doubt: Tiles with a higher value are rejected first, ``(N,)``; the risk is averaged over the orders of
            equal values.
        wrong: Whether each tile is predicted wrongly, bool ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``.

    Returns:
        A function of the counts of G groups in R resamples, float ``(R, G)``, that returns ``(R,)``.
    """
    order = np.argsort(doubt, kind="stable")
    starts = _starts(doubt[order])
    wrong_tiles = np.flatnonzero(wrong[order])
    ranked_group, wrong_group = group[order], group[order][wrong_tiles]
    # places, among the T distinct values, that have wrong tiles, and the first of these tiles at each
    places, first = np.unique(np.searchsorted(starts, wrong_tiles, side="right") - 1, return_index=True)
    until_next = np.diff(places, prepend=-1, append=len(starts) - 1)

    def areas(counts: Floats) -> Floats:
        exact = counts.astype(np.float32)  # whole numbers below 2**24
        mass, errors = exact[:, ranked_group], exact[:, wrong_group]
        if len(starts) < len(order):
            mass = np.add.reduceat(mass, starts, axis=1)
        if len(first) < len(wrong_tiles):
            errors = np.add.reduceat(errors, first, axis=1)
        covered = np.cumsum(mass, axis=1)
        earlier = np.cumsum(np.pad(errors, ((0, 0), (1, 0))), axis=1)
        harmonic = digamma(np.arange(int(covered[:, -1].max()) + 1) + 1.0)
        steps = np.diff(harmonic[covered.astype(np.int32)], axis=1, prepend=harmonic[0])
        tiles = mass[:, places]
        rate = np.divide(errors, tiles, out=np.zeros(errors.shape), where=tiles > 0)
        before = covered[:, places] - tiles
        with_errors = (earlier[:, :-1] - rate * before) * steps[:, places] + errors
        terms = np.repeat(earlier, until_next, axis=1) * steps  # right for places without wrong tiles
        terms[:, places] = with_errors
        return np.asarray(terms.sum(axis=1) / covered[:, -1])

    return areas


def ratio(part: NDArray[np.number], whole: NDArray[np.number]) -> Floats:
    """Divide elementwise; NaN where the denominator is 0."""
    empty = np.full(np.broadcast_shapes(np.shape(part), np.shape(whole)), np.nan)
    return np.asarray(np.divide(part, whole, out=empty, where=np.asarray(whole) > 0), np.float64)
