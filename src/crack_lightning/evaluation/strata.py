"""Where the errors are: recall by the width of a crack, false alarms by what else is on the wall."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

WIDTH_EDGES_PX = (1.5, 3.0, 6.0)


def recall_by_width(
    width_px: NDArray[np.floating], found: NDArray[np.bool_], *, edges_px: Sequence[float] = WIDTH_EDGES_PX
) -> list[dict[str, Any]]:
    """Count the cracked tiles that were found, by the width of their crack.

    Args:
        width_px: Crack width of each cracked tile, in original pixels, NaN where unknown, ``(M,)``.
        found: Whether the tile was called cracked, bool ``(M,)``.
        edges_px: Ascending inner borders of the classes of width; a border belongs to the class above it.

    Returns:
        A row a class of width, the narrowest first: ``from_px`` (inclusive), ``to_px`` (exclusive; ``None``
        is open), ``tiles``, ``found``, ``recall`` (``None`` without tiles). A last row with both borders
        ``None`` counts unknown widths where there are any.
    """
    borders = [0.0, *edges_px, np.inf]
    rows = [
        _width_row(low, None if high == np.inf else high, found[(width_px >= low) & (width_px < high)])
        for low, high in pairwise(borders)
    ]
    unknown = found[np.isnan(width_px)]
    return [*rows, _width_row(None, None, unknown)] if len(unknown) else rows


def false_alarms_by_distractor(
    distractors: NDArray[np.str_], called: NDArray[np.bool_]
) -> list[dict[str, Any]]:
    """Count the false alarms among tiles without a crack, by kind of distractor.

    Args:
        distractors: Kinds on each tile, joined by ``+``, empty for none, str ``(M,)``.
        called: Whether the tile was called cracked, bool ``(M,)``.

    Returns:
        A row a kind, in the order of names, ``none`` first: ``distractor``, ``tiles``, ``false_alarms``,
        ``rate``. A tile with two kinds counts in both rows.
    """
    rows: dict[str, list[bool]] = {}
    for kinds, alarm in zip(distractors.tolist(), called.tolist(), strict=True):
        for kind in sorted(set(kinds.split("+"))):
            rows.setdefault(kind, []).append(alarm)
    return [
        {
            "distractor": kind or "none",
            "tiles": len(alarms),
            "false_alarms": sum(alarms),
            "rate": sum(alarms) / len(alarms),
        }
        for kind, alarms in sorted(rows.items())
    ]


def quarters(values: NDArray[np.floating]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Part N tiles into four of equally many by a value, the lowest first; equal values stay together.

    Returns:
        The limits in words and the tiles, bool ``(N,)``, of each quarter that holds any.
    """
    borders = np.quantile(values, (0.25, 0.5, 0.75))
    quarter = np.searchsorted(borders, values, side="left")
    parts = [quarter == number for number in range(4)]
    return [(f"{values[part].min():.3g} to {values[part].max():.3g}", part) for part in parts if part.any()]


def _width_row(low: float | None, high: float | None, found: NDArray[np.bool_]) -> dict[str, Any]:
    tiles, hits = len(found), int(found.sum())
    recall = hits / tiles if tiles else None
    return {"from_px": low, "to_px": high, "tiles": tiles, "found": hits, "recall": recall}
