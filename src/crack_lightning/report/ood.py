"""Out-of-distribution (OOD) tiles of a test, and risk against coverage."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.metrics.curves import simplify_curve
from crack_lightning.evaluation.risk_coverage import area_intervals, aurc, risk_coverage
from crack_lightning.evaluation.slices import share_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.evaluation.predictions import Predictions


def ood_contents(
    predictions: Predictions, predicted: NDArray[np.int64], group: NDArray[np.int64]
) -> dict[str, Any] | None:
    """Return the share and error rate of OOD tiles, and risk-coverage curves of two rejection orders.

    Args:
        predictions: Predictions of the test tiles.
        predicted: Their predicted classes, int64 ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``.

    Returns:
        ``ood_tiles`` (number), their ``share``, ``error_rate_ood`` and ``error_rate_in_distribution``
        (``None`` without such tiles); ``risk_coverage`` and ``aurc`` if tiles are rejected ``by_ood_score``
        or ``by_confidence``; and the ``intervals`` of these values by name. ``None`` without an OOD detector.
    """
    if predictions.ood_score is None:
        return None
    wrong, is_ood = predicted != predictions.label, predictions.ood_score > 1
    doubts = {"by_ood_score": predictions.ood_score, "by_confidence": -predictions.probability.max(axis=1)}
    curves = {name: risk_coverage(doubt, wrong) for name, doubt in doubts.items()}
    shares = {
        "share": share_interval(is_ood, np.ones(len(is_ood), np.bool_), group),
        "error_rate_ood": share_interval(wrong, is_ood, group),
        "error_rate_in_distribution": share_interval(wrong, ~is_ood, group),
    }
    areas = {name: limits._asdict() for name, limits in area_intervals(doubts, wrong, group).items()}
    return {
        "ood_tiles": int(is_ood.sum()),
        "share": float(is_ood.mean()),
        "error_rate_ood": float(wrong[is_ood].mean()) if is_ood.any() else None,
        "error_rate_in_distribution": float(wrong[~is_ood].mean()) if not is_ood.all() else None,
        "aurc": {name: aurc(curve) for name, curve in curves.items()},
        "intervals": {
            **{name: row["interval"] for name, row in shares.items()},
            **{name: areas.get(name) for name in doubts},
        },
        "risk_coverage": {name: simplify_curve(curve) for name, curve in curves.items()},
    }
