"""Inputs of ``predict``: files, Pillow images, arrays and tensors, one or any number."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from PIL import Image

from crack_lightning.data.io.decoding import UnreadableImageError, decode_image, upright_rgb
from crack_lightning.model.backends.per_process import PerProcess
from crack_lightning.runtime.files.paths import expand_user

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = str | os.PathLike[str] | Image.Image | NDArray[Any] | torch.Tensor

_KINDS = "a path, a PIL image, an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a tensor (C, H, W)"
_CHANNELS = (1, 3, 4)
_PILLOW = PerProcess(partial(ThreadPoolExecutor, 1))
"""A single thread for all callers: a Pillow image must not be loaded by two threads at once."""


class NamedPicture(NamedTuple):
    """A picture and its name.

    Attributes:
        name: Its path, or ``image 0``, ``array 1``, … by its position.
        content: A file still to be decoded, RGB uint8 ``(H, W, 3)``, or why it cannot be read.
    """

    name: str
    content: Path | NDArray[np.uint8] | UnreadableImageError

    def pixels(self) -> NDArray[np.uint8]:
        """Return RGB values, uint8 ``(H, W, 3)``.

        Raises:
            UnreadableImageError: If it cannot be read.
        """
        if isinstance(self.content, UnreadableImageError):
            raise self.content
        return decode_image(self.content) if isinstance(self.content, Path) else self.content


def named_pictures(pictures: Picture | Iterable[Picture]) -> Iterator[NamedPicture]:
    """Yield pictures with their names; those in memory are copied, so that a caller may reuse a buffer.

    Args:
        pictures: One picture, or any iterable of them: a list, a generator, a stack ``(N, H, W, C)``. Grey,
            palette, transparent, CMYK and 16-bit images become RGB as files do, turned as EXIF says; floats
            are in ``[0, 1]``, and tensors have their channels first.

    Raises:
        TypeError: If an item is no picture; the message has its position.
        ValueError: If an array's values cannot be those of a picture.
    """
    for position, picture in enumerate(_several(pictures)):
        if isinstance(picture, str | os.PathLike):
            path = str(os.fsdecode(picture))
            yield NamedPicture(path, Path(expand_user(path)))
        elif isinstance(picture, Image.Image):
            yield _from_pillow(picture, f"image {position}")
        elif isinstance(picture, np.ndarray | torch.Tensor):
            yield NamedPicture(f"array {position}", _rgb(picture, f"pictures[{position}]"))
        else:
            raise TypeError(f"pictures[{position}]: expected {_KINDS} but got {_described(picture)}.")


def _several(pictures: Any) -> Iterable[Any]:
    """Return an iterable of pictures; a single one becomes a list."""
    if isinstance(pictures, str | os.PathLike | Image.Image):
        return [pictures]
    if isinstance(pictures, np.ndarray | torch.Tensor):
        holds_names = isinstance(pictures, np.ndarray) and pictures.dtype.kind in "OU"
        return pictures if holds_names or pictures.ndim == 4 else [pictures]
    if isinstance(pictures, bytes | bytearray | memoryview | Mapping) or not isinstance(pictures, Iterable):
        raise TypeError(f"pictures: expected {_KINDS}, or several of them, but got {_described(pictures)}.")
    return pictures


def _described(value: object) -> str:
    if isinstance(value, bytes | bytearray | memoryview):
        return f"{type(value).__name__}; open encoded bytes with PIL.Image.open(io.BytesIO(data))"
    if hasattr(value, "read"):
        return f"{type(value).__name__}; open a file with PIL.Image.open(file)"
    return type(value).__name__


def _from_pillow(image: Image.Image, name: str) -> NamedPicture:
    try:
        return NamedPicture(name, _PILLOW.get().submit(upright_rgb, image, name).result())
    except UnreadableImageError as error:
        return NamedPicture(name, error)


def _channels_last(tensor: torch.Tensor) -> NDArray[Any]:
    tensor = tensor.detach().cpu()
    array: NDArray[Any] = (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return np.moveaxis(array, 0, -1) if array.ndim == 3 else array


def _rgb(picture: NDArray[Any] | torch.Tensor, where: str) -> NDArray[np.uint8]:
    """Return the RGB values of an array or a tensor, uint8 ``(H, W, 3)``, in memory of their own."""
    array = _channels_last(picture) if isinstance(picture, torch.Tensor) else np.asarray(picture)
    shaped = array[..., None] if array.ndim == 2 else array
    if shaped.ndim != 3 or shaped.shape[2] not in _CHANNELS or not shaped.size:
        kind = type(picture).__name__
        raise TypeError(f"{where}: expected {_KINDS} but got {kind} {array.dtype} {tuple(picture.shape)}.")
    values = _bytes(shaped, where)
    if shaped.shape[2] == 4:
        return upright_rgb(Image.fromarray(np.ascontiguousarray(values)), where)
    return np.repeat(values, 3, axis=2) if shaped.shape[2] == 1 else np.array(values, order="C")


def _bytes(array: NDArray[Any], where: str) -> NDArray[np.uint8]:
    """Scale values to 0..255 by the full range of their type; floats by ``[0, 1]``."""
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype.kind == "u" and array.dtype.itemsize == 2:
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{where}: expected values of type uint8, uint16, bool or float in [0, 1] but got {array.dtype}; "
            "convert them, as in array.astype(numpy.uint8)."
        )
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):
        raise ValueError(
            f"{where}: expected floats in [0, 1] but got values from {low:g} to {high:g}; divide them by "
            "their value of white, or give uint8."
        )
    return np.asarray(np.round(array.astype(np.float32) * 255), np.uint8)
