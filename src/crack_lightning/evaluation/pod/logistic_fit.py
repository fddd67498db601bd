"""Maximum likelihood fits of logistic curves in one variable, one at a time or thousands at once.

The likelihood has a unique finite maximum if and only if hits and misses overlap: Albert and Anderson, "On
the existence of maximum likelihood estimates in logistic regression models", Biometrika 1984.
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
_SETTLED = 1e-12  # Newton decrement: squared distance to the maximum in standard errors
_ROUNDING = 1e-12  # relative rounding error of a log-likelihood


def _overlapping(hits: Floats, tried: Floats) -> NDArray[np.bool_]:
    """Return whether some miss lies above a hit and some hit above a miss, bool ``(R,)``."""
    first_hit, last_hit = _ends(hits > 0)
    first_miss, last_miss = _ends(tried > hits)
    return np.asarray((last_miss > first_hit) & (last_hit > first_miss))


def _ends(there: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return each row's first and last true column, ``(R,)`` each; if none, the last and first."""
    some, last = there.any(axis=1), there.shape[1] - 1
    return np.where(some, there.argmax(axis=1), last), np.where(some, last - there[:, ::-1].argmax(axis=1), 0)


def fit_one(x: Floats, hits: Floats, tried: Floats) -> Floats | None:
    """Fit one curve by scipy's trust-region method, refined and checked by :func:`fit_many`.

    Args:
        x: M ascending values, ``(M,)``.
        hits: Number of hits at each value, ``(M,)``.
        tried: Number of trials at each value, ``(M,)``.

    Returns:
        Intercept and slope, ``(2,)``; ``None`` without a finite maximum or convergence.
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
    """Fit R curves at once by Newton's method, with each step halved until the likelihood does not decrease.

    Args:
        x: M ascending values, ``(M,)``.
        hits: Number of hits at each value, ``(R, M)``.
        tried: Number of trials at these values, ``(R, M)``.
        start: Initial intercept and slope, ``(2,)``.

    Returns:
        Intercepts and slopes, ``(R, 2)``; NaN without a finite maximum or convergence.

    References:
        Boyd and Vandenberghe, "Convex Optimization", 2004, section 9.5, on the stopping criterion.
    """
    fitted = np.full((len(hits), 2), np.nan)
    left = np.flatnonzero(_overlapping(hits, tried))
    at = np.tile(start, (len(left), 1))
    likelihood = log_likelihood(at, x, hits[left], tried[left])
    for _ in range(_STEPS):
        counts = x, hits[left], tried[left]
        step, decrement = _newton(at, *counts)
        at, likelihood = _moved(at, step, *counts, likelihood=likelihood)
        settled = decrement < _SETTLED
        fitted[left[settled]] = at[settled]
        left, at, likelihood = left[~settled], at[~settled], likelihood[~settled]
        if not len(left):
            break
    return fitted


def _newton(at: Floats, x: Floats, hits: Floats, tried: Floats) -> tuple[Floats, Floats]:
    """Return Newton steps, ``(R, 2)``, and decrements, ``(R,)``; 0 and infinite where undefined."""
    logits = at[:, :1] + at[:, 1:] * x
    expected = tried * expit(logits)
    surplus = hits - expected
    total, middle, spread = _moments(expected * expit(-logits), x)
    with np.errstate(all="ignore"):  # where all probabilities are 0 or 1 in floating point
        level, slope = surplus.sum(axis=1), (surplus * (x - middle[:, None])).sum(axis=1)
        decrement = level**2 / total + slope**2 / spread
        step = np.stack([level / total - middle * slope / spread, slope / spread], axis=1)
    known = np.isfinite(decrement) & np.isfinite(step).all(axis=1)
    return np.where(known[:, None], step, 0.0), np.where(known, decrement, np.inf)


def _moments(weight: Floats, x: Floats) -> tuple[Floats, Floats, Floats]:
    """Return sum, mean and spread of x under the weights of the Fisher information, ``(R,)`` each.

    About the mean, intercept and slope are uncorrelated, which avoids cancellation.
    """
    total = weight.sum(axis=1)
    with np.errstate(invalid="ignore"):
        middle = weight @ x / total
        return total, middle, (weight * (x - middle[:, None]) ** 2).sum(axis=1)


def _moved(
    at: Floats, step: Floats, x: Floats, hits: Floats, tried: Floats, *, likelihood: Floats
) -> tuple[Floats, Floats]:
    """Return the curves after steps, halved until the likelihood does not decrease, and its new values."""
    least = likelihood - _ROUNDING * np.abs(likelihood)
    for _ in range(_HALVINGS):
        likelihood = log_likelihood(at + step, x, hits, tried)
        worse = ~(likelihood >= least)
        if not worse.any():
            return at + step, likelihood
        step = np.where(worse[:, None], step / 2, step)
    return at + step, log_likelihood(at + step, x, hits, tried)


def log_likelihood(at: Floats, x: Floats, hits: Floats, tried: Floats) -> Floats:
    """Return the log-likelihoods, ``(R,)``, of curves, ``(R, 2)``, for counts, ``(R, M)``, at M values."""
    logits = at[:, :1] + at[:, 1:] * x
    return np.asarray((hits * logits - tried * np.logaddexp(0, logits)).sum(axis=1))


def information(at: Floats, x: Floats, tried: Floats) -> Floats:
    """Return the determinant of the Fisher information, ``(R,)``, of curves, ``(R, 2)``."""
    logits = at[:, :1] + at[:, 1:] * x
    total, _, spread = _moments(tried * expit(logits) * expit(-logits), x)
    return np.asarray(total * spread)


def root_of_falling(function: Callable[[float], float], *, start: float, step: float) -> float:
    """Return the root of a decreasing function that changes its sign, by Brent's method.

    Args:
        function: The decreasing function.
        start: Initial guess.
        step: Initial step away from it, doubled until the root is bracketed.
    """
    low = high = start
    reach = step
    while function(low) < 0:
        low, reach = low - reach, 2 * reach
    reach = step
    while function(high) > 0:
        high, reach = high + reach, 2 * reach
    return float(brentq(function, low, high, xtol=1e-9 * step, rtol=1e-9)) if low < high else low
