"""Probability of detection: how wide a crack must be to be found.

Hit or miss against the logarithm of the width by a logistic curve, after MIL-HDBK-1823A, "Nondestructive
Evaluation System Reliability Assessment" (2009), appendix G.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from scipy.optimize import brentq, minimize, minimize_scalar
from scipy.special import expit, logit

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_CRACKS = 60
CONFIDENCE = 0.95
METHOD = "logistic in log width, bound by the likelihood ratio (MIL-HDBK-1823A)"
_TARGET = 0.9
_POINTS = 60


def probability_of_detection(width_px: NDArray[np.floating], found: NDArray[np.bool_]) -> dict[str, Any]:
    """Estimate from which width on cracks are found.

    Args:
        width_px: Widths in pixels of the original picture, above 0, NaN where unknown, float ``(N,)``.
        found: Whether each was called cracked, bool ``(N,)``.

    Returns:
        ``cracks`` (with a known width), ``found`` and ``estimable``; where it is, ``intercept``, ``slope``,
        ``a50_px``, ``a90_px``, ``a90_95_px`` (the width that is found in nine of ten cases with 95 %
        confidence, ``None`` where the data set no such bound), ``method`` and ``curve`` (``width_px``,
        ``pod``, ``low``: the lower one-sided 95 % limit); where it is not, ``reason`` with the bound that can
        be given.
    """
    known = np.isfinite(width_px) & (width_px > 0)
    x, hit = np.log(width_px[known].astype(np.float64)), found[known].astype(np.float64)
    facts = {"cracks": len(x), "found": int(hit.sum())}
    if reason := _not_estimable(x, hit):
        return facts | {"estimable": False, "reason": reason}
    intercept, slope = _fitted(x, hit)
    if 2 * (_likelihood(x, hit, intercept, slope) - _flat_likelihood(hit)) < stats.chi2.ppf(CONFIDENCE, 1):
        return facts | {
            "estimable": False,
            "reason": _told("Found cracks are not wider than missed ones", hit),
        }
    if slope <= 0:
        return facts | {"estimable": False, "reason": _told("Wider cracks are found less often", hit)}
    grid = np.linspace(x.min(), x.max(), _POINTS)
    return facts | {
        "estimable": True,
        "method": METHOD,
        "intercept": intercept,
        "slope": slope,
        "a50_px": float(np.exp(-intercept / slope)),
        "a90_px": float(np.exp((logit(_TARGET) - intercept) / slope)),
        "a90_95_px": _upper_bound(x, hit, intercept, slope),
        "curve": {
            "width_px": np.exp(grid).tolist(),
            "pod": expit(intercept + slope * grid).tolist(),
            "low": _lower_band(x, intercept, slope, grid).tolist(),
        },
    }


def _not_estimable(x: NDArray[np.float64], hit: NDArray[np.float64]) -> str:
    if len(x) < LEAST_CRACKS:
        return f"Only {len(x)} cracks have a known width, and {LEAST_CRACKS} are needed."
    if hit.all():
        return _told("Every crack was found", hit)
    if not hit.any():
        return _told("No crack was found", hit)
    if x[hit == 0].max() < x[hit == 1].min():
        return _told("Every found crack is wider than every missed one, so the curve has no slope", hit)
    return ""


def _told(why: str, hit: NDArray[np.float64]) -> str:
    """Say why there is no curve, and what recall the cracks as they are do promise."""
    hits, number = int(hit.sum()), len(hit)
    bound = stats.beta.ppf(1 - CONFIDENCE, hits, number - hits + 1) if hits else 0.0
    return (
        f"{why}; of cracks of these widths at least {bound:.1%} are found (one-sided 95 %, {number} cracks)."
    )


def _likelihood(x: NDArray[np.float64], hit: NDArray[np.float64], intercept: float, slope: float) -> float:
    z = intercept + slope * x
    return float((hit * z - np.logaddexp(0, z)).sum())


def _flat_likelihood(hit: NDArray[np.float64]) -> float:
    share = float(hit.mean())
    return float(hit.sum() * np.log(share) + (len(hit) - hit.sum()) * np.log1p(-share))


def _fitted(x: NDArray[np.float64], hit: NDArray[np.float64]) -> tuple[float, float]:
    """Return intercept and slope of the greatest likelihood."""

    def loss(both: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        residual = expit(both[0] + both[1] * x) - hit
        return -_likelihood(x, hit, *both), np.array([residual.sum(), residual @ x])

    start = np.array([logit(np.clip(hit.mean(), 0.01, 0.99)), 0.0])
    found = minimize(loss, start, jac=True, method="BFGS", options={"gtol": 1e-8})
    return float(found.x[0]), float(found.x[1])


def _upper_bound(
    x: NDArray[np.float64], hit: NDArray[np.float64], intercept: float, slope: float
) -> float | None:
    """Return the largest a90 that the likelihood ratio does not reject at one-sided 5 %."""
    best = _likelihood(x, hit, intercept, slope)
    limit = float(stats.chi2.ppf(2 * CONFIDENCE - 1, 1))

    def excess(log_a90: float) -> float:
        def loss(log_slope: float) -> float:
            steep = float(np.exp(log_slope))
            return -_likelihood(x, hit, float(logit(_TARGET)) - steep * log_a90, steep)

        middle = float(np.log(slope))
        profile = minimize_scalar(loss, bounds=(middle - 6, middle + 4), method="bounded")
        return 2 * (best + float(profile.fun)) - limit

    estimate = (float(logit(_TARGET)) - intercept) / slope
    far = estimate + np.log(50)
    if excess(far) < 0:
        return None
    return float(np.exp(brentq(excess, estimate, far, xtol=1e-6)))


def _lower_band(
    x: NDArray[np.float64], intercept: float, slope: float, grid: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return Wald's lower one-sided 95 % limit of the curve at some log widths."""
    share = expit(intercept + slope * x)
    weight = share * (1 - share)
    design = np.column_stack([np.ones_like(x), x])
    covariance = np.linalg.inv((design * weight[:, None]).T @ design)
    at = np.column_stack([np.ones_like(grid), grid])
    error = np.sqrt(np.einsum("gi,ij,gj->g", at, covariance, at))
    z = float(stats.norm.ppf(CONFIDENCE))
    return np.asarray(expit(intercept + slope * grid - z * error), np.float64)
