"""Logistic hit/miss curve, and its confidence bounds by the likelihood.

The bounds invert the modified signed root of the likelihood ratio, which is standard normal to third
order: Barndorff-Nielsen, Biometrika 1986; Brazzale, Davison and Reid, "Applied Asymptotics", 2007, chapter 2.
With 60 to 200 cracks the bounds of the plain likelihood ratio are too narrow (simulated by
``benchmarks/detection.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, ndtri

from crack_lightning.evaluation.intervals.groups import CONFIDENCE
from crack_lightning.evaluation.pod.logistic_fit import fit_one, information, log_likelihood, root_of_falling

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

ONE_SIDED_95 = float(ndtri(CONFIDENCE))
_NEAR, _PRECISION = 1e-4, 1e-6
_SCANNED, _FARTHEST = 24, 1e9


class HitMissCurve(NamedTuple):
    """The maximum likelihood curve: logit = intercept + slope * x."""

    intercept: float
    slope: float
    log_likelihood: float
    information: float  # determinant of the Fisher information

    def logit_at(self, x: float) -> float:
        """Return the log odds of a hit."""
        return self.intercept + self.slope * x

    def where(self, logit_of_hit: float) -> float:
        """Return the x with these log odds."""
        return (logit_of_hit - self.intercept) / self.slope


def fit_curve(x: Floats, hit: NDArray[np.bool_]) -> HitMissCurve | None:
    """Fit a curve to hits, bool ``(N,)``, at ``x``, ``(N,)``; ``None`` if there is no finite maximum."""
    places, at = np.unique(x, return_inverse=True)
    tried = np.bincount(at).astype(np.float64)
    hits = np.bincount(at, weights=hit).astype(np.float64)
    fitted = fit_one(places, hits, tried)
    if fitted is None:
        return None
    row = fitted[None]
    return HitMissCurve(
        intercept=float(fitted[0]),
        slope=float(fitted[1]),
        log_likelihood=float(log_likelihood(row, places, hits[None], tried[None])[0]),
        information=float(information(row, places, tried[None])[0]),
    )


def upper_bound(
    x: Floats,
    hit: NDArray[np.bool_],
    curve: HitMissCurve,
    *,
    logit_of_hit: float,
    reach: float,
    critical: float = ONE_SIDED_95,
) -> float | None:
    """Return the one-sided 95 % upper bound on the x at which the log odds of a hit reach a value.

    Args:
        x: Log width of each crack, ``(N,)``.
        hit: Whether it was detected, bool ``(N,)``.
        curve: The fitted curve, with a positive slope.
        logit_of_hit: These log odds.
        reach: Search range above the estimate.
        critical: Critical value of the modified root.

    Returns:
        The bound; ``None`` if it lies beyond ``reach``.
    """

    def excess(at: float) -> float:
        return roots(x, hit, curve, at=at, value=logit_of_hit).modified - critical

    estimate = curve.where(logit_of_hit)
    places = np.linspace(estimate, estimate + reach, _SCANNED).tolist()
    below = [excess(place) < 0 for place in places]
    last = max(number for number, is_below in enumerate(below) if is_below)
    return None if below[-1] else float(brentq(excess, places[last], places[last + 1], xtol=_PRECISION))


def lower_limits(x: Floats, hit: NDArray[np.bool_], curve: HitMissCurve, *, at: Floats) -> Floats:
    """Return the one-sided 95 % lower limit of the probability of detection at each width.

    Args:
        x: Log width of each crack, ``(N,)``.
        hit: Whether it was detected, bool ``(N,)``.
        curve: The fitted curve, with a positive slope.
        at: Ascending log widths, ``(G,)``.

    Returns:
        Probabilities in ascending order, ``(G,)``. With one or two misses the modified root may give a
        higher limit to a narrower crack; such a limit is lowered to the smallest limit of the wider ones.
    """
    limits = [_lower_logit(x, hit, curve, at=place) for place in at.tolist()]
    return np.asarray(expit(np.minimum.accumulate(limits[::-1])[::-1]))


def _lower_logit(x: Floats, hit: NDArray[np.bool_], curve: HitMissCurve, *, at: float) -> float:
    estimate = curve.logit_at(at)

    def excess(below: float) -> float:
        return roots(x, hit, curve, at=at, value=estimate - below).modified - ONE_SIDED_95

    far = 1.0
    while excess(far) < 0:
        far *= 2
        if far > _FARTHEST:
            return -np.inf
    return estimate - float(brentq(excess, 0.0, far, xtol=_PRECISION))


class Roots(NamedTuple):
    """Plain and modified signed root of a likelihood ratio, approximately standard normal."""

    plain: float
    modified: float


def roots(x: Floats, hit: NDArray[np.bool_], curve: HitMissCurve, *, at: float, value: float) -> Roots:
    """Return the signed roots for the null hypothesis ``logit_at(at) = value``."""
    distance = x - at

    def score(slope: float) -> float:
        return float(((hit - expit(value + slope * distance)) * distance).sum())

    slope = root_of_falling(score, start=curve.slope, step=abs(curve.slope))
    logits = value + slope * distance
    gain = 2 * (curve.log_likelihood - float((hit * logits - np.logaddexp(0, logits)).sum()))
    away = curve.logit_at(at) - value
    root = float(np.sign(away) * np.sqrt(max(gain, 0.0)))
    if abs(root) < _NEAR:
        return Roots(root, root)
    nuisance = (expit(logits) * expit(-logits) * distance**2).sum()
    with np.errstate(divide="ignore"):  # where all probabilities are 0 or 1 in floating point
        wald = away * np.sqrt(np.divide(curve.information, nuisance))
    return Roots(root, root + float(np.log(wald / root)) / root)
