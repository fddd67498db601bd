"""Errors by group, source, brightness, sharpness, crack width and distractor, with example tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.scan.prepare import STATISTICS
from crack_lightning.evaluation.intervals.groups import group_codes
from crack_lightning.evaluation.slices import distractor_kinds, quarters, share_interval, width_classes

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions

    Part = tuple[str, NDArray[np.bool_]]

_GROUPS, _EXAMPLES = 8, 6


def named_tiles(
    predictions: Predictions, table: TileTable, predicted: NDArray[np.int64], rows: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """Return ``path``, ``group``, ``label``, ``predicted`` and ``probability`` of test tiles by row."""
    return [
        {
            "path": str(table.path[predictions.index[row]]),
            "group": str(table.group[predictions.index[row]]),
            "label": table.class_names[predictions.label[row]],
            "predicted": table.class_names[predicted[row]],
            "probability": float(predictions.probability[row, predicted[row]]),
        }
        for row in rows
    ]


def error_slices(
    predictions: Predictions, table: TileTable, predicted: NDArray[np.int64]
) -> dict[str, list[dict[str, Any]] | None]:
    """Count errors by the known attributes of the tested tiles.

    Args:
        predictions: Predictions of N test tiles.
        table: All tiles.
        predicted: Predicted classes, int64 ``(N,)``.

    Returns:
        ``group`` (those with most errors), ``source``, ``brightness`` and ``sharpness`` (split at quartiles),
        ``crack_width`` (cracked tiles only) and ``distractor`` (tiles without a crack only). Each is ``None``
        if the attribute is unknown or has a single value, else a list of slices: ``name``, ``tiles``,
        ``errors``, ``share``, its ``interval`` (``None`` for groups: a group is a single sample, selected for
        its errors) and ``examples`` (the most confident errors, see :func:`named_tiles`).
    """
    wrong = predicted != predictions.label
    tested = table.select(predictions.index)
    parts: dict[str, list[Part]] = {
        "group": _groups(tested.group, wrong),
        "source": [(name, tested.source == name) for name in np.unique(tested.source).tolist()],
    }
    for name in STATISTICS:
        parts[name] = _quarters(tested.extra.get(name, np.full(len(tested), np.nan)).astype(np.float64))
    cracked = predictions.label == (-1 if table.positive_index is None else table.positive_index)
    parts["crack_width"] = _widths(tested, cracked)
    parts["distractor"] = _distractors(tested, ~cracked) if cracked.any() else []

    codes = group_codes(tested.group)

    def row(key: str, name: str, part: NDArray[np.bool_]) -> dict[str, Any]:
        errors = np.flatnonzero(part & wrong)
        confidence = predictions.probability[errors, predicted[errors]]
        shown = errors[np.argsort(-confidence, kind="stable")[:_EXAMPLES]]
        tiles = int(part.sum())
        return {
            "name": name,
            "tiles": tiles,
            "errors": len(errors),
            "share": len(errors) / tiles,
            **({"interval": None} if key == "group" else share_interval(wrong, part, codes)),
            "examples": named_tiles(predictions, table, predicted, shown),
        }

    least = {key: 1 if key == "group" else 2 for key in parts}
    return {
        key: [row(key, name, part) for name, part in named_parts] if len(named_parts) >= least[key] else None
        for key, named_parts in parts.items()
    }


def _groups(group: NDArray[np.str_], wrong: NDArray[np.bool_]) -> list[Part]:
    names, errors = np.unique(group[wrong & (group != "")], return_counts=True)
    worst = names[np.argsort(-errors, kind="stable")[:_GROUPS]]
    return [(str(name), group == name) for name in worst]


def _quarters(values: NDArray[np.float64]) -> list[Part]:
    """Split tiles at the quartiles of a value; tiles with an unknown value are a part of their own."""
    known = np.isfinite(values)
    if not known.any():
        return []
    parts = []
    for name, among_known in quarters(values[known]):
        part = np.zeros(len(values), np.bool_)
        part[known] = among_known
        parts.append((name, part))
    return parts if known.all() else [*parts, ("not measured", ~known)]


def _widths(tested: TileTable, cracked: NDArray[np.bool_]) -> list[Part]:
    if "crack_width_px" not in tested.extra:
        return []
    width = np.where(cracked, tested.extra["crack_width_px"].astype(np.float64), np.nan)
    return [
        (f"{low:g} px and more" if high is None else f"{low:g} to {high:g} px", part)
        for low, high, part in width_classes(width)
        if part.any()
    ]


def _distractors(tested: TileTable, others: NDArray[np.bool_]) -> list[Part]:
    if "distractors" not in tested.extra:
        return []
    kinds = distractor_kinds(tested.extra["distractors"].astype(np.str_))
    return [(name, part & others) for name, part in kinds if (part & others).any()]
