"""Orientation by EXIF or XMP data."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from crack_lightning.data.io.formats import PILLOW_FORMATS

if TYPE_CHECKING:
    from numpy.typing import NDArray

T = TypeVar("T", bound=np.generic)

UPRIGHT = 1
_TAG = 0x0112
_MOVES = {
    2: (False, 1, -1),
    3: (False, -1, -1),
    4: (False, -1, 1),
    5: (True, 1, 1),
    6: (True, 1, -1),
    7: (True, -1, -1),
    8: (True, -1, 1),
}
"""Whether to transpose, then steps along rows and columns (CIPA DC-008, section 4.6.5.1, "Orientation")."""


def orientation_of(data: bytes) -> int:
    """Return EXIF's orientation of a picture file, else XMP's, 1 to 8; 1 where neither can be read."""
    try:
        with Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image:
            return orientation_in(image)
    except Exception:  # noqa: BLE001 - Pillow raises anything on damaged bytes; decoding reports them
        return UPRIGHT


def orientation_in(image: Image.Image) -> int:
    """Return the orientation of an image that Pillow has opened, 1 to 8."""
    try:
        value = image.getexif().get(_TAG, UPRIGHT)
    except Exception:  # noqa: BLE001 - likewise, and viewers ignore damaged metadata
        return UPRIGHT
    return value if value in _MOVES else UPRIGHT


def turn_upright(pixels: NDArray[T], orientation: int) -> NDArray[T]:
    """Return pixels ``(H, W[, C])`` as a viewer shows them; ``(W, H[, C])`` for orientations 5 to 8."""
    if orientation == UPRIGHT:
        return pixels
    transposed, rows, columns = _MOVES[orientation]
    upright = pixels.swapaxes(0, 1) if transposed else pixels
    return np.ascontiguousarray(upright[::rows, ::columns])


def swaps_sides(orientation: int) -> bool:
    """Return whether an orientation swaps width and height."""
    return orientation != UPRIGHT and _MOVES[orientation][0]
