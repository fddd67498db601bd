"""Drawn tiles: rendered photos of concrete walls, cut into tiles and cached."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from crack_lightning.data.cutting.tile_cache import CutTile, read_table, write_table
from crack_lightning.data.synthesis.render_pool import render_photos
from crack_lightning.data.synthesis.scene import DRAWING_VERSION, Tile
from crack_lightning.runtime.cache import cached_entry, is_cached
from crack_lightning.runtime.errors import ConfigError, CrackLightningError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from crack_lightning.data.table import TileTable

KIND = "synthetic"
_FOLDERS = ("images", "masks")


def load(
    *,
    seed: int,
    num_tiles: int,
    tile_px: int = 96,
    photo_tiles: int = 2,
    num_workers: int = 0,
    cache: Path,
    show_progress: bool = False,
) -> TileTable:
    """Return drawn tiles, half of them cracked; draw them where the cache has none.

    Args:
        seed: Seed of the photos; the same seed and photo number give the same pixels in any set.
        num_tiles: Number of tiles, ``>= 2``.
        tile_px: Side of a tile, pixels, ``>= 64``.
        photo_tiles: Tiles along each side of a photo, ``>= 1``.
        num_workers: Processes that draw; ``0`` draws in this one.
        cache: The cache folder; the tiles go to ``synthetic/<digest>`` in it.
        show_progress: Whether to show a bar on standard error while drawing.

    Returns:
        The tiles in the order of their photos; groups are photos. Extra columns: ``crack_width_px`` (95th
        percentile of the local width along the centre lines; NaN where intact), ``crack_lines`` (how many
        lines, trunk or branch), ``distractors``, ``mask``.

    Raises:
        ConfigError: If a number is out of its range.
        DataError: If the cache cannot be written or a worker dies.
    """
    _check(num_tiles=num_tiles, tile_px=tile_px, photo_tiles=photo_tiles, num_workers=num_workers)

    def draw(folder: Path) -> None:
        photos = render_photos(seed=seed, tile_px=tile_px, photo_tiles=photo_tiles, num_workers=num_workers)
        _draw(folder, photos, num_tiles, show_progress=show_progress)

    fingerprint = _fingerprint(seed=seed, num_tiles=num_tiles, tile_px=tile_px, photo_tiles=photo_tiles)
    entry = cached_entry(KIND, fingerprint, draw, cache=cache)
    return read_table(entry)


@contextmanager
def draw_in_background(*, cache: Path, num_workers: int, show_progress: bool, **drawn: int) -> Iterator[None]:
    """Draw the tiles of a later ``load`` in a process of its own while the block runs.

    The block is a similarly slow import. Errors are ignored here; ``load`` draws again and raises them.

    Args:
        cache: The cache folder.
        num_workers: Processes that draw.
        show_progress: Whether to show a bar.
        **drawn: Seed, number and sizes, as for ``load``.
    """
    if is_cached(KIND, _fingerprint(**drawn), cache=cache):
        yield
        return
    settings = drawn | {"cache": str(cache), "num_workers": num_workers, "show_progress": show_progress}
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", __name__, json.dumps(settings)]
    process = subprocess.Popen(command, env=environment)  # noqa: S603
    try:
        yield
        process.wait()
    finally:
        process.kill()
        process.wait()


def _fingerprint(**drawn: int) -> dict[str, object]:
    """Return everything that determines the pixels."""
    return {"drawing": DRAWING_VERSION, **drawn, "numpy": np.__version__, "opencv": cv2.__version__}


def _check(**numbers: int) -> None:
    least = {"num_tiles": 2, "tile_px": 64, "photo_tiles": 1, "num_workers": 0}
    for name, number in numbers.items():
        if number < least[name]:
            raise ConfigError(f"data.{name}: expected {least[name]} or more, got {number}.")


def _draw(
    folder: Path, photos: Generator[list[Tile], None, None], num_tiles: int, *, show_progress: bool
) -> None:
    """Write tiles, in the order of their photos, until there are enough of each class; then the table."""
    for name in _FOLDERS:
        (folder / name).mkdir()
    missing = {True: num_tiles // 2, False: num_tiles - num_tiles // 2}
    rows: list[CutTile] = []
    columns = (TextColumn("Drawing tiles"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), disable=not show_progress) as progress:
        bar = progress.add_task("", total=num_tiles)
        for photo, tiles in enumerate(photos):
            for tile in tiles:
                if missing[tile.cracked] > 0:
                    missing[tile.cracked] -= 1
                    rows.append(_write_tile(folder, f"photo_{photo:05d}", tile))
            progress.update(bar, completed=len(rows))
            if len(rows) == num_tiles:
                break
    photos.close()
    write_table(folder, rows, source=KIND)


def _write_tile(folder: Path, group: str, tile: Tile) -> CutTile:
    stem = f"{group}_{tile.position[0]}_{tile.position[1]}"
    path, mask = f"images/{stem}.jpg", f"masks/{stem}.png"
    (folder / path).write_bytes(tile.jpeg)
    (folder / mask).write_bytes(tile.mask_png)
    return {
        "path": path,
        "cracked": tile.cracked,
        "group": group,
        "sha256": hashlib.sha256(tile.jpeg).hexdigest(),
        "crack_width_px": tile.crack_width_px,
        "crack_lines": tile.crack_lines,
        "distractors": tile.distractors,
        "mask": mask,
    }


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    with suppress(CrackLightningError, KeyboardInterrupt):
        load(**settings | {"cache": Path(settings["cache"])})
