"""Assignment of tiles to shards: splits apart, photos whole."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crack_lightning.data.shards.index import encoded
from crack_lightning.data.table import SPLITS

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

UNSPLIT = "unsplit"
"""Folder of the tiles without a split."""


class PlannedShard(NamedTuple):
    """A shard to write.

    Attributes:
        path: Of the tar, relative to the folder of all shards.
        rows: Rows of its tiles, ascending, int64 ``(N,)``.
    """

    path: str
    rows: NDArray[np.int64]


def plan_shards(table: TileTable, *, tiles_per_shard: int) -> list[PlannedShard]:
    """Assign every tile to a shard, in order of the rows.

    A photo's tiles are in one shard; a shard is closed before a photo that would not fit, and holds more than
    ``tiles_per_shard`` only where a photo alone has more.

    Args:
        table: Tiles with their groups and splits.
        tiles_per_shard: Tiles in a shard, at least 1.
    """
    shards = []
    for split in (*SPLITS, ""):
        rows = table.rows(split)
        if not len(rows):
            continue
        photo = _photos(table.group[rows])
        number = _shard_numbers(np.bincount(photo), tiles_per_shard)[photo]
        ends = np.cumsum(np.bincount(number))
        parts = np.split(rows[np.argsort(number, kind="stable")], ends[:-1])
        shards += [
            PlannedShard(f"{split or UNSPLIT}/{shard:05d}.tar", part) for shard, part in enumerate(parts)
        ]
    return shards


def _photos(group: NDArray[np.str_]) -> NDArray[np.int64]:
    """Number photos by their first tile; a tile without a group is alone; int64 ``(N,)``."""
    names, inverse = np.unique(group, return_inverse=True)
    alone = group == ""
    inverse = np.where(alone, len(names) + np.arange(len(group)), inverse)
    first, inverse = np.unique(inverse, return_index=True, return_inverse=True)[1:]
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def _shard_numbers(sizes: NDArray[np.int64], limit: int) -> NDArray[np.int64]:
    """Return the shard of each photo, filling one after another, int64 ``(P,)``."""
    numbers, shard, room = [], 0, limit
    for size in sizes.tolist():
        if size > room and room < limit:
            shard, room = shard + 1, limit
        numbers.append(shard)
        room -= size
    return np.array(numbers, np.int64)


def plan_digest(table: TileTable, rows: NDArray[np.int64]) -> str:
    """Return a digest of a shard's tiles: rows, and all columns but the files' places."""
    digest = hashlib.sha256(rows.astype("<i8").tobytes())
    part = table.select(rows)
    for name, column in {"class": np.array(table.class_names)[part.label], **part.columns()}.items():
        values = encoded(column) if column.dtype.kind == "U" else column
        digest.update(f"\n{name} {values.dtype.str} ".encode() + np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()
