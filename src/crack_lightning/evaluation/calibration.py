"""Temperature scaling, reliability diagram and expected calibration error (ECE)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.optimize import brentq
from scipy.special import softmax

from crack_lightning.evaluation.intervals.groups import (
    CONFIDENCE,
    Interval,
    few_groups_factor,
    proportion_interval,
    resampled,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.evaluation.predictions import Predictions

NUM_BINS = 15
NUM_FOLDS = 5
_TEMPERATURES = (0.05, 20.0)
_LEAST_PROBABILITY = 1e-12  # keeps logits finite; the log loss clips at a higher value


def fit_temperature(label: NDArray[np.int64], probability: NDArray[np.floating]) -> float:
    """Return the temperature, the divisor of the logits, with the lowest log loss in ``[0.05, 20]``.

    The loss is convex in the inverse temperature, so its derivative has at most one root.

    Args:
        label: True classes, int64 ``(N,)``.
        probability: Class probabilities, float ``(N, K)``.

    References:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    logits = _logits(probability)
    true = logits[np.arange(len(label)), label].mean()

    def slope(inverse: float) -> float:
        return float((softmax(logits * inverse, axis=1) * logits).sum(axis=1).mean() - true)

    lowest, highest = _TEMPERATURES
    if slope(1 / lowest) <= 0:
        return lowest
    return highest if slope(1 / highest) >= 0 else 1 / float(brentq(slope, 1 / highest, 1 / lowest))


