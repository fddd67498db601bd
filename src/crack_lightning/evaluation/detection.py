"""Probability of detection: how wide a crack must be to be found.

Hit or miss against the logarithm of the width by a logistic curve, after MIL-HDBK-1823A, "Nondestructive
Evaluation System Reliability Assessment" (2009), appendix G.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from crack_lightning.evaluation.hit_miss import fit_counts, fit_curve, lower_limit, upper_bound
from crack_lightning.evaluation.intervals import CONFIDENCE, lower_bound, resampled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.evaluation.hit_miss import Floats, HitMissCurve

LEAST_CRACKS = 60
LEAST_PHOTOS = 20
METHOD = "logistic in log width (MIL-HDBK-1823A), bounds by the modified likelihood root"
TARGET = float(logit(0.9))
_FALLING = "Wider cracks are found less often"
_POINTS = 60
_REACH = float(np.log(50))
_AT_ONCE = 100
_ROUNDED_TO = 2  # digits of a log width in resamples: 1 % of the width, and far fewer different ones


def probability_of_detection(
    width_px: NDArray[np.floating], found: NDArray[np.bool_], group: NDArray[np.int64]
) -> dict[str, Any]:
    """Estimate from which width on cracks are found.

    Args:
        width_px: Widths in pixels of the original picture, above 0, NaN where unknown, float ``(N,)``.
        found: Whether each was called cracked, bool ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``; those of one photo are the same.

    Returns:
        ``cracks`` (with a known width), ``found`` and ``estimable``; where it is, ``intercept``, ``slope``,
        ``a50_px``, ``a90_px``, ``a90_95_px`` (the width that is found in nine of ten cases with 95 %
        confidence, ``None`` where the data set no such bound), ``widest_px``, ``method``, ``curve``
        (``width_px``, ``pod``, ``low``: the lower one-sided 95 % limit, which reaches 0.9 at ``a90_95_px``)
        and, where cracks share photos, ``photos`` (how many there are) and ``a90_95_px_by_photos`` (the
        bound by resampling whole photos, or the other where that is larger; ``None`` as above or with fewer
        than 20 photos); where it is not, ``reason`` with the bound that can be given.
    """
    known = np.isfinite(width_px) & (width_px > 0)
    x, hit = np.log(width_px[known].astype(np.float64)), found[known]
    codes = np.unique(group[known], return_inverse=True)[1].astype(np.int64)
    facts = {"cracks": len(x), "found": int(hit.sum())}
    if reason := _not_estimable(x, hit):
        return facts | {"estimable": False, "reason": f"{reason}{_what_is_known(hit, codes)}."}
    curve = fit_curve(x, hit)
    grid = np.linspace(x.min(), x.max(), _POINTS)
    bound = upper_bound(x, hit, curve, logit_of_hit=TARGET, reach=_REACH)
    return facts | {
        "estimable": True,
        "method": METHOD,
        "intercept": curve.intercept,
        "slope": curve.slope,
        "a50_px": float(np.exp(curve.where(0.0))),
        "a90_px": float(np.exp(curve.where(TARGET))),
        "a90_95_px": None if bound is None else float(np.exp(bound)),
        "widest_px": float(np.exp(x.max())),
        "curve": {
            "width_px": np.exp(grid).tolist(),
            "pod": [float(expit(curve.logit_at(at))) for at in grid.tolist()],
            "low": [lower_limit(x, hit, curve, at=at) for at in grid.tolist()],
        },
        **_over_photos(x, hit, codes, curve, bound),
    }


def _not_estimable(x: Floats, hit: NDArray[np.bool_]) -> str:
    """Say why there is no curve; an empty string where there is one."""
    if len(x) < LEAST_CRACKS:
        return f"Only {len(x)} cracks have a known width, and {LEAST_CRACKS} are needed"
    if hit.all():
        return "Every crack was found"
    if not hit.any():
        return "No crack was found"
    if x[~hit].max() <= x[hit].min():
        return "Every found crack is wider than every missed one, so the curve has no slope"
    return _FALLING if x[hit].max() <= x[~hit].min() else _without_slope(x, hit)


def _without_slope(x: Floats, hit: NDArray[np.bool_]) -> str:
    curve, share = fit_curve(x, hit), float(hit.mean())
    flat = len(hit) * (share * np.log(share) + (1 - share) * np.log1p(-share))
    if 2 * (curve.log_likelihood - flat) < stats.chi2.ppf(CONFIDENCE, 1):
        return "Found cracks are not wider than missed ones"
    return _FALLING if curve.slope <= 0 else ""


def _what_is_known(hit: NDArray[np.bool_], codes: NDArray[np.int64]) -> str:
    """Say what recall the cracks as they are do promise."""
    if not len(hit):
        return ""
    bound = 100 * lower_bound(hit, codes)
    return f"; of cracks of these widths at least {bound:.1f} % are found (one-sided 95 %, {len(hit)} cracks)"


def _over_photos(
    x: Floats, hit: NDArray[np.bool_], codes: NDArray[np.int64], curve: HitMissCurve, alone: float | None
) -> dict[str, Any]:
    photos = int(codes.max()) + 1
    if photos == len(x):
        return {}
    bound = bound_by_photos(x, hit, codes, curve) if photos >= LEAST_PHOTOS else None
    if bound is None or alone is None:
        return {"photos": photos, "a90_95_px_by_photos": None}
    return {"photos": photos, "a90_95_px_by_photos": float(np.exp(max(bound, alone)))}


def bound_by_photos(
    x: Floats, hit: NDArray[np.bool_], group: NDArray[np.int64], curve: HitMissCurve
) -> float | None:
    """Return the one-sided 95 % bound on a90 over resampled photos, corrected for bias and skewness.

    Args:
        x: Log widths, ``(N,)``.
        hit: Whether each crack was found, bool ``(N,)``.
        group: Photos by number from 0, int64 ``(N,)``.
        curve: Their rising curve.

    Returns:
        A log width; ``None`` where too many samples have no rising curve, and so no a90, or where it hangs on
        one group of photos alone.

    References:
        Efron, "Better bootstrap confidence intervals", JASA 1987; Field and Welsh, JRSS B 2007.
    """
    order = np.argsort(x)
    widths, begins = np.unique(np.round(x[order], _ROUNDED_TO), return_index=True)
    start = np.array([curve.intercept, curve.slope])

    def log_a90(weights: Floats) -> Floats:
        tried = np.add.reduceat(weights[:, order], begins, axis=1)
        hits = np.add.reduceat((weights * hit)[:, order], begins, axis=1)
        intercept, slope = fit_counts(widths, hits, tried, start=start)[0].T
        with np.errstate(divide="ignore"):
            return np.where(slope > 0, (TARGET - intercept) / slope, np.inf)

    samples = resampled(lambda weights: {"log_a90": log_a90(weights)}, group)["log_a90"]
    parts = np.array_split(np.arange(int(group.max()) + 1), int(group.max()) // _AT_ONCE + 1)
    without = np.concatenate([log_a90((group != part[:, None]).astype(np.float64)) for part in parts])
    if not np.isfinite(without).all() or np.ptp(without) == 0:
        return None
    away = without.mean() - without
    skewness = float((away**3).sum() / (6 * (away**2).sum() ** 1.5))
    bias = float(stats.norm.ppf(np.clip(np.mean(samples < curve.where(TARGET)), 1e-3, 1 - 1e-3)))
    shifted = bias + float(stats.norm.ppf(CONFIDENCE))
    share = float(stats.norm.cdf(bias + shifted / (1 - skewness * shifted)))
    bound = float(np.quantile(samples, share, method="higher"))
    return bound if np.isfinite(bound) else None
