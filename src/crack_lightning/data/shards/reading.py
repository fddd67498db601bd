"""The tile table of a folder of shards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.columns import COLUMNS, REQUIRED, missing_values
from crack_lightning.data.shards.index import ShardIndex
from crack_lightning.data.shards.manifest import MANIFEST, Manifest
from crack_lightning.data.shards.members import forget_shards
from crack_lightning.data.shards.plan import UNSPLIT
from crack_lightning.data.table import TileTable
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def read_shards(folder: Path) -> TileTable:
    """Return the tiles of all shards, in the order of the table that they were written from.

    Everything in the folder is validated, except the tiles against their digests.

    Args:
        folder: The folder of ``shards.json``.

    Returns:
        The tiles with everything that was known of them; ``name`` is the path before sharding.

    Raises:
        DataError: If a shard is missing, truncated or damaged, or they contradict one another.
    """
    forget_shards()
    manifest = Manifest.read(folder)
    indexes = [(shard, ShardIndex.read((folder / shard).with_suffix(".index"))) for shard in manifest.shards]
    rows = np.concatenate([index.row for _, index in indexes])
    if len(rows) != manifest.num_tiles or len(np.unique(rows)) != len(rows):
        raise DataError(
            f"data.root: the shards in '{folder}' hold {len(np.unique(rows)):,} tiles, expected "
            f"{manifest.num_tiles:,} as in shards.json: shards of two sets are mixed. Copy them again, or "
            "write them again with crack-lightning shards."
        )
    names = dict.fromkeys(name for _, index in indexes for name in index.columns if name in COLUMNS)
    order = np.argsort(rows)
    columns: dict[str, Any] = {
        name: np.concatenate([_column(name, shard, index) for shard, index in indexes])[order]
        for name in names
    }
    if ((columns["label"] < 0) | (columns["label"] >= len(manifest.class_names))).any():
        raise DataError(
            f"data.root: a shard in '{folder}' has tiles of other classes than "
            f"{', '.join(manifest.class_names)} in shards.json; copy the shards again, or write them again."
        )
    return TileTable(
        root=folder,
        class_names=manifest.class_names,
        positive_class=manifest.positive_class,
        **{name: columns.pop(name) for name in REQUIRED},
        extra=columns,
    )


def shard_paths(folder: Path) -> list[Path] | None:
    """Return the paths of all tiles in a folder of shards, in their order; ``None`` for another folder.

    Raises:
        DataError: As :func:`read_shards`.
    """
    if not (folder / MANIFEST).is_file():
        return None
    return [folder / path for path in read_shards(folder).path.tolist()]


def _column(name: str, shard: str, index: ShardIndex) -> NDArray[Any]:
    """Return a column of a shard's tiles, with files as paths through the tar."""
    values = index.columns.get(name)
    if values is None:
        return missing_values(name, len(index.row))
    if name in {"path", "mask"}:
        return np.where(values == "", "", np.char.add(f"{shard}/", values))
    if name == "split":
        folder = shard.partition("/")[0]
        return np.full(len(values), "" if folder == UNSPLIT else folder)
    return values
