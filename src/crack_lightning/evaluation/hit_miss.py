"""A logistic curve through hits and misses, and what the data do not reject.

The bounds invert the signed root of the likelihood ratio in its modified form, which is normal to the third
order: Barndorff-Nielsen, Biometrika 1986; Brazzale, Davison and Reid, "Applied Asymptotics", 2007, chapter 2.
With 60 to 200 cracks the plain likelihood ratio promises too much (``benchmarks/detection.py`` simulates it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit, logit

from crack_lightning.evaluation.intervals import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_NORMAL = float(stats.norm.ppf(CONFIDENCE))
_STEPS = 25
_NEAR = 1e-4


class HitMissCurve(NamedTuple):
    """The curve of the greatest likelihood: logit = intercept + slope * x."""

    intercept: float
    slope: float
    log_likelihood: float
    information: float  # the determinant of its matrix

    def logit_at(self, x: float) -> float:
        """Return the log odds of a hit."""
        return self.intercept + self.slope * x

    def where(self, logit_of_hit: float) -> float:
        """Return where the log odds are so high."""
        return (logit_of_hit - self.intercept) / self.slope


def fit_curve(x: Floats, hit: NDArray[np.bool_]) -> HitMissCurve:
    """Fit hits, bool ``(N,)``, that neither x ``(N,)`` nor anything else tells from misses for certain."""
    start = np.array([logit(np.clip(hit.mean(), 0.01, 0.99)), 0.0])
    hits, every = hit[None].astype(np.float64), np.ones((1, len(x)))
    [[intercept, slope]], [information] = fit_counts(x, hits, every, start=start)
    return HitMissCurve(
        intercept=float(intercept),
        slope=float(slope),
        log_likelihood=_log_likelihood(hit, intercept + slope * x),
        information=float(np.linalg.det(information)),
    )


def fit_counts(x: Floats, hits: Floats, tried: Floats, *, start: Floats) -> tuple[Floats, Floats]:
    """Fit R curves at once by Newton's method.

    Args:
        x: Where, ``(M,)``.
        hits: How many hits there, ``(R, M)``.
        tried: Of how many, ``(R, M)``.
        start: Intercept and slope to begin with, ``(2,)``.

    Returns:
        Intercepts and slopes, ``(R, 2)``, and their information matrices, ``(R, 2, 2)``. Where there is no
        finite curve, the slope is merely large.
    """
    powers = np.stack([np.ones_like(x), x, x * x], axis=1)
    both = np.tile(start, (len(hits), 1))
    information = np.zeros((len(hits), 2, 2))
    for _ in range(_STEPS):
        chance = expit(both @ powers[:, :2].T)
        slope = (hits - tried * chance) @ powers[:, :2]
        information = ((tried * chance * (1 - chance)) @ powers)[:, [[0, 1], [1, 2]]]
        (a, b), (_, c) = np.moveaxis(information, 0, -1)
        with np.errstate(all="ignore"):  # a sample may have no curve
            step = np.stack([c * slope[:, 0] - b * slope[:, 1], a * slope[:, 1] - b * slope[:, 0]])
            step = np.nan_to_num(step / (a * c - b * b), posinf=0.0, neginf=0.0)
        both += np.clip(step.T, -10, 10)
        if np.abs(step).max() < 1e-6:
            break
    return both, information


def upper_bound(
    x: Floats, hit: NDArray[np.bool_], curve: HitMissCurve, *, logit_of_hit: float, reach: float
) -> float | None:
    """Return the largest x whose log odds of a hit are not proven higher, one-sided 95 %.

    Args:
        x: Where it was tried, ``(N,)``.
        hit: Whether it was hit, bool ``(N,)``.
        curve: Their rising curve.
        logit_of_hit: The log odds.
        reach: How far above the estimate to look.

    Returns:
        The bound; ``None`` where there is none within ``reach``.
    """

    def excess(at: float) -> float:
        return roots(x, hit, curve, at=at, value=logit_of_hit).modified - _NORMAL

    estimate = curve.where(logit_of_hit)
    return None if excess(estimate + reach) < 0 else _crossing(excess, estimate, estimate + reach)


def lower_limit(x: Floats, hit: NDArray[np.bool_], curve: HitMissCurve, *, at: float) -> float:
    """Return the least probability of a hit at a place that is not rejected, one-sided 95 %."""

    def excess(below: float) -> float:
        return roots(x, hit, curve, at=at, value=curve.logit_at(at) - below).modified - _NORMAL

    far = 1.0
    while excess(far) < 0 and far < 1000:
        far *= 2
    return float(expit(curve.logit_at(at) - _crossing(excess, 0.0, far)))


class Roots(NamedTuple):
    """The signed root of a likelihood ratio, as it is and modified; nearly standard normal."""

    plain: float
    modified: float


def roots(x: Floats, hit: NDArray[np.bool_], curve: HitMissCurve, *, at: float, value: float) -> Roots:
    """Say how far the hits speak against curves with no more than the log odds ``value`` at ``at``."""
    distance, slope, information = x - at, curve.slope, 1.0
    for _ in range(_STEPS):
        chance = expit(value + slope * distance)
        information = float((chance * (1 - chance) * distance**2).sum())
        step = float(((hit - chance) * distance).sum()) / information
        slope += float(np.clip(step, -1 - abs(slope) / 2, 1 + abs(slope) / 2))
        if abs(step) < 1e-9:
            break
    gain = 2 * (curve.log_likelihood - _log_likelihood(hit, value + slope * distance))
    away = curve.logit_at(at) - value
    root = float(np.sign(away) * np.sqrt(max(gain, 0.0)))
    if abs(root) < _NEAR:
        return Roots(root, root)
    wald = away * float(np.sqrt(curve.information / information))
    return Roots(root, root + float(np.log(wald / root)) / root)


def _log_likelihood(hit: NDArray[np.bool_], logits: Floats) -> float:
    return float((hit * logits - np.logaddexp(0, logits)).sum())


def _crossing(excess: Callable[[float], float], low: float, high: float) -> float:
    return float(brentq(excess, low, high, xtol=1e-6))
