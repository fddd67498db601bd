"""A batch of picture files, brought to one size."""

from __future__ import annotations

from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch.nn.functional import interpolate

from crack_lightning.data.io.decoding import UnreadableImageError, decode_image
from crack_lightning.data.io.mask_files import read_mask

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["UnreadableImageError", "decode_image", "map_in_order", "read_batch", "read_masks", "resize"]

T = TypeVar("T")
R = TypeVar("R")


def read_batch(paths: Sequence[Path], *, size: int, threads: int = 1) -> Tensor:
    """Decode picture files and bring them to one size.

    A picture is squashed to a square, whatever its shape: nothing at its edges is lost, and tiles are square.
    The resize is bilinear with antialiasing, on uint8. Each picture is treated alone, so its pixels depend
    neither on its neighbours in the batch nor on the number of threads; they may differ by a rounding between
    kinds of CPU.

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
    rows = batch.numpy()  # whose copy takes one thread, where torch's would start some in each of ours

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
    """Read masks and bring them to one size as :func:`read_batch` does pictures.

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
    """Squash a picture to a square, bilinear with antialiasing.

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
    """Yield ``work(item)`` for each item, in order, while threads are at work on the next ones.

    There is a thread more than torch computes with: decoding, the engines and torch release the interpreter's
    lock, so no core waits for a batch's last tile or for a file.
    """
    workers = torch.get_num_threads() + 1
    with ThreadPoolExecutor(workers) as pool:
        under_way: deque[Future[R]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(work, item))
                if len(under_way) > 2 * workers:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()
