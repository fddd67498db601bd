"""Near-duplicate search by nearest neighbours: recall against the exhaustive search, time and memory.

The drawn tiles are those of rendered photos, and each of them again: mirrored or turned, moved by up to 2 %
of its side, scaled by up to 3 %, brighter or darker by up to 8 %, and saved as a JPEG of quality 60 to 95.
"""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from crack_lightning.data.grouping.near_duplicates import near_duplicate_pairs, preview
from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.synthesis.scene import draw_photo

if TYPE_CHECKING:
    from commands import Commands
    from numpy.typing import NDArray

    Image = NDArray[np.uint8]

COMPARED, TIMED = 100_000, (100_000, 200_000)
TILE_PX, PHOTO_TILES = 96, 8


def measure(commands: Commands, *, turns: int) -> str:  # noqa: ARG001  # as the other parts
    """Compare both searches on METU and on drawn tiles, and time the approximate one as tiles double."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=multiprocessing.get_context("spawn")) as pool:
        metu = np.stack(list(pool.map(file_preview, sorted(commands.metu.glob("*/*.jpg")), chunksize=64)))
        base, altered = draw_previews(max(TIMED) // 2, pool)
    lines = ["| tiles | search | pairs | time | memory | recall |", "|---|---|---|---|---|---|"]
    drawn = {number: np.concatenate([base[: number // 2], altered[: number // 2]]) for number in TIMED}
    for name, previews in (("METU", metu), ("drawn and altered", drawn[COMPARED])):
        exhaustive, cells = search(previews, commands.scratch, max_exhaustive=len(previews))
        lines.append(f"| {len(previews):,} ({name}) | exhaustive | {cells} | |")
        found, cells = search(previews, commands.scratch, max_exhaustive=0)
        recall = np.isin(keys(exhaustive), keys(found)).mean()
        lines.append(f"| {len(previews):,} ({name}) | nearest neighbours | {cells} | {recall:.5f} |")
    for number in TIMED[1:]:
        _, cells = search(drawn[number], commands.scratch, max_exhaustive=0)
        lines.append(f"| {number:,} (drawn and altered) | nearest neighbours | {cells} | |")
    return "\n".join(lines)


def keys(pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    return pairs[:, 0] * 2**32 + pairs[:, 1]


def search(
    previews: NDArray[np.uint8], folder: Path, *, max_exhaustive: int
) -> tuple[NDArray[np.int64], str]:
    """Search in a process of its own; return the pairs, and time and memory as table cells."""
    path = folder / "previews.npy"
    np.save(path, previews)
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        pairs, seconds, mebibytes = pool.submit(search_file, path, max_exhaustive).result()
    return pairs, f"{len(pairs):,} | {seconds:.1f} s | {mebibytes:,.0f} MiB"


def search_file(path: Path, max_exhaustive: int) -> tuple[NDArray[np.int64], float, float]:
    previews = np.load(path, mmap_mode="r")
    began = time.perf_counter()
    pairs = near_duplicate_pairs(previews, max_exhaustive=max_exhaustive)
    seconds = time.perf_counter() - began
    status = Path("/proc/self/status").read_text(encoding="ascii")  # ru_maxrss would count the parent's too
    return pairs, seconds, int(status.split("VmHWM:")[1].split()[0]) / 1024


def file_preview(path: Path) -> Image:
    return preview(decode_image(path))


def draw_previews(number: int, pool: ProcessPoolExecutor, *, tile_px: int = TILE_PX) -> tuple[Image, Image]:
    """Return previews of drawn tiles, and of the same tiles altered, uint8 ``(number, 64, 64)`` each."""
    photos = range(-(-number // PHOTO_TILES**2))
    parts = list(pool.map(partial(photo_previews, tile_px=tile_px), photos, chunksize=4))
    base, altered = (np.concatenate(previews)[:number] for previews in zip(*parts, strict=True))
    return base, altered


def photo_previews(photo: int, *, tile_px: int) -> tuple[Image, Image]:
    """Return previews of a photo's tiles, and of the same tiles altered."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng([77, photo])
    drawn = draw_photo(rng, PHOTO_TILES * tile_px, PHOTO_TILES * tile_px).image
    base, altered = [], []
    for y, x in np.ndindex(PHOTO_TILES, PHOTO_TILES):
        top, left = y * tile_px, x * tile_px
        base.append(preview(saved(drawn[top : top + tile_px, left : left + tile_px], 92)))
        altered.append(preview(altered_tile(drawn, top, left, tile_px, rng)))
    return np.stack(base), np.stack(altered)


def altered_tile(photo: Image, top: int, left: int, tile_px: int, rng: np.random.Generator) -> Image:
    """Cut a tile from a photo again, moved, scaled, mirrored or turned, in another light, and save it."""
    scale, middle = rng.uniform(0.97, 1.03), (tile_px - 1) / 2
    corner = np.array([left, top]) + middle * (1 - scale) + rng.uniform(-0.02, 0.02, 2) * tile_px
    matrix = np.array([[scale, 0, corner[0]], [0, scale, corner[1]]])
    how: dict[str, Any] = {"flags": cv2.WARP_INVERSE_MAP, "borderMode": cv2.BORDER_REFLECT}
    tile = cv2.warpAffine(photo, matrix, (tile_px, tile_px), **how) * rng.uniform(0.92, 1.08)
    turned = np.rot90(tile[:, ::-1] if rng.random() < 0.5 else tile, int(rng.integers(4)))
    return saved(np.clip(turned, 0, 255).astype(np.uint8), int(rng.integers(60, 96)))


def saved(image: Image, quality: int) -> Image:
    """Return an image as it is after it was saved as a JPEG."""
    data = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR_RGB), np.uint8)
