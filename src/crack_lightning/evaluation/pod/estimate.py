"""Probability of detection (POD) by crack width.

A logistic regression of hit or miss on the logarithm of the width, after MIL-HDBK-1823A, "Nondestructive
Evaluation System Reliability Assessment" (2009), appendix G.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit, gammaincinv, logit, ndtr, ndtri, stdtrit

from crack_lightning.evaluation.intervals.groups import CONFIDENCE, lower_bound, resampled
from crack_lightning.evaluation.pod.bounds import HitMissCurve, fit_curve, lower_limits, upper_bound
from crack_lightning.evaluation.pod.logistic_fit import fit_many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from crack_lightning.evaluation.pod.bounds import Floats

LEAST_CRACKS = 60
LEAST_PHOTOS = 20
METHOD = "logistic in log width (MIL-HDBK-1823A), bounds by the modified likelihood root"
TARGET = float(logit(0.9))
_DECREASING = "recall decreases with crack width"
_POINTS = 60
_REACH = float(np.log(50))
_AT_ONCE = 100
_PLACES = 1000


def probability_of_detection(
    width_px: NDArray[np.floating], detected: NDArray[np.bool_], group: NDArray[np.int64]
) -> dict[str, Any]:
    """Estimate the POD curve and the widths that are detected with 50 % and 90 % probability.

    Args:
        width_px: Crack widths in pixels of the original image, above 0, NaN where unknown, float ``(N,)``.
        detected: Whether each crack was detected, bool ``(N,)``.
        group: Photo of each crack by number from 0, int64 ``(N,)``.

    Returns:
        ``cracks`` (number with a known width), ``detected`` and ``estimable``. If estimable: ``intercept``,
        ``slope``, ``a50_px``, ``a90_px``, ``a90_95_px`` (the width with a POD of 90 % at 95 % confidence,
        ``None`` if there is no finite bound), ``widest_px``, ``method``, ``curve`` (``width_px``, ``pod`` and
        ``low``, the one-sided 95 % lower limit, which reaches 0.9 at ``a90_95_px``), and, if cracks share
        photos, ``photos`` (their number) and ``a90_95_px_by_photos`` (the larger of ``a90_95_px`` and the
        bound over photos; ``None`` without a finite bound, or with fewer than 20 photos). Otherwise:
        ``reason``, with a lower bound on the recall.
    """
    known = np.isfinite(width_px) & (width_px > 0)
    log_width, hit = np.log(width_px[known].astype(np.float64)), detected[known]
    codes = np.unique(group[known], return_inverse=True)[1].astype(np.int64)
    facts = {"cracks": len(hit), "detected": int(hit.sum())}
    if len(hit) < LEAST_CRACKS:
        reason = f"{LEAST_CRACKS} cracks of known width are needed, got {len(hit)}"
        return facts | _not_estimable(reason, hit, codes)
    centre, unit = float(log_width.mean()), float(log_width.std()) or 1.0
    x = (log_width - centre) / unit
    curve = rising_curve(x, hit)
    if isinstance(curve, str):
        return facts | _not_estimable(curve, hit, codes)
    grid = np.linspace(x.min(), x.max(), _POINTS)
    reach = _REACH / unit
    bound = upper_bound(x, hit, curve, logit_of_hit=TARGET, reach=reach)

    def pixels(at: float | None) -> float | None:
        return None if at is None else float(np.exp(centre + unit * at))

    return facts | {
        "estimable": True,
        "method": METHOD,
        "intercept": curve.logit_at(-centre / unit),
        "slope": curve.slope / unit,
        "a50_px": pixels(curve.where(0.0)),
        "a90_px": pixels(curve.where(TARGET)),
        "a90_95_px": pixels(bound),
        "widest_px": float(width_px[known].max()),
        "curve": {
            "width_px": np.exp(centre + unit * grid).tolist(),
            "pod": expit(curve.intercept + curve.slope * grid).tolist(),
            "low": lower_limits(x, hit, curve, at=grid).tolist(),
        },
        **{
            key: pixels(value) if key.endswith("_px_by_photos") else value
            for key, value in _over_photos(x, hit, codes, curve, bound, reach=reach).items()
        },
    }


def rising_curve(x: Floats, hit: NDArray[np.bool_]) -> HitMissCurve | str:
    """Fit a curve with a positive slope; return the reason as text if it cannot be estimated.

    Args:
        x: Log widths, with mean 0 and standard deviation 1 or so, ``(N,)``, N at least 1.
        hit: Whether each crack was detected, bool ``(N,)``.
    """
    if reason := _without_overlap(x, hit):
        return reason
    curve, share = fit_curve(x, hit), float(hit.mean())
    if curve is None:
        return "the fit did not converge, as detected and missed widths hardly overlap"
    flat = len(hit) * (share * np.log(share) + (1 - share) * np.log1p(-share))
    if curve.log_likelihood - flat < gammaincinv(0.5, CONFIDENCE):  # half the quantile of chi squared
        return "recall does not depend significantly on crack width (likelihood ratio, 5 % level)"
    return _DECREASING if curve.slope <= 0 else curve


def _without_overlap(x: Floats, hit: NDArray[np.bool_]) -> str:
    """Return the reason if the likelihood has no finite maximum, else an empty string."""
    if hit.all() or not hit.any():
        return f"{'every' if hit.all() else 'no'} crack was detected"
    if np.ptp(x) == 0:
        return "all cracks have the same width"
    if x[~hit].max() <= x[hit].min():
        than = "wider than" if x[~hit].max() < x[hit].min() else "at least as wide as"
        return f"every detected crack is {than} every missed one, so the slope is infinite"
    return _DECREASING if x[hit].max() <= x[~hit].min() else ""


def _not_estimable(reason: str, hit: NDArray[np.bool_], codes: NDArray[np.int64]) -> dict[str, Any]:
    """Return ``estimable`` and ``reason``, with a lower bound on the recall over all widths."""
    bound = ""
    if len(hit):
        recall = f"recall over all widths is at least {100 * lower_bound(hit, codes):.1f} %"
        bound = f"; {recall} (one-sided 95 % bound, {len(hit):,} cracks)"
    return {"estimable": False, "reason": f"The POD curve is not estimable: {reason}{bound}."}


def _over_photos(
    x: Floats,
    hit: NDArray[np.bool_],
    codes: NDArray[np.int64],
    curve: HitMissCurve,
    alone: float | None,
    *,
    reach: float,
) -> dict[str, Any]:
    photos = int(codes.max()) + 1
    if photos == len(x):
        return {}
    bound = bound_by_photos(x, hit, codes, curve, reach=reach) if photos >= LEAST_PHOTOS else None
    if bound is None or alone is None:
        return {"photos": photos, "a90_95_px_by_photos": None}
    return {"photos": photos, "a90_95_px_by_photos": max(bound, alone)}


def bound_by_photos(
    x: Floats, hit: NDArray[np.bool_], group: NDArray[np.int64], curve: HitMissCurve, *, reach: float
) -> float | None:
    """Return the one-sided 95 % upper bound on a90 for cracks that share photos, the larger of two bounds.

    One is a bootstrap over photos with correction for bias and skewness; the other divides the likelihood
    root by the root of the design effect. Each alone has too low a coverage with 20 to 40 photos
    (``benchmarks/detection.py``).

    Args:
        x: Log widths, with mean 0 and standard deviation 1 or so, ``(N,)``.
        hit: Whether each crack was detected, bool ``(N,)``.
        group: Photo of each crack by number from 0, int64 ``(N,)``.
        curve: The fitted curve, with a positive slope.
        reach: Search range above the estimate.

    Returns:
        The bound as a value of ``x``; ``None`` if too many bootstrap samples have no positive slope, or if
        leaving out a photo gives none.

    References:
        Efron, "Better bootstrap confidence intervals", JASA 1987; Field and Welsh, JRSS B 2007; Rao and
        Scott, "The analysis of categorical data from complex sample surveys", JASA 1981.
    """
    order = np.argsort(x)
    places, begins = np.unique(_few_places(x[order]), return_index=True)
    place = np.empty(len(x), np.int64)
    place[order] = np.repeat(np.arange(len(places)), np.diff(begins, append=len(x)))
    start = np.array([curve.intercept, curve.slope])

    def counts_by_place(counts: Floats) -> tuple[Floats, Floats]:
        weights = counts[:, group[order]]
        tried = np.add.reduceat(weights, begins, axis=1)
        return tried, np.add.reduceat(weights * hit[order], begins, axis=1)

    def log_a90(tried: Floats, hits: Floats) -> Floats:
        intercept, slope = fit_many(places, hits, tried, start=start).T
        rising = slope > 0
        return np.where(rising, (TARGET - intercept) / np.where(rising, slope, 1.0), np.inf)

    samples = resampled(lambda counts: {"log_a90": log_a90(*counts_by_place(counts))}, group)["log_a90"]
    without = np.concatenate([log_a90(*rest) for rest in _without_each_photo(place, hit, group)])
    if not np.isfinite(without).all() or np.ptp(without) == 0:
        return None
    away = without.mean() - without
    skewness = float((away**3).sum() / (6 * (away**2).sum() ** 1.5))
    bias = float(ndtri(np.clip(np.mean(samples < curve.where(TARGET)), 1e-3, 1 - 1e-3)))
    shifted = bias + float(ndtri(CONFIDENCE))
    share = float(ndtr(bias + shifted / (1 - skewness * shifted)))
    resampled_bound = float(np.quantile(samples, share, method="higher"))
    likelihood_bound = _bound_by_design_effect(x, hit, curve, away, reach=reach)
    if likelihood_bound is None or not np.isfinite(resampled_bound):
        return None
    return max(resampled_bound, likelihood_bound)


def _without_each_photo(
    place: NDArray[np.int64], hit: NDArray[np.bool_], group: NDArray[np.int64]
) -> Iterator[tuple[Floats, Floats]]:
    """Yield trials and hits by x value, ``(R, M)``; each of up to 100 rows leaves out one photo."""
    places, photos = int(place.max()) + 1, int(group.max()) + 1
    tried, hits = np.bincount(place).astype(np.float64), np.bincount(place, hit)
    by_photo = np.argsort(group, kind="stable")
    photo = group[by_photo]
    for part in np.array_split(np.arange(photos), (photos - 1) // _AT_ONCE + 1):
        start, end = np.searchsorted(photo, (part[0], part[-1] + 1))
        rows = by_photo[start:end]
        cell, cells = (group[rows] - part[0]) * places + place[rows], len(part) * places
        own_tried = np.bincount(cell, minlength=cells).reshape(-1, places)
        own_hits = np.bincount(cell, hit[rows], cells).reshape(-1, places)
        yield tried - own_tried, np.asarray(hits - own_hits, np.float64)


def _bound_by_design_effect(
    x: Floats, hit: NDArray[np.bool_], curve: HitMissCurve, deviations: Floats, *, reach: float
) -> float | None:
    """Return the bound of the modified root with a critical value scaled by the root of the design effect.

    The design effect is the jackknife variance of a90 over G photos, from the ``deviations`` ``(G,)`` of the
    estimates that leave one out, divided by the variance for independent cracks.
    """
    photos, a90 = len(deviations), curve.where(TARGET)
    chance = expit(curve.intercept + curve.slope * x)
    independent = float((chance * (1 - chance) * (x - a90) ** 2).sum()) / (curve.slope**2 * curve.information)
    design_effect = (photos - 1) / photos * float((deviations**2).sum()) / independent
    critical = float(stdtrit(photos - 1, CONFIDENCE)) * max(1.0, design_effect) ** 0.5
    return upper_bound(x, hit, curve, logit_of_hit=TARGET, reach=reach, critical=critical)


def _few_places(x: Floats) -> Floats:
    """Round x, ``(N,)``, to ``_PLACES`` evenly spaced values if it has more distinct ones."""
    if len(np.unique(x)) <= _PLACES:
        return x
    step = float(np.ptp(x)) / _PLACES
    return np.asarray(x.min() + step * np.round((x - x.min()) / step))
