"""Intact tiles of another source, painted with cracks and distractors.

Painted tiles are written to the cache once, like drawn ones, so that they can be reviewed, later steps read
picture and mask from files, and a second run starts at once. ``augmentation.paint`` paints anew in every
epoch instead.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.columns import NEAR_DUPLICATES
from crack_lightning.data.cutting.tile_cache import CutTile, read_table, write_table
from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.data.synthesis.painting import PAINTING_VERSION, paint_tile
from crack_lightning.runtime.cache import cached_entry
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

KIND = "painted"


def load(
    base: TileTable, *, seed: int, num_tiles: int, num_workers: int, cache: Path, show_progress: bool
) -> TileTable:
    """Return painted tiles, half of them cracked; paint them where the cache has none.

    Each intact tile is painted on twice, once with a crack and once without, so that the concrete itself is
    no clue. Of too many tiles, ``seed`` selects some; too few are reused.

    Args:
        base: Readable tiles of any source, with digests and groups (:func:`ensure_groups`); intact ones are
            painted on.
        seed: Seed of the choice of tiles and of the painting.
        num_tiles: Number of tiles, ``>= 2``.
        num_workers: Threads that paint; the pixels do not depend on it.
        cache: The cache folder; tiles go to ``painted/<digest>`` in it.
        show_progress: Whether to show a bar on standard error.

    Returns:
        The tiles, with the classes of ``base`` and the groups of the base tiles. Extra columns:
        ``crack_width_px``, ``distractors``, ``mask`` as for drawn tiles, and ``painted_on``, the digest of
        the base tile.

    Raises:
        DataError: If ``base`` has no class for cracks, more than two classes, or no intact tile.
    """
    chosen = _select_base_rows(base, seed=seed, num_tiles=num_tiles)
    fingerprint = {
        "painting": PAINTING_VERSION,
        "seed": seed,
        "tiles": hashlib.sha256("\n".join(base.sha256[chosen]).encode()).hexdigest(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }

    def paint(folder: Path) -> None:
        for name in ("images", "masks"):
            (folder / name).mkdir()
        paths = [base.root / base.path[row] for row in chosen]

        def painted(number: int) -> CutTile:
            return _paint(folder, number, paths[number], seed=seed)

        with ThreadPoolExecutor(max(1, num_workers)) as pool:
            title = "Painting tiles" if show_progress else None
            done = progress_bar(pool.map(painted, range(len(paths))), title, total=len(paths))
            write_table(folder, list(done), source=KIND)

    return _as_base(read_table(cached_entry(KIND, fingerprint, paint, cache=cache)), base, chosen)


def ensure_groups(table: TileTable, below: NDArray[np.bool_]) -> TileTable:
    """Assign a group to base tiles ``below``, bool ``(N,)``, without one, for their painted tiles."""
    alone = below & (table.group == "")
    origin = table.extra.get("group_from", np.full(len(table), "source")).astype(np.str_)
    return replace(
        table,
        group=np.where(alone, table.name, table.group),
        extra=table.extra | {"group_from": np.where(alone, NEAR_DUPLICATES, origin)},
    )


def _select_base_rows(base: TileTable, *, seed: int, num_tiles: int) -> NDArray[np.int64]:
    """Choose the row of each painted tile's base tile, independently of file names."""
    if base.positive_index is None or len(base.class_names) != 2:
        raise DataError(
            f"data.base: painting needs the classes intact and crack, got {', '.join(base.class_names)}; "
            "map the folders with data.class_names={folder: class}."
        )
    intact = np.flatnonzero(base.label != base.positive_index)
    if not len(intact):
        raise DataError(
            f"data.base: there is no intact tile under '{base.root}' to paint on; give a source with some."
        )
    intact = intact[np.argsort(base.sha256[intact], kind="stable")]
    order = np.random.default_rng([seed, 0]).permutation(intact)
    return np.asarray(order[np.arange(num_tiles) // 2 % len(order)], np.int64)


def _paint(folder: Path, number: int, path: Path, *, seed: int) -> CutTile:
    """Paint the tile of a number, cracked where that is even, and write it with its mask."""
    cracked = number % 2 == 0
    tile = paint_tile(decode_image(path), np.random.default_rng([seed, 1, number]), cracked=cracked)
    image, mask = f"images/{number:06d}.jpg", f"masks/{number:06d}.png" if cracked else ""
    settings = [cv2.IMWRITE_JPEG_QUALITY, tile.jpeg_quality]
    data = cv2.imencode(".jpg", cv2.cvtColor(tile.image, cv2.COLOR_RGB2BGR), settings)[1].tobytes()
    (folder / image).write_bytes(data)
    if cracked:
        shown = cv2.imencode(".png", tile.mask.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
        (folder / mask).write_bytes(shown.tobytes())
    return {
        "path": image,
        "cracked": cracked,
        "group": "",
        "sha256": hashlib.sha256(data).hexdigest(),
        "crack_width_px": tile.crack_width_px,
        "distractors": tile.distractors,
        "mask": mask,
    }


def _as_base(table: TileTable, base: TileTable, chosen: NDArray[np.int64]) -> TileTable:
    """Set classes, groups and digests of painted tiles from their base tiles."""
    assert base.positive_index is not None, "checked before"
    return replace(
        table,
        class_names=base.class_names,
        positive_class=base.positive_class,
        label=np.where(table.label == 1, base.positive_index, 1 - base.positive_index).astype(np.int64),
        group=base.group[chosen],
        left_out=base.left_out,
        extra=table.extra
        | {"painted_on": base.sha256[chosen], "group_from": base.extra["group_from"][chosen]},
    )
