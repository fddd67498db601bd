"""Batched reading of image and mask files at one size."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch.nn.functional import interpolate

from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.io.mask_files import read_mask
from crack_lightning.data.io.ordered_map import map_in_threads

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

T = TypeVar("T")
R = TypeVar("R")


def read_batch(paths: Sequence[Path], *, size: int, threads: int = 1) -> Tensor:
    """Decode image files and resize them to one size.

    Images are resized to a square whatever their aspect ratio, so that nothing at the edges is cropped; the
    resize is bilinear with antialiasing, on uint8. Each image is resized alone: its pixels depend neither on
    the batch nor on the number of threads; they may differ by rounding between kinds of CPU.

    Args:
        paths: N files that :func:`decode_image` reads.
        size: Side of the result in pixels, at least 1.
        threads: Threads that read.

    Returns:
        RGB values, uint8 ``(N, 3, size, size)``, contiguous.

    Raises:
        UnreadableImageError: If a file does not decode; it names the file and the reason.
    """
    batch = torch.empty((len(paths), 3, size, size), dtype=torch.uint8)
    rows = batch.numpy()  # NumPy copies on one thread; torch would start threads in each of the pool's

    def read(row: int) -> None:
        rows[row] = resize(decode_image(paths[row]), size=size).numpy()

    if threads == 1:
        for row in range(len(paths)):
            read(row)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(read, range(len(paths))))
    return batch


def read_masks(paths: Sequence[Path | None], *, size: int) -> Tensor:
    """Read masks and resize them as :func:`read_batch` does images.

    Args:
        paths: N files of grey values, 255 being crack; ``None`` for a tile without one.
        size: Side of the result in pixels.

    Returns:
        Coverage by cracks, uint8 ``(N, 1, size, size)``; zero without a file.

    Raises:
        DataError: If a file is no mask.
    """
    batch = torch.zeros((len(paths), 1, size, size), dtype=torch.uint8)
    for row, path in enumerate(paths):
        if path is not None:
            grey = np.asarray(read_mask(path).values, np.uint8)
            batch[row] = resize(grey[..., None], size=size)
    return batch


def resize(pixels: NDArray[np.uint8], *, size: int) -> Tensor:
    """Resize an image to a square, bilinear with antialiasing.

    Args:
        pixels: Values, uint8 ``(H, W, C)``.
        size: Side of the result in pixels.

    Returns:
        Values, uint8 ``(C, size, size)``.
    """
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    if image.shape[2:] == (size, size):
        return image[0]
    return interpolate(image, (size, size), mode="bilinear", antialias=True)[0]


def map_in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield ``work(item)`` for each item in order, while threads compute the next ones.

    The pool has one thread more than torch: decoding, the backends and torch release the GIL, so no core
    idles while a batch's last tile or a file is read.
    """
    return map_in_threads(work, items, num_workers=torch.get_num_threads() + 1)
