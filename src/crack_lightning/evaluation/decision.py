"""From validation tiles to the model's last two numbers: its temperature and its threshold."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import stats
from scipy.optimize import minimize_scalar

from crack_lightning.evaluation.classification import binary_figures, confusion_matrix
from crack_lightning.evaluation.intervals import CONFIDENCE, effective_size
from crack_lightning.evaluation.predictions import Predictions, predicted_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_ERRORS = 20
"""Validation errors below which a temperature is not identified."""

NUM_BINS = 15
_TEMPERATURES = (0.05, 20.0)
_PROMISES = 400


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What turns a model's logits into probabilities and calls.

    Attributes:
        temperature: What logits are divided by.
        threshold: The least probability of the positive class that is called so.
        told: Sentences on how they were found.
        facts: ``rule``, ``validation_errors``, ``temperature_identified``, and, with a threshold of two
            classes, ``validation`` (figures of the validation tiles at it).
    """

    temperature: float = 1.0
    threshold: float = 0.5
    told: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def decide(
    validation: Predictions, group: NDArray[np.int64], *, positive: int | None, rule: str, calibrate: bool
) -> Decision:
    """Choose temperature and threshold on validation tiles.

    Args:
        validation: Labels and uncalibrated probabilities of N validation tiles.
        group: Group numbers from 0, int64 ``(N,)``.
        positive: Index of the positive class of two; ``None`` where there is none.
        rule: A number, ``f1``, ``recall:r`` or ``cost:c``; see :func:`choose_threshold`.
        calibrate: Whether to look for a temperature.
    """
    called = validation.probability.argmax(axis=1)
    errors = int((called != validation.label).sum())
    identified = calibrate and errors >= LEAST_ERRORS
    temperature = fit_temperature(validation) if identified else 1.0
    told = []
    if identified:
        told.append(
            f"Logits are divided by {temperature:.3g}, found on {len(validation):,} validation tiles."
        )
    elif calibrate:
        told.append(
            f"With {errors} errors among {len(validation):,} validation tiles a temperature is not "
            f"identified ({LEAST_ERRORS} are needed); 1 is used."
        )
    facts: dict[str, Any] = {
        "rule": rule,
        "validation_errors": errors,
        "temperature_identified": identified,
    }
    if positive is None:
        return Decision(temperature=temperature, told=told, facts=facts)
    probability = tempered(validation.probability, temperature)
    threshold, why = choose_threshold(
        probability[:, positive], validation.label == positive, group, rule=rule
    )
    predicted = predicted_labels(probability, positive_index=positive, threshold=threshold)
    confusion = confusion_matrix(validation.label, predicted, num_classes=2)
    facts["validation"] = {
        "misses": int(confusion[positive, 1 - positive]),
        "false_alarms": int(confusion[1 - positive, positive]),
        **{
            key: float(value[0])
            for key, value in binary_figures(confusion[None].astype(float), positive).items()
        },
    }
    return Decision(temperature=temperature, threshold=threshold, told=[*told, *why], facts=facts)


def fit_temperature(validation: Predictions) -> float:
    """Return the temperature with the least log loss, in ``[0.05, 20]``.

    References:
        Guo et al., "On Calibration of Modern Neural Networks", ICML 2017, section 4.2.
    """
    rows = np.arange(len(validation))
    logits = np.log(np.clip(validation.probability.astype(np.float64), 1e-12, None))

    def loss(log_temperature: float) -> float:
        scaled = logits / np.exp(log_temperature)
        peak = scaled.max(axis=1)
        total = peak + np.log(np.exp(scaled - peak[:, None]).sum(axis=1))
        return float((total - scaled[rows, validation.label]).mean())

    found = minimize_scalar(loss, bounds=np.log(_TEMPERATURES), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))


def tempered(probability: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Return probabilities ``(N, K)`` as dividing their logits by a temperature makes them."""
    logits = np.log(np.clip(probability.astype(np.float64), 1e-12, None)) / temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True), np.float64)


def choose_threshold(
    score: NDArray[np.floating], positive: NDArray[np.bool_], group: NDArray[np.int64], *, rule: str
) -> tuple[float, list[str]]:
    """Choose the probability from which a tile is called positive.

    ``f1`` makes F1 largest; ``cost:10`` makes the cost least where a miss costs ten false alarms; with
    ``recall:0.99`` it is the highest threshold whose one-sided 95 % lower bound on recall (exact, on the
    effective number of positive tiles) reaches 0.99, or else the highest bound that can be promised.

    Args:
        score: Probabilities of the positive class, ``(N,)``.
        positive: The truth, bool ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``.
        rule: A number in ``[0, 1]``, ``f1``, ``recall:r`` or ``cost:c``.

    Returns:
        The threshold, and sentences that say why.
    """
    kind, _, value = rule.partition(":")
    if kind not in ("f1", "recall", "cost"):
        return float(kind), []
    if kind == "recall":
        return _promised(score, positive, group, wanted=float(value))
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    found = np.cumsum(positive[order])[ends]
    alarms = ends + 1 - found
    misses = positive.sum() - found
    worth = 2 * found / (2 * found + alarms + misses) if kind == "f1" else -(float(value) * misses + alarms)
    best = int(np.argmax(worth))
    threshold = _between(score[order], int(ends[best]))
    what = "F1 is largest" if kind == "f1" else f"the cost is least, a miss costing {value} false alarms"
    return threshold, [f"From a probability of {threshold:.4g} on {what} on validation tiles."]


def _promised(
    score: NDArray[np.floating], positive: NDArray[np.bool_], group: NDArray[np.int64], *, wanted: float
) -> tuple[float, list[str]]:
    own, codes = score[positive], group[positive]
    candidates = np.unique(own)[::-1]
    if len(candidates) > _PROMISES:
        candidates = candidates[np.unique(np.linspace(0, len(candidates) - 1, _PROMISES).astype(int))]
    best = (0.0, float(candidates[-1]))
    for threshold in candidates:
        bound = lower_bound(own >= threshold, codes)
        if bound >= wanted:
            told = f"From a probability of {threshold:.4g} on at least {wanted:.2%} of the cracks are found"
            return float(threshold), [f"{told} (one-sided 95 % bound on {len(own):,} validation tiles)."]
        best = max(best, (bound, float(threshold)))
    return best[1], [
        (
            f"A recall of {wanted:.2%} cannot be promised on {len(own):,} positive validation tiles; "
            f"the most that can is {best[0]:.2%}, from a probability of {best[1]:.4g} on."
        )
    ]


def lower_bound(hit: NDArray[np.bool_], group: NDArray[np.int64]) -> float:
    """Return the one-sided 95 % lower bound of a proportion, exact on its effective sample size.

    References:
        Clopper and Pearson, Biometrika 1934; Korn and Graubard, Survey Methodology 1998.
    """
    size = effective_size(hit, group)
    hits = float(hit.mean()) * size
    return float(stats.beta.ppf(1 - CONFIDENCE, hits, size - hits + 1)) if hits > 0 else 0.0


def _between(ordered: NDArray[np.floating], end: int) -> float:
    """Return a threshold between the last score that is called and the next."""
    following = ordered[end + 1] if end + 1 < len(ordered) else 0.0
    return float((ordered[end] + following) / 2)


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
