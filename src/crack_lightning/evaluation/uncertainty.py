"""Every figure of a test with its interval, and what calling all tiles alike would give."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.classification import binary_figures
from crack_lightning.evaluation.intervals import (
    BOOTSTRAP,
    Interval,
    bootstrap_intervals,
    cannot_be_excluded,
    effective_size,
    group_codes,
    proportion_interval,
)
from crack_lightning.evaluation.predictions import Predictions, predicted_labels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Weights = NDArray[np.float64]

WILSON = "Wilson on the effective sample size (Korn and Graubard 1998)"
CORNER = "from the limits of recall and specificity"


def uncertainty(
    predictions: Predictions,
    group: NDArray[np.str_],
    *,
    class_names: Sequence[str],
    positive_class: str | None,
    threshold: float = 0.5,
) -> dict[str, Any]:
    """Say how sure the figures of a test are.

    Args:
        predictions: Labels and probabilities of N tiles.
        group: The photo or set of twins of each tile, str ``(N,)``; empty where unknown.
        class_names: K names by class index.
        positive_class: The class whose misses and false alarms count; ``None`` when there is none.
        threshold: With two classes the positive one is called from this probability on.

    Returns:
        ``intervals`` (by metric: ``low``, ``high`` and ``method``), ``groups`` (how many there are),
        ``independent_tiles`` (what the tiles are worth for the accuracy), ``bounds`` (sentences on errors
        that were not seen, and on a test of a single group, which resampling cannot judge), and
        ``baselines`` (metrics of calling every tile by one class, by its name).
    """
    codes = group_codes(group)
    positive = None if positive_class is None else class_names.index(positive_class)
    label = predictions.label
    called = predicted_labels(predictions.probability, positive_index=positive, threshold=threshold)
    right = called == label
    pole = positive if len(class_names) == 2 else None
    found = _of_tiles(label, called, codes, class_names, positive)
    figures = partial(_weighted_figures, predictions=predictions, called=called, positive=pole)
    resampled = bootstrap_intervals(figures, codes)
    for name, interval in resampled.items():
        found[_full_name(name, positive_class)] = _named(interval, BOOTSTRAP)
    if pole is not None:
        _widen(found, label == pole, class_names[pole], all_right=bool(right.all()))
    bounds = _bounds(right, label, codes, class_names, pole)
    if not codes.any():
        found = {name: row for name, row in found.items() if row["low"] < row["high"]}
        bounds.append("All tiles are of one group: figures without an interval may be anything for others.")
    return {
        "intervals": found,
        "groups": int(codes.max()) + 1,
        "groups_known": bool((group != "").any()),
        "independent_tiles": round(effective_size(right, codes), 1),
        "bounds": bounds,
        "baselines": {} if pole is None else _baselines(label, class_names, pole),
    }


def _of_tiles(
    label: NDArray[np.int64],
    called: NDArray[np.int64],
    codes: NDArray[np.int64],
    class_names: Sequence[str],
    positive: int | None,
) -> dict[str, dict[str, Any]]:
    """Give the figures that are shares of tiles told rightly, those that there are tiles for."""
    tiles = {"accuracy": np.ones(len(label), np.bool_)}
    tiles |= {f"recall_{name}": label == k for k, name in enumerate(class_names)}
    if positive is not None:
        tiles[f"precision_{class_names[positive]}"] = called == positive
        if len(class_names) == 2:
            tiles["specificity"] = label != positive
    right = called == label
    return {
        name: _named(proportion_interval(right[of], codes[of]), WILSON)
        for name, of in tiles.items()
        if of.any()
    }


def _widen(
    found: dict[str, dict[str, Any]], cracked: NDArray[np.bool_], name: str, *, all_right: bool
) -> None:
    """Give those intervals a width that resampling gives none, as the calls or the ranking do not vary."""
    if f"recall_{name}" not in found or "specificity" not in found:
        return
    limits = [(found[key]["low"], found[key]["high"]) for key in (f"recall_{name}", "specificity")]
    share = float(cracked.mean())
    confusions = [
        [[(1 - share) * specificity, (1 - share) * (1 - specificity)], [share * (1 - recall), share * recall]]
        for recall, specificity in product(*limits)
    ]
    corners = binary_figures(np.array(confusions), 1)
    for key in ("balanced_accuracy", "f1", "mcc"):
        interval = found[full := _full_name(key, name)]
        if interval["low"] == interval["high"]:
            found[full] = _named(Interval(float(corners[key].min()), float(corners[key].max())), CORNER)
    if all_right:
        for key in ("auroc", "average_precision"):
            found[_full_name(key, name)] = _named(Interval(min(low for low, _ in limits), 1.0), CORNER)


def _named(interval: Interval, method: str) -> dict[str, Any]:
    return {"low": interval.low, "high": interval.high, "method": method}


def _full_name(name: str, positive_class: str | None) -> str:
    return f"{name}_{positive_class}" if name in ("f1", "auroc", "average_precision") else name


def _bounds(
    right: NDArray[np.bool_],
    label: NDArray[np.int64],
    codes: NDArray[np.int64],
    class_names: Sequence[str],
    positive: int | None,
) -> list[str]:
    """Say of each class without an error what share of errors cannot be excluded."""
    told = []
    for k, name in enumerate(class_names):
        of_class = label == k
        if not of_class.any() or not right[of_class].all():
            continue
        tiles, groups = int(of_class.sum()), len(np.unique(codes[of_class]))
        of_groups = (
            f" of {groups:,} group{'s' * (groups > 1)}" if groups < tiles else ""
        )  # else each tile stands for itself
        error = "error" if positive is None else "miss" if k == positive else "false alarm"
        bound = 100 * cannot_be_excluded(right[of_class], codes[of_class])
        told.append(
            f"No {error} among {tiles:,} {name} tiles{of_groups}; up to "
            f"{bound:.2g} % cannot be excluded (one-sided, 95 %)."
        )
    return told


def _baselines(
    label: NDArray[np.int64], class_names: Sequence[str], positive: int
) -> dict[str, dict[str, float]]:
    found = {}
    for k, name in enumerate(class_names):
        counts = np.array([[float(((label == a) & (b == k)).sum()) for b in range(2)] for a in range(2)])
        figures = binary_figures(counts[None], positive)
        found[name] = {
            "accuracy": float(np.trace(counts) / counts.sum()),
            **{key: float(value[0]) for key, value in figures.items()},
        }
    return found


def _weighted_figures(
    weights: Weights, *, predictions: Predictions, called: NDArray[np.int64], positive: int | None
) -> dict[str, Weights]:
    """Compute figures of N weighted tiles, for R sets of weights ``(R, N)`` at once."""
    label, probability = predictions.label, predictions.probability.astype(np.float64)
    number = probability.shape[1]
    cells = np.eye(number * number)[label * number + called]
    confusion = (weights @ cells).reshape(-1, number, number)
    total = weights.sum(axis=1)
    truth = probability[np.arange(len(label)), label]
    floor = float(np.finfo(predictions.probability.dtype).eps)
    squared = np.square(probability - np.eye(number)[label]).sum(axis=1) / (2 if number == 2 else 1)
    found = {
        "log_loss": weights @ -np.log(np.clip(truth, floor, 1 - floor)) / total,
        "brier_score": weights @ squared / total,
    }
    if positive is None:
        support = confusion.sum(axis=2)
        with np.errstate(invalid="ignore"):
            recalls = np.diagonal(confusion, axis1=1, axis2=2) / support
        return found | {"balanced_accuracy": np.nanmean(recalls, axis=1)}
    kept = {key: binary_figures(confusion, positive)[key] for key in ("balanced_accuracy", "f1", "mcc")}
    return found | kept | _of_ranking(weights, probability[:, positive], label == positive)


def _of_ranking(
    weights: Weights, score: NDArray[np.float64], positive: NDArray[np.bool_]
) -> dict[str, Weights]:
    """Compute the area under the ROC curve and the average precision; NaN where a class has no weight."""
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    # whole numbers below 2**24: sums in 32 bits are exact, and twice as fast
    ranked = weights.astype(np.float32)[:, order]
    called = np.cumsum(ranked, axis=1)[:, ends]
    hits = np.cumsum(ranked * positive[order], axis=1)[:, ends]
    found, last = np.diff(hits, axis=1, prepend=np.float32(0)), hits[:, -1]
    alarms = np.diff(called, axis=1, prepend=np.float32(0)) - found
    with np.errstate(invalid="ignore", divide="ignore"):
        area = (alarms * (hits - found / 2)).sum(axis=1, dtype=np.float64)
        precision = np.divide(hits, called, out=np.zeros_like(hits), where=called > 0)
        return {
            "auroc": area / (last * (called[:, -1] - last)),
            "average_precision": (found * precision).sum(axis=1, dtype=np.float64) / last,
        }