def tempered(probability: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Apply a temperature: return the softmax ``(N, K)`` of the logits divided by it."""
    return np.asarray(softmax(_logits(probability) / temperature, axis=1))


def cross_fitted(
    validation: Predictions, group: NDArray[np.int64]
) -> tuple[NDArray[np.float64], list[float]]:
    """Calibrate each tile by a temperature that was fitted without the group of the tile.

    Groups are assigned at random to five folds, or to one fold each where there are fewer; a single group is
    calibrated by its own temperature. These probabilities can be used to choose a threshold, because no
    tile's temperature was fitted to that tile.

    Args:
        validation: Labels and uncalibrated probabilities of N tiles.
        group: Group numbers from 0, int64 ``(N,)``.

    Returns:
        Probabilities, float64 ``(N, K)``, and the temperatures of the folds.

    References:
        Platt, "Probabilistic outputs for support vector machines", 1999, section 2.2.
    """
    groups = int(group.max()) + 1
    folds = min(NUM_FOLDS, groups)
    if folds == 1:
        temperature = fit_temperature(validation.label, validation.probability)
        return tempered(validation.probability, temperature), [temperature]
    fold = (np.random.default_rng(0).permutation(groups) % folds)[group]
    calibrated, temperatures = np.empty(validation.probability.shape), []
    for number in range(folds):
        own = fold == number
        temperatures.append(fit_temperature(validation.label[~own], validation.probability[~own]))
        calibrated[own] = tempered(validation.probability[own], temperatures[-1])
    return calibrated, temperatures


class Forecasts(NamedTuple):
    """Predicted probabilities of an event, float64 ``(N,)``, and whether it occurred, bool ``(N,)``."""

    probability: NDArray[np.float64]
    outcome: NDArray[np.bool_]

    @classmethod
    def of(
        cls, label: NDArray[np.int64], probability: NDArray[np.floating], positive: int | None
    ) -> Forecasts:
        """Build from probabilities of the positive class, or, with ``None``, of the predicted class.

        References:
            On the predicted class: Gupta and Ramdas, "Top-label calibration", ICLR 2022.
        """
        scores = probability.astype(np.float64)
        if positive is not None:
            return cls(scores[:, positive], label == positive)
        return cls(scores.max(axis=1), scores.argmax(axis=1) == label)


def equal_mass_bins(probability: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return the equal-mass bin of each of N forecasts, int64 ``(N,)``, in ascending order.

    Equal forecasts are in one bin, that of their middle rank, so the order of the tiles has no effect.
    """
    _, place, counts = np.unique(probability, return_inverse=True, return_counts=True)
    sizes = [len(part) for part in np.array_split(np.arange(len(probability)), NUM_BINS)]
    bin_of_rank = np.repeat(np.arange(NUM_BINS), sizes)
    middle = np.cumsum(counts) - (counts + 2) // 2
    return np.asarray(bin_of_rank[middle][place], np.int64)


def calibration_error(
    label: NDArray[np.int64], probability: NDArray[np.floating], *, positive: int | None = None
) -> float:
    """Return the expected calibration error (ECE): the mean gap of the bins, weighted by their tiles.

    The gap of a bin is the difference between its mean predicted probability and its observed frequency.

    Args:
        label: True classes, int64 ``(N,)``.
        probability: Class probabilities, float ``(N, K)``.
        positive: Index of the positive class; ``None`` for the predicted class.

    References:
        Naeini, Cooper and Hauskrecht, "Obtaining Well Calibrated Probabilities Using Bayesian Binning", AAAI
        2015; with bins of equal mass Nguyen and O'Connor, EMNLP 2015.
    """
    forecast, outcome = Forecasts.of(label, probability, positive)
    gaps = np.bincount(equal_mass_bins(forecast), forecast - outcome)
    return float(np.abs(gaps).sum() / len(label))


def _calibration_error_interval(forecasts: Forecasts, group: NDArray[np.int64]) -> Interval:
    """Return the 95 % interval of the expected calibration error.

    The ECE of a sample is biased upwards, because random gaps add up. By the triangle inequality it differs
    from the true ECE by at most the sum of the errors of the gaps; the quantile of that sum over resampled
    groups is the distance to each limit.
    """
    forecast, outcome = forecasts
    gap = np.eye(NUM_BINS)[equal_mass_bins(forecast)] * (forecast - outcome)[:, None]
    whole = gap.mean(axis=0)

    def distance(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        weights = counts[:, group]
        gaps = weights @ gap / weights.sum(axis=1, keepdims=True)
        return {"distance": np.abs(gaps - whole).sum(axis=1)}

    error = float(np.abs(whole).sum())
    half = float(np.quantile(resampled(distance, group)["distance"], CONFIDENCE))
    half *= few_groups_factor(int(group.max()) + 1)
    return Interval(max(0.0, error - half), min(1.0, error + half))


def reliability(
    label: NDArray[np.int64],
    probability: NDArray[np.floating],
    group: NDArray[np.int64] | None = None,
    *,
    positive: int | None = None,
) -> dict[str, Any]:
    """Compare predicted probabilities with observed frequencies in 15 equal-mass bins.

    Args:
        label: True classes, int64 ``(N,)``.
        probability: Class probabilities, float ``(N, K)``.
        group: Group numbers from 0, int64 ``(N,)``; ``None`` where each tile is a group.
        positive: Index of the positive class; ``None`` for the predicted class.

    Returns:
        ``expected_calibration_error`` with its ``interval`` (``None`` for a single group), and by bin
        ``mean_probability``, ``observed_frequency``, its limits ``low`` and ``high`` (Wilson's interval on
        the effective sample size), and ``tiles``.
    """
    codes = np.arange(len(label)) if group is None else group
    forecasts = Forecasts.of(label, probability, positive)
    bins = equal_mass_bins(forecasts.probability)
    parts = [np.flatnonzero(bins == number) for number in np.unique(bins)]
    limits = [proportion_interval(forecasts.outcome[part], codes[part]) for part in parts]
    interval = _calibration_error_interval(forecasts, codes) if codes.any() else None
    return {
        "expected_calibration_error": calibration_error(label, probability, positive=positive),
        "interval": interval and interval._asdict(),
        "mean_probability": [float(forecasts.probability[part].mean()) for part in parts],
        "observed_frequency": [float(forecasts.outcome[part].mean()) for part in parts],
        "low": [limit.low for limit in limits],
        "high": [limit.high for limit in limits],
        "tiles": [len(part) for part in parts],
    }


def _logits(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.clip(probability.astype(np.float64), _LEAST_PROBABILITY, None)))
