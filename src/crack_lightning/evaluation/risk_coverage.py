"""Risk-coverage curves of selective classification: error rate of the tiles that are not rejected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.evaluation.intervals.combined import Bounded, prior_size, resampled_intervals
from crack_lightning.evaluation.intervals.weighted_metrics import area_under_risk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from crack_lightning.evaluation.intervals.groups import Interval


def risk_coverage(doubt: NDArray[np.floating], wrong: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Return the error rate of the accepted tiles (risk) by the share of accepted tiles (coverage).

    Args:
        doubt: Tiles with a higher value are rejected first, float ``(N,)``; the risk is averaged over the
            orders of equal values.
        wrong: Whether each tile is predicted wrongly, bool ``(N,)``.

    Returns:
        ``coverage``, from ``1 / N`` to 1, and ``risk``, each float64 ``(N,)``.

    References:
        El-Yaniv and Wiener, "On the Foundations of Noise-free Selective Classification", JMLR 2010.
    """
    _, place, ties = np.unique(doubt, return_inverse=True, return_counts=True)
    expected = np.bincount(place, weights=wrong) / ties
    errors = np.cumsum(np.repeat(expected, ties))
    num_kept = np.arange(1, len(doubt) + 1)
    return {"coverage": num_kept / len(doubt), "risk": errors / num_kept}


def aurc(curve: dict[str, NDArray[np.float64]]) -> float:
    """Return the area under the risk-coverage curve (AURC), the mean risk.

    If tiles are rejected at random it is the error rate of all tiles.

    References:
        Geifman, Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR
        2019, section 2.
    """
    return float(curve["risk"].mean())


def area_intervals(
    doubts: Mapping[str, NDArray[np.floating]], wrong: NDArray[np.bool_], group: NDArray[np.int64]
) -> dict[str, Interval]:
    """Return 95 % intervals of areas under risk-coverage curves; an empty mapping for a single group.

    Args:
        doubts: Values by which tiles are rejected, float ``(N,)``, by name.
        wrong: Whether each tile is predicted wrongly, bool ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``.
    """
    if not group.any():
        return {}
    of = Bounded(0.0, 1.0, int(group.max()) + 1, prior_size(group))

    areas = {name: area_under_risk(doubt.astype(np.float64), wrong, group) for name, doubt in doubts.items()}

    def figures(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        return {name: area(counts) for name, area in areas.items()}

    areas_of = resampled_intervals(figures, group, dict.fromkeys(doubts, of))
    return {name: row.interval for name, row in areas_of.items()}
