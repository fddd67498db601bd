"""Time and memory of audits of up to a million drawn tiles: new, known, and with one file more."""

from __future__ import annotations

import os
import shutil
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from crack_lightning.data.synthesis.scene import draw_photo
from crack_lightning.runtime.hardware import available_cores

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands
    from numpy.typing import NDArray

SIZES = (100_000, 200_000, 1_000_000)
TILE_PX, SIDE = 64, 16
_TILES = SIDE * SIDE
_ALTERED, _COPIED = 0.1, 0.01
_CHUNK = 4


def measure(commands: Commands, *, turns: int) -> str:  # noqa: ARG001  # as the other parts
    """Audit sets of each size once, since an audit takes long."""
    tiles = draw_tiles(commands.scratch / "drawn", max(SIZES))
    lines = ["| tiles | new | again | one file more |", "|---:|---|---|---|"]
    for size in SIZES:
        commands.cache = commands.scratch / f"cache of {size}"
        root = link_tiles(tiles[:size], commands.scratch / f"{size} tiles")
        figures = []
        for turn in ("new", "again", "one file more"):
            if turn == "one file more":
                shutil.copy(tiles[0], root / "crack" / "zz.jpg")
            done = commands.run("audit", "data=image_folder", f"data.root={root}")
            figures.append(f"{done.seconds:.1f} s, {done.mib:,.0f} MiB")
        lines.append(f"| {size:,} | {' | '.join(figures)} |")
        shutil.rmtree(commands.cache)
        shutil.rmtree(root)
    return "\n".join(lines)


def draw_tiles(folder: Path, number: int) -> list[Path]:
    """Write tiles of 64 px, cut from drawn photos; return them by photo.

    One in ten is an altered copy of another one of its photo (moved by up to 2 %, scaled by up to 3 %, turned
    or mirrored, brighter or darker, compressed anew), one in a hundred an identical copy.
    """
    for name in ("crack", "intact"):
        (folder / name).mkdir(parents=True)
    photos = range(-(-number // _TILES))
    with ProcessPoolExecutor(available_cores()) as pool:
        parts = pool.map(partial(_write_photo, folder), photos, chunksize=_CHUNK)
        return [path for part in parts for path in part][:number]


def link_tiles(tiles: list[Path], root: Path) -> Path:
    """Link tiles into a root of their own, in their folders of classes."""
    for name in ("crack", "intact"):
        (root / name).mkdir(parents=True)
    for path in tiles:
        os.link(path, root / path.parent.name / path.name)
    return root


def _write_photo(folder: Path, number: int) -> list[Path]:
    cv2.setNumThreads(1)
    rng = np.random.default_rng([3, number])
    photo = draw_photo(rng, SIDE * TILE_PX, SIDE * TILE_PX)
    paths: list[Path] = []
    for place in range(_TILES):
        top, left = (TILE_PX * index for index in divmod(place, SIDE))
        window = np.s_[top : top + TILE_PX, left : left + TILE_PX]
        pixels, quality = photo.image[window][..., ::-1], 92
        name = "crack" if photo.mask[window].any() else "intact"
        kind = rng.random()
        source = paths[int(rng.integers(place))] if place and kind < _ALTERED + _COPIED else None
        if source is not None:
            name = source.parent.name
        path = folder / name / f"{number:05d}_{place:03d}.jpg"
        paths.append(path)
        if source is not None and kind >= _ALTERED:
            shutil.copyfile(source, path)
            continue
        if source is not None:
            pixels, quality = _altered(cv2.imread(str(source)), rng), int(rng.integers(60, 96))
        cv2.imwrite(str(path), np.ascontiguousarray(pixels), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return paths


def _altered(pixels: Any, rng: np.random.Generator) -> NDArray[np.uint8]:
    scale, middle = rng.uniform(0.97, 1.03), (TILE_PX - 1) / 2
    shift = rng.uniform(-0.02, 0.02, 2) * TILE_PX + middle * (1 - scale)
    matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
    moved = cv2.warpAffine(pixels, matrix, (TILE_PX, TILE_PX), borderMode=cv2.BORDER_REFLECT)
    turned = np.rot90(moved, int(rng.integers(4)))[:, :: int(rng.choice([-1, 1]))]
    return np.asarray(np.clip(turned * rng.uniform(0.92, 1.08), 0, 255), np.uint8)
