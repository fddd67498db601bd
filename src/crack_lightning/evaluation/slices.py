"""Slices of the test tiles: recall by crack width, false alarms by distractor, quartiles of a value."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.intervals.groups import proportion_interval

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WIDTH_EDGES_PX = (1.5, 3.0, 6.0)


def recall_by_width(
    width_px: NDArray[np.floating],
    detected: NDArray[np.bool_],
    group: NDArray[np.int64] | None = None,
    *,
    edges_px: Sequence[float] = WIDTH_EDGES_PX,
) -> list[dict[str, Any]]:
    """Return the recall of cracked tiles by crack width.

    Args:
        width_px: Crack width of each cracked tile, in original pixels, NaN where unknown, ``(M,)``.
        detected: Whether the tile was predicted as cracked, bool ``(M,)``.
        group: Group numbers from 0, int64 ``(M,)``, for intervals.
        edges_px: Ascending borders between the width classes; a width equal to a border is in the upper one.

    Returns:
        One row per width class, the narrowest first: ``from_px`` (inclusive), ``to_px`` (exclusive; ``None``
        for no limit), ``tiles``, ``detected``, ``recall`` (``None`` without tiles), and with groups its
        ``interval``. If some widths are unknown, the last row counts these tiles, with both borders ``None``.
    """
    parts: list[tuple[float | None, float | None, NDArray[np.bool_]]] = [*width_classes(width_px, edges_px)]
    if (unknown := np.isnan(width_px)).any():
        parts.append((None, None, unknown))
    return [
        {
            "from_px": low,
            "to_px": high,
            "tiles": int(part.sum()),
            "detected": int(detected[part].sum()),
            "recall": float(detected[part].mean()) if part.any() else None,
            **share_interval(detected, part, group),
        }
        for low, high, part in parts
    ]


def width_classes(
    width_px: NDArray[np.floating], edges_px: Sequence[float] = WIDTH_EDGES_PX
) -> list[tuple[float, float | None, NDArray[np.bool_]]]:
    """Return both borders, in pixels, and the cracks, bool ``(M,)``, of each width class, ascending."""
    return [
        (low, None if high == np.inf else high, (width_px >= low) & (width_px < high))
        for low, high in pairwise([0.0, *edges_px, np.inf])
    ]


def share_interval(
    hit: NDArray[np.bool_], part: NDArray[np.bool_], group: NDArray[np.int64] | None
) -> dict[str, dict[str, float] | None]:
    """Return the ``interval`` of a proportion in a slice; an empty mapping without groups.

    Args:
        hit: Outcomes, bool ``(N,)``.
        part: Whether each tile is in the slice, bool ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``.
    """
    if group is None:
        return {}
    return {"interval": proportion_interval(hit[part], group[part])._asdict() if part.any() else None}


def false_alarms_by_distractor(
    distractors: NDArray[np.str_], called: NDArray[np.bool_], group: NDArray[np.int64] | None = None
) -> list[dict[str, Any]]:
    """Return the false alarms on tiles without a crack, by distractor.

    Args:
        distractors: Kinds of distractor on each tile, joined by ``+``; empty for none, str ``(M,)``.
        called: Whether the tile was predicted as cracked, bool ``(M,)``.
        group: Group numbers from 0, int64 ``(M,)``, for intervals.

    Returns:
        One row per kind, ``none`` first, then by name: ``distractor``, ``tiles``, ``false_positives``,
        ``rate``, and with groups its ``interval``. A tile with two kinds counts in both rows.
    """
    return [
        {
            "distractor": name,
            "tiles": int(part.sum()),
            "false_positives": int(called[part].sum()),
            "rate": float(called[part].mean()),
            **share_interval(called, part, group),
        }
        for name, part in distractor_kinds(distractors)
    ]


def distractor_kinds(distractors: NDArray[np.str_]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Return the name and the tiles, bool ``(M,)``, of each kind of distractor, ``none`` first."""
    values, place = np.unique(distractors, return_inverse=True)
    on_each = [set(kinds.split("+")) for kinds in values.tolist()]
    return [
        (kind or "none", np.array([kind in kinds for kinds in on_each])[place])
        for kind in sorted(set().union(*on_each))
    ]


def quarters(values: NDArray[np.floating]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Split N tiles at the quartiles of a value; tiles of equal values are in one part.

    Returns:
        The range of values as text and the tiles, bool ``(N,)``, of each part that has tiles, ascending.
    """
    borders = np.quantile(values, (0.25, 0.5, 0.75))
    quarter = np.searchsorted(borders, values, side="left")
    parts = [quarter == number for number in range(4)]
    return [(f"{values[part].min():.3g} to {values[part].max():.3g}", part) for part in parts if part.any()]
