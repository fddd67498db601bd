"""The cell map of an image from overlapping pieces, without torch: it may begin before torch is imported."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.io.ordered_map import map_in_threads
from crack_lightning.inference.maps.scaled_photo import ScaledPhoto
from crack_lightning.model.heads.protocol import CELL_PX, SIDE_MULTIPLE_PX

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Cells = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


def cell_map(
    cells: Cells, pixels: NDArray[np.uint8], *, reach_px: int, piece_px: int, scale: float
) -> NDArray[np.float32]:
    """Return a logit for every 8 pixels of a picture at a scale.

    Pieces of one size overlap by twice the radius of a cell's receptive field, and each cell is taken from a
    piece that contains its receptive field; the map equals that of one pass over the whole picture.

    Args:
        cells: From images, uint8 ``(1, 3, h, w)`` whose sides are multiples of 16, to logits, float32
            ``(1, 1, h / 8, w / 8)``.
        pixels: RGB values, uint8 ``(H, W, 3)``.
        reach_px: Radius of a cell's receptive field, pixels.
        piece_px: Largest side of a piece, pixels; a multiple of 16, more than twice the reach.
        scale: Pixels of the network's input per pixel of the picture.

    Returns:
        Logits, float32 ``(H * scale / 8, W * scale / 8)``, rounded up.
    """
    photo = ScaledPhoto(pixels=pixels, scale=scale)
    height, width = photo.shape
    margin = round_up(reach_px)
    result = np.empty((round_up(height) // CELL_PX, round_up(width) // CELL_PX), np.float32)
    pieces = list(
        product(_pieces(round_up(height), piece_px, margin), _pieces(round_up(width), piece_px, margin))
    )

    def piece_images(piece: tuple[tuple[slice, slice], tuple[slice, slice]]) -> NDArray[np.uint8]:
        (rows, _), (columns, _) = piece
        return _images(photo.window(rows, columns), rows.stop - rows.start, columns.stop - columns.start)

    images_ahead = map_in_threads(piece_images, pieces, num_workers=1)  # resized while others are computed
    for ((rows, new_rows), (columns, new_columns)), images in zip(pieces, images_ahead, strict=True):
        inside = cells(images)[0, 0, _cells(new_rows, rows.start), _cells(new_columns, columns.start)]
        result[_cells(new_rows), _cells(new_columns)] = inside
    return result[: -(-height // CELL_PX), : -(-width // CELL_PX)]


def _pieces(length_px: int, largest_px: int, margin_px: int) -> list[tuple[slice, slice]]:
    """Return the span of each piece, and the part that is copied to the map, pixels; pieces have one size."""
    if length_px <= largest_px:
        return [(slice(0, length_px), slice(0, length_px))]
    number = -(-(length_px - 2 * margin_px) // (largest_px - 2 * margin_px))
    size = round_up(-(-(length_px + (number - 1) * 2 * margin_px) // number))
    starts = [min(place * (size - 2 * margin_px), length_px - size) for place in range(number)]
    seams = [0, *(start + size - margin_px for start in starts[:-1]), length_px]
    return [
        (slice(start, start + size), slice(*part))
        for start, part in zip(starts, pairwise(seams), strict=True)
    ]


def _images(part: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Return the network's input, uint8 ``(1, 3, h, w)``, padded by the values at the edges."""
    missing = (0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)
    padded = np.pad(part, missing, mode="edge") if any(map(any, missing)) else part
    return np.ascontiguousarray(padded.transpose(2, 0, 1))[None]


def round_up(length_px: int) -> int:
    """Return the next multiple of ``SIDE_MULTIPLE_PX``."""
    return -(-length_px // SIDE_MULTIPLE_PX) * SIDE_MULTIPLE_PX


def _cells(part: slice, start_px: int = 0) -> slice:
    return slice((part.start - start_px) // CELL_PX, (part.stop - start_px) // CELL_PX)
