"""Temperature and threshold of a model, chosen on validation tiles."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.calibration import calibration_error, cross_fitted, fit_temperature
from crack_lightning.evaluation.classification import binary_metrics, confusion_matrix
from crack_lightning.evaluation.intervals.groups import group_codes, lower_bound
from crack_lightning.evaluation.metrics.curves import roc_curve, simplify_curve
from crack_lightning.evaluation.predictions import Predictions, predicted_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEAST_ERRORS = 20
"""Validation errors that fitting a temperature requires."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """A temperature and a threshold, and how they were chosen.

    Attributes:
        temperature: Divisor of the logits.
        threshold: Lowest probability at which the positive class is predicted.
        notes: Sentences on how the threshold was chosen.
        facts: ``rule``, ``validation_errors``, ``temperature_identified``, ``temperature_notes`` (sentences);
            with an identified temperature ``cross_fitting`` (temperatures of the folds, and the cross-fitted
            calibration error of the validation tiles before and after scaling); with a positive class of two
            ``validation`` (metrics of the validation tiles at the threshold) and ``curve`` (false negative
            and false positive rates by threshold).
    """

    temperature: float = 1.0
    threshold: float = 0.5
    notes: list[str] = field(default_factory=list)
    facts: dict[str, Any] = field(default_factory=dict)


def decide(
    validation: Predictions, group: NDArray[np.str_], *, positive: int | None, rule: str, calibrate: bool
) -> Decision:
    """Choose temperature and threshold on validation tiles.

    The threshold is chosen on cross-fitted probabilities (:func:`calibration.cross_fitted`), because
    probabilities scaled by a temperature that was fitted to the same tiles are slightly optimistic.

    Args:
        validation: Labels and uncalibrated probabilities of N validation tiles.
        group: The photo or set of near-duplicates of each tile, str ``(N,)``; a tile with an
            empty name counts as independent.
        positive: Index of the positive class of two; ``None`` where there is none.
        rule: A number, ``f1``, ``recall:r`` or ``cost:c``; see :func:`choose_threshold`.
        calibrate: Whether to fit a temperature.
    """
    codes, over = group_codes(group), "groups" if (group != "").any() else "tiles, as groups are unknown"
    scaling, probability = _tempered(validation, codes, positive, calibrate=calibrate, over=over)
    facts = {"rule": rule} | scaling.facts
    if positive is None:
        return replace(scaling, facts=facts)
    score = probability[:, positive]
    threshold, why = choose_threshold(score, validation.label == positive, codes, rule=rule, over=over)
    facts |= _consequences(validation.label, probability, positive, threshold)
    return replace(scaling, threshold=threshold, notes=why, facts=facts)


def _tempered(
    validation: Predictions, codes: NDArray[np.int64], positive: int | None, *, calibrate: bool, over: str
) -> tuple[Decision, NDArray[np.float64]]:
    """Return a decision with the temperature, and cross-fitted probabilities ``(N, K)``."""
    label, raw = validation.label, validation.probability
    errors = int((raw.argmax(axis=1) != label).sum())
    identified = calibrate and errors >= LEAST_ERRORS
    facts: dict[str, Any] = {"validation_errors": errors, "temperature_identified": identified}
    if not identified:
        number = f"{errors} error{'s' * (errors != 1)} among {len(validation):,} validation tiles"
        note = f"No temperature scaling: {LEAST_ERRORS} errors are needed to fit a temperature, got {number}."
        facts["temperature_notes"] = [note] if calibrate else []
        return Decision(facts=facts), raw.astype(np.float64)
    temperature = fit_temperature(label, raw)
    probability, of_folds = cross_fitted(validation, codes)
    facts["cross_fitting"] = {
        "over": over,
        "temperatures": of_folds,
        "calibration_error_before": calibration_error(label, raw, positive=positive),
        "calibration_error_after": calibration_error(label, probability, positive=positive),
    }
    folds = f"{min(of_folds):.3g} to {max(of_folds):.3g} in {len(of_folds)} folds over {over}"
    facts["temperature_notes"] = [
        f"Temperature {temperature:.3g}, fitted on {len(validation):,} validation tiles ({folds})."
    ]
    return Decision(temperature=temperature, facts=facts), probability


def _consequences(
    label: NDArray[np.int64], probability: NDArray[np.floating], positive: int, threshold: float
) -> dict[str, Any]:
    """Return the metrics of the validation tiles at a threshold, and the DET curve over all thresholds."""
    predicted = predicted_labels(probability, positive_index=positive, threshold=threshold)
    confusion = confusion_matrix(label, predicted, num_classes=2)
    found: dict[str, Any] = {
        "validation": {
            "false_negatives": int(confusion[positive, 1 - positive]),
            "false_positives": int(confusion[1 - positive, positive]),
            **binary_metrics(confusion, positive),
        }
    }
    if curve := roc_curve(probability[:, positive], label == positive):
        thin = simplify_curve(curve)
        found["curve"] = {
            "false_negative_rate": (1 - thin["true_positive_rate"]).tolist(),
            "false_positive_rate": thin["false_positive_rate"].tolist(),
            "threshold": [1.0, *thin["threshold"][1:].tolist()],
        }
    return found


def choose_threshold(
    score: NDArray[np.floating],
    positive: NDArray[np.bool_],
    group: NDArray[np.int64],
    *,
    rule: str,
    over: str = "groups",
) -> tuple[float, list[str]]:
    """Choose the probability from which a tile is predicted as positive.

    ``f1`` maximises F1. ``cost:10`` minimises the cost if a miss costs as much as ten false alarms.
    ``recall:0.99`` gives the highest threshold at which the one-sided 95 % lower bound on recall (exact, on
    the effective number of positive tiles) is at least 0.99. Thresholds are tested in ascending order up to
    the first that fails: tests in a fixed sequence need no correction for multiple testing. If the lowest
    threshold fails already, it is returned, and the sentences give the highest possible bound.

    Args:
        score: Probabilities of the positive class, ``(N,)``.
        positive: The truth, bool ``(N,)``, with at least one positive.
        group: Group numbers from 0, int64 ``(N,)``.
        rule: A number in ``[0, 1]``, ``f1``, ``recall:r`` or ``cost:c``.
        over: Name of the sampling units in the sentences.

    Returns:
        The threshold, and sentences on how it was chosen.

    References:
        On tests in a fixed sequence: Angelopoulos et al., "Learn then Test", 2021.
    """
    kind, _, value = rule.partition(":")
    if kind not in ("f1", "recall", "cost"):
        return float(kind), []
    if kind == "recall":
        return _with_recall_bound(score, positive, group, target=float(value), over=over)
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    hits = np.cumsum(positive[order])[ends]
    alarms = ends + 1 - hits
    misses = positive.sum() - hits
    worth = 2 * hits / (2 * hits + alarms + misses) if kind == "f1" else -(float(value) * misses + alarms)
    threshold = _just_below(score, float(score[order][ends[int(np.argmax(worth))]]))
    what = "the highest F1" if kind == "f1" else f"the lowest cost, a miss costing {value} false alarms,"
    return threshold, [f"A threshold of {threshold:.4g} gives {what} on validation tiles."]


def _with_recall_bound(
    score: NDArray[np.floating],
    positive: NDArray[np.bool_],
    group: NDArray[np.int64],
    *,
    target: float,
    over: str,
) -> tuple[float, list[str]]:
    own, codes = score[positive], group[positive]
    lowest, *others = np.unique(own)
    most, best = lower_bound(np.ones(len(own), np.bool_), codes), float(lowest)
    tiles = f"{len(own):,} positive validation tiles, over {over}"
    if most < target:
        threshold = _just_below(score, best)
        return threshold, [
            (
                f"A recall of {_percent(target)} cannot be guaranteed with {tiles}; the highest possible "
                f"bound is {_percent(most)}, at a threshold of {threshold:.4g}."
            )
        ]
    for candidate in others:
        if lower_bound(own >= candidate, codes) < target:
            break
        best = float(candidate)
    threshold = _just_below(score, best)
    return threshold, [
        (
            f"At a threshold of {threshold:.4g} recall is at least {_percent(target)} (one-sided 95 % "
            f"confidence bound on {tiles})."
        )
    ]


def _just_below(score: NDArray[np.floating], lowest_called: float) -> float:
    """Return the middle of the lowest score that is predicted as positive and the next lower score."""
    below = score[score < lowest_called]
    return (lowest_called + float(below.max(initial=0.0))) / 2


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"
