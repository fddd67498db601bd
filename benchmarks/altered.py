"""METU's whole size from a part of it: its own tiles, and altered copies of them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, islice
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = ("Negative", "Positive")
QUALITY = 90


def write_whole_size(part: Path, folder: Path, *, num_tiles: int, threads: int) -> Path:
    """Link the tiles of a part of METU into a folder, and add altered copies up to ``num_tiles``.

    A copy is mirrored or turned, moved by up to 4 px, and changed in brightness and contrast, then saved
    anew; it follows from the number of the copy alone.

    Args:
        part: Folder with ``Negative`` and ``Positive``.
        folder: A new folder for the same layout.
        num_tiles: Number of tiles, half of each class.
        threads: Threads that write.

    Returns:
        The folder.
    """
    for name in CLASSES:
        (folder / name).mkdir(parents=True)
        originals = sorted((part / name).iterdir())
        for path in originals:
            (folder / name / path.name).symlink_to(path.resolve())
        missing = num_tiles // len(CLASSES) - len(originals)
        with ThreadPoolExecutor(threads) as pool:
            copies = enumerate(islice(cycle(originals), missing))
            list(pool.map(partial(_write_copy, folder=folder / name), copies))
    return folder


def _write_copy(numbered: tuple[int, Path], *, folder: Path) -> None:
    number, path = numbered
    pixels = np.asarray(cv2.imread(str(path)), np.uint8)
    altered = _altered(pixels, np.random.default_rng(number))
    cv2.imwrite(str(folder / f"copy_{number:06d}.jpg"), altered, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])


def _altered(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    turned = np.rot90(pixels, int(rng.integers(4)))
    turned = turned[:, ::-1] if rng.random() < 0.5 else turned
    shift = np.array([[1, 0, rng.uniform(-4, 4)], [0, 1, rng.uniform(-4, 4)]])
    size = turned.shape[1::-1]
    moved = cv2.warpAffine(np.ascontiguousarray(turned), shift, size, borderMode=cv2.BORDER_REFLECT)
    changed = cv2.convertScaleAbs(moved, alpha=rng.uniform(0.85, 1.15), beta=rng.uniform(-12, 12))
    return np.asarray(changed, np.uint8)
