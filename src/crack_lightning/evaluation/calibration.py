"""How far probabilities are to be trusted, and the one number that makes them honest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.optimize import brentq

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.evaluation.predictions import Predictions

NUM_BINS = 15
NUM_FOLDS = 5
_TEMPERATURES = (0.05, 20.0)


def fit_temperature(label: NDArray[np.int64], probability: NDArray[np.floating]) -> float:
    """Return what logits are to be divided by for the least log loss, in ``[0.05, 20]``.

    The loss is convex in the inverse of the temperature, so that its slope has one root at the most.

    Args:
        label: True classes, int64 ``(N,)``.
        probability: Class probabilities, float ``(N, K)``.

    References:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    logits = _logits(probability)
    true = logits[np.arange(len(label)), label].mean()

    def slope(inverse: float) -> float:
        return float((_softmax(logits * inverse) * logits).sum(axis=1).mean() - true)

    coldest, hottest = _TEMPERATURES
    if slope(1 / coldest) <= 0:
        return coldest
    return hottest if slope(1 / hottest) >= 0 else 1 / float(brentq(slope, 1 / hottest, 1 / coldest))


def tempered(probability: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Return probabilities ``(N, K)`` as dividing their logits by a temperature makes them."""
    return _softmax(_logits(probability) / temperature)


def cross_fitted(
    validation: Predictions, group: NDArray[np.int64]
) -> tuple[NDArray[np.float64], list[float]]:
    """Calibrate each tile by a temperature that its own group had no part in.

    Groups are dealt at random to five folds, or to as many as there are groups; one group alone is calibrated
    by itself. What is chosen on these probabilities, such as a threshold, is not chosen on tiles that were
    fitted already.

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
    found, temperatures = np.empty(validation.probability.shape), []
    for number in range(folds):
        own = fold == number
        temperatures.append(fit_temperature(validation.label[~own], validation.probability[~own]))
        found[own] = tempered(validation.probability[own], temperatures[-1])
    return found, temperatures


def reliability(label: NDArray[np.int64], probability: NDArray[np.floating]) -> dict[str, Any]:
    """Compare how sure the calls are with how often they are right, in bins of equally many tiles.

    Args:
        label: True classes, int64 ``(N,)``.
        probability: Class probabilities, float ``(N, K)``.

    Returns:
        ``expected_calibration_error`` (Naeini, Cooper and Hauskrecht, AAAI 2015, with 15 equal-mass bins),
        and by bin ``confidence``, ``accuracy`` and ``tiles``.
    """
    sure, right = probability.max(axis=1).astype(np.float64), probability.argmax(axis=1) == label
    order = np.argsort(sure, kind="stable")
    bins = [part for part in np.array_split(order, NUM_BINS) if len(part)]
    confidence = [float(sure[part].mean()) for part in bins]
    accuracy = [float(right[part].mean()) for part in bins]
    tiles = [len(part) for part in bins]
    gaps = np.abs(np.subtract(confidence, accuracy))
    return {
        "expected_calibration_error": float(np.average(gaps, weights=tiles)),
        "confidence": confidence,
        "accuracy": accuracy,
        "tiles": tiles,
    }


def _logits(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.asarray(np.log(np.clip(probability.astype(np.float64), 1e-12, None)))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float64)
