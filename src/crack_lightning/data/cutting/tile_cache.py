"""The table of tiles that a source cuts from photos and stores in the cache."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

import numpy as np

from crack_lightning.data.discovery.class_names import CRACK, INTACT
from crack_lightning.data.table import TileTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_TABLE = "tiles.csv"


class CutTile(TypedDict):
    """A written tile: paths relative to the cache entry, ``crack_width_px`` NaN where unknown.

    ``crack_lines`` is for rendered tiles.
    """

    path: str
    cracked: bool
    group: str
    sha256: str
    crack_width_px: float
    crack_lines: NotRequired[int]
    distractors: str
    mask: str


def write_table(root: Path, rows: Sequence[CutTile], *, source: str) -> None:
    """Write the table of N tiles into their folder, classes ``intact`` and ``crack``.

    Args:
        root: The folder that the paths are relative to.
        rows: The tiles.
        source: Name of the source.
    """

    def column(name: str) -> NDArray[Any]:
        return np.array([row[name] for row in rows])  # type: ignore[literal-required]

    table = TileTable(
        root=root,
        class_names=(INTACT, CRACK),
        positive_class=CRACK,
        path=column("path"),
        label=column("cracked").astype(np.int64),
        group=column("group"),
        source=np.full(len(rows), source),
        split=np.full(len(rows), ""),
        sha256=column("sha256"),
        extra={
            name: column(name)
            for name in ("crack_width_px", "crack_lines", "distractors", "mask")
            if name in rows[0]
        },
    )
    table.write_csv(root / _TABLE)


def read_table(root: Path) -> TileTable:
    """Read the table that ``write_table`` wrote."""
    return TileTable.read_csv(root / _TABLE, class_names=(INTACT, CRACK), positive_class=CRACK)
