"""Proper scoring rules, by tile and averaged: log loss and Brier score."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PROBABILITY_FLOOR = float(np.finfo(np.float32).eps)
"""Every log loss clips probabilities to ``[floor, 1 - floor]``: a certain error costs 15.94 nats."""


def log_losses(label: NDArray[np.int64], probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the negative log probability of each tile's true class, in nats, float64 ``(N,)``.

    The probability is clipped to ``[PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR]``, whatever its type is;
    scikit-learn clips float32 probabilities to the same.

    Args:
        label: True classes, int64 ``(N,)``.
        probability: Class probabilities, float ``(N, K)``.
    """
    truth = probability[np.arange(len(label)), label].astype(np.float64)
    return np.asarray(-np.log(np.clip(truth, PROBABILITY_FLOOR, 1 - PROBABILITY_FLOOR)))


def log_loss(label: NDArray[np.int64], probability: NDArray[np.floating]) -> float:
    """Return the mean of :func:`log_losses`."""
    return float(log_losses(label, probability).mean())


def squared_errors(label: NDArray[np.int64], probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the squared error of each tile's probabilities, float64 ``(N,)``.

    Args:
        label: True classes, int64 ``(N,)``.
        probability: Class probabilities, float ``(N, K)``.

    Returns:
        The error of one class of two, in ``[0, 1]``; with more classes their sum, in ``[0, 2]``.
    """
    classes = probability.shape[1]
    squared = np.square(probability.astype(np.float64) - np.eye(classes)[label]).sum(axis=1)
    return np.asarray(squared / 2 if classes == 2 else squared, np.float64)


def brier_score(label: NDArray[np.int64], probability: NDArray[np.floating]) -> float:
    """Return the mean of :func:`squared_errors`.

    References:
        Brier, "Verification of forecasts expressed in terms of probability", Monthly Weather Review 1950.
    """
    return float(squared_errors(label, probability).mean())
