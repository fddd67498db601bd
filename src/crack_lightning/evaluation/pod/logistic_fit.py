"""Maximum likelihood of logistic curves in one variable, one at a time or thousands at once.

There is a finite maximum, and only one, where hits and misses overlap: Albert and Anderson, "On the existence
of maximum likelihood estimates in logistic regression models", Biometrika 1984.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import expit

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

_STEPS, _HALVINGS = 60, 40
_SETTLED = 1e-12  # Newton's decrement: the squared distance to the maximum in standard errors
_ROUNDING = 1e-12  # of a log-likelihood


def overlapping(hits: Floats, tried: Floats) -> NDArray[np.bool_]:
    """Return whether hits and misses overlap: a miss above a hit, and a hit above a miss, bool ``(R,)``.

    Args:
        hits: Counts of hits at M rising places, ``(R, M)``.
        tried: Counts of hits and misses there, ``(R, M)``.
    """
    first_hit, last_hit = _ends(hits > 0)
    first_miss, last_miss = _ends(tried > hits)
    return np.asarray((last_miss > first_hit) & (last_hit > first_miss))


def _ends(there: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and the last true place of each row, ``(R,)`` each; the ends swapped without any."""
    some, last = there.any(axis=1), there.shape[1] - 1
    return np.where(some, there.argmax(axis=1), last), np.where(some, last - there[:, ::-1].argmax(axis=1), 0)


def fit_one(x: Floats, hits: Floats, tried: Floats) -> Floats | None:
    """Fit one curve by scipy's trust region method, its last digits by :func:`fit_many`, which checks them.

    Args:
        x: M rising places, ``(M,)``.
        hits: Counts of hits there, ``(M,)``.
        tried: Counts of hits and misses there, ``(M,)``.

    Returns:
        Intercept and slope, ``(2,)``; ``None`` where there is no finite maximum, or none was reached.
    """
    powers = np.stack([np.ones_like(x), x])

    def loss(at: Floats) -> float:
        return -float(log_likelihood(at[None], x, hits[None], tried[None])[0])

    def gradient(at: Floats) -> Floats:
        return np.asarray(powers @ (tried * expit(at @ powers) - hits))

    def hessian(at: Floats) -> Floats:
        return np.asarray((powers * (tried * expit(at @ powers) * expit(-at @ powers))) @ powers.T)

    start = minimize(loss, np.zeros(2), jac=gradient, hess=hessian, method="trust-exact").x
    [fitted] = fit_many(x, hits[None], tried[None], start=start)
    return None if np.isnan(fitted).any() else fitted


def fit_many(x: Floats, hits: Floats, tried: Floats, *, start: Floats) -> Floats:
    """Fit R curves at once by Newton's method, each step halved until the likelihood does not fall.

    Args:
        x: M rising places, ``(M,)``.
        hits: Counts of hits there, ``(R, M)``.
        tried: Counts of hits and misses there, ``(R, M)``.
        start: Intercept and slope to begin with, ``(2,)``.

    Returns:
        Intercepts and slopes, ``(R, 2)``; NaN where there is no finite maximum, or none was reached.

    References:
        Boyd and Vandenberghe, "Convex Optimization", 2004, section 9.5: the decrement that says when to stop.
    """
    fitted = np.full((len(hits), 2), np.nan)
    left = np.flatnonzero(overlapping(hits, tried))
    at = np.tile(start, (len(left), 1))
    for _ in range(_STEPS):
        counts = x, hits[left], tried[left]
        step, decrement = _newton(at, *counts)
        at = at + _halved(at, step, *counts)
        settled = decrement < _SETTLED
        fitted[left[settled]] = at[settled]
        left, at = left[~settled], at[~settled]
        if not len(left):
            break
    return fitted


def _newton(at: Floats, x: Floats, hits: Floats, tried: Floats) -> tuple[Floats, Floats]:
    """Return Newton's steps, ``(R, 2)``, and their decrements, ``(R,)``, infinite where there is none."""
    logits = at[:, :1] + at[:, 1:] * x
    surplus = hits - tried * expit(logits)
    total, middle, spread = _moments(logits, x, tried)
    with np.errstate(all="ignore"):  # where all chances are 0 or 1 in floating point
        level, slope = surplus.sum(axis=1), (surplus * (x - middle[:, None])).sum(axis=1)
        decrement = level**2 / total + slope**2 / spread
        step = np.stack([level / total - middle * slope / spread, slope / spread], axis=1)
    known = np.isfinite(decrement) & np.isfinite(step).all(axis=1)
    return np.where(known[:, None], step, 0.0), np.where(known, decrement, np.inf)


def _moments(logits: Floats, x: Floats, tried: Floats) -> tuple[Floats, Floats, Floats]:
    """Return sum, mean place and spread of the weights of Fisher's information, ``(R,)`` each.

    About the mean place intercept and slope are independent, so that nothing cancels.
    """
    weight = tried * expit(logits) * expit(-logits)
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore"):
        middle = weight @ x / total
        return total, middle, (weight * (x - middle[:, None]) ** 2).sum(axis=1)


def _halved(at: Floats, step: Floats, x: Floats, hits: Floats, tried: Floats) -> Floats:
    """Return steps short enough for the likelihood not to fall, ``(R, 2)``."""
    least = log_likelihood(at, x, hits, tried)
    least -= _ROUNDING * np.abs(least)
    for _ in range(_HALVINGS):
        worse = ~(log_likelihood(at + step, x, hits, tried) >= least)
        if not worse.any():
            break
        step = np.where(worse[:, None], step / 2, step)
    return step


def log_likelihood(at: Floats, x: Floats, hits: Floats, tried: Floats) -> Floats:
    """Return the log-likelihood of curves, ``(R, 2)``, given counts, ``(R, M)`` at M places; ``(R,)``."""
    logits = at[:, :1] + at[:, 1:] * x
    return np.asarray((hits * logits - tried * np.logaddexp(0, logits)).sum(axis=1))


def information(at: Floats, x: Floats, tried: Floats) -> Floats:
    """Return the determinant of Fisher's information on intercept and slope, ``(R, 2)``; ``(R,)``."""
    total, _, spread = _moments(at[:, :1] + at[:, 1:] * x, x, tried)
    return np.asarray(total * spread)


def root_of_falling(function: Callable[[float], float], *, start: float, step: float) -> float:
    """Return the root of a falling function that changes its sign, by Brent's method.

    Args:
        function: It.
        start: Where the root is looked for first.
        step: The first step from there; it doubles until the root lies between two.
    """
    low = high = start
    reach = step
    while function(low) < 0:
        low, reach = low - reach, 2 * reach
    reach = step
    while function(high) > 0:
        high, reach = high + reach, 2 * reach
    return float(brentq(function, low, high, xtol=1e-9 * step, rtol=1e-9)) if low < high else low
