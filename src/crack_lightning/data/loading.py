"""Many picture files at once: a batch of tiles, the check before a run, the digests."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch.nn.functional import interpolate

from crack_lightning.data.decoding import UnreadableImageError, decode_image
from crack_lightning.data.twins import PREVIEW_PX, preview
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

__all__ = ["UnreadableImageError", "decode_image", "hash_files", "read_batch", "resized", "survey_files"]

_CHUNK = 64
T = TypeVar("T")


def read_batch(paths: Sequence[Path], *, size: int) -> Tensor:
    """Decode picture files and bring them to one size.

    A picture is squashed to a square, whatever its shape: nothing at its edges is lost, and tiles are square.
    The resize is bilinear with antialiasing, on uint8. Each picture is treated alone, so its pixels depend
    neither on its neighbours in the batch nor on the number of threads; they may differ by a rounding between
    kinds of CPU.

    Args:
        paths: N files that :func:`decode_image` reads.
        size: Side of the result in pixels, at least 1.

    Returns:
        RGB values, uint8 ``(N, 3, size, size)``, contiguous.

    Raises:
        UnreadableImageError: If a file does not decode; it names the file and the reason.
    """
    batch = torch.empty((len(paths), 3, size, size), dtype=torch.uint8)
    for row, path in enumerate(paths):
        batch[row] = resized(decode_image(path), size=size)
    return batch


def resized(pixels: NDArray[np.uint8], *, size: int) -> Tensor:
    """Squash a picture to a square, bilinear with antialiasing.

    Args:
        pixels: RGB values, uint8 ``(H, W, 3)``.
        size: Side of the result in pixels.

    Returns:
        RGB values, uint8 ``(3, size, size)``.
    """
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None]
    if image.shape[2:] == (size, size):
        return image[0]
    return interpolate(image, (size, size), mode="bilinear", antialias=True)[0]


def survey_files(
    paths: Sequence[Path], *, num_workers: int, show_progress: bool
) -> tuple[dict[Path, str], NDArray[np.uint8]]:
    """Decode every file completely; collect those that fail, and previews of the others.

    Args:
        paths: Picture files.
        num_workers: Threads that decode; the decoders release the interpreter's lock. 0 means one.
        show_progress: Whether to draw a progress bar on standard error.

    Returns:
        Reason by file, in the order of ``paths``, empty when all can be read; and the previews of the M
        that can, uint8 ``(M, 64, 64)``.
    """
    title = "Checking the files" if show_progress else None
    seen = _in_threads(_surveyed, paths, num_workers=num_workers, title=title)
    previews = [picture for picture in seen if not isinstance(picture, str)]
    reasons = {path: reason for path, reason in zip(paths, seen, strict=True) if isinstance(reason, str)}
    return reasons, np.stack(previews) if previews else np.empty((0, PREVIEW_PX, PREVIEW_PX), np.uint8)


def _surveyed(path: Path) -> str | NDArray[np.uint8]:
    try:
        return preview(decode_image(path))
    except UnreadableImageError as error:
        return error.reason


def hash_files(
    paths: Sequence[Path], *, num_workers: int = 2, show_progress: bool = False
) -> NDArray[np.str_]:
    """Return the SHA-256 hex digests of N files, str ``(N,)``.

    Raises:
        DataError: If a file cannot be read; it names the file.
    """
    digests = _in_threads(
        _sha256, paths, num_workers=num_workers, title="Hashing the files" if show_progress else None
    )
    return np.array(digests, dtype="U64")


def _in_threads(
    work: Callable[[Path], T], paths: Sequence[Path], *, num_workers: int, title: str | None
) -> list[T]:
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        done = pool.map(lambda chunk: [work(path) for path in chunk], chunks)
        if title is not None:
            bar = Console(stderr=True)
            done = iter(track(done, description=title, total=len(chunks), console=bar, transient=True))
        return list(chain.from_iterable(done))


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DataError(
            f"data.root: cannot read '{path}' ({error.strerror}); mend or remove the file."
        ) from None
