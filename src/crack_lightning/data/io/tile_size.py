"""Median side of the training tiles in pixels of their files."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.io.decoding import picture_header

if TYPE_CHECKING:
    from crack_lightning.data.table import TileTable

MOST_READ = 1000
"""Largest number of files whose header is read, evenly spaced in the table."""


def median_side_px(table: TileTable, split: str = "train") -> float | None:
    """Return the median side of the tiles of a split, in pixels of their files.

    The side of a tile that is not square is the geometric mean of its two sides.

    Args:
        table: Tiles with their splits.
        split: Name of the split.

    Returns:
        Pixels; ``None`` where no header can be read.
    """
    rows = table.rows(split)
    read = rows[np.linspace(0, len(rows) - 1, min(MOST_READ, len(rows))).round().astype(np.int64)]
    sides = []
    for row in read.tolist():
        with suppress(OSError, ValueError):  # the file has gone since it was checked
            width, height, _ = picture_header(table.root / str(table.path[row]))
            sides.append((width * height) ** 0.5)
    return float(np.median(sides)) if sides else None
