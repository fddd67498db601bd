"""Tiled inference: the cell map of an image of any size, in bounded memory and without seams."""

from __future__ import annotations

from itertools import pairwise, product
from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.data.io.ordered_map import map_in_threads
from crack_lightning.inference.maps.scaled_photo import ScaledPhoto
from crack_lightning.model.backends.engines.eager import BACKEND as EAGER
from crack_lightning.model.heads.protocol import CELL_PX, SIDE_MULTIPLE_PX
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    Cells = Callable[[Tensor], Tensor]

LARGEST_REACH_PX = 320


def tiled_cell_map(
    cells: Cells,
    pixels: NDArray[np.uint8],
    *,
    reach_px: int,
    piece_px: int = EAGER.piece_px,
    scale: float = 1.0,
) -> NDArray[np.float32]:
    """Return a logit per 8 x 8 pixels of the scaled picture.

    Pieces of one size overlap by twice the radius of a cell's receptive field, and each cell is taken from a
    piece that contains its receptive field; the map equals that of one pass over the whole picture.

    Args:
        cells: From images, uint8 ``(1, 3, h, w)`` whose sides are multiples of 16, to logits, float
            ``(1, 1, h / 8, w / 8)``.
        pixels: RGB values, uint8 ``(H, W, 3)``.
        reach_px: Radius of a cell's receptive field, pixels (:func:`receptive_radius`).
        piece_px: Largest side of a piece, pixels; a multiple of 16, more than twice the reach.
        scale: Pixels of the network's input per pixel of the picture.

    Returns:
        Logits, float32 ``(H * scale / 8, W * scale / 8)``, rounded up.
    """
    photo = ScaledPhoto(pixels=pixels, scale=scale)
    height, width = photo.shape
    margin = _round_up(reach_px)
    cell_map = np.empty((_round_up(height) // CELL_PX, _round_up(width) // CELL_PX), np.float32)
    pieces = list(
        product(_pieces(_round_up(height), piece_px, margin), _pieces(_round_up(width), piece_px, margin))
    )

    def piece_images(piece: tuple[tuple[slice, slice], tuple[slice, slice]]) -> Tensor:
        (rows, _), (columns, _) = piece
        return _images(photo.window(rows, columns), rows.stop - rows.start, columns.stop - columns.start)

    images_ahead = map_in_threads(piece_images, pieces, num_workers=1)  # resized while others are computed
    for ((rows, new_rows), (columns, new_columns)), images in zip(pieces, images_ahead, strict=True):
        logits = cells(images)
        inside = logits[0, 0].numpy()[_cells(new_rows, rows.start), _cells(new_columns, columns.start)]
        cell_map[_cells(new_rows), _cells(new_columns)] = inside
    return cell_map[: -(-height // CELL_PX), : -(-width // CELL_PX)]


def _pieces(length_px: int, largest_px: int, margin_px: int) -> list[tuple[slice, slice]]:
    """Return the span of each piece, and the part that is copied to the map, pixels; pieces have one size."""
    if length_px <= largest_px:
        return [(slice(0, length_px), slice(0, length_px))]
    number = -(-(length_px - 2 * margin_px) // (largest_px - 2 * margin_px))
    size = _round_up(-(-(length_px + (number - 1) * 2 * margin_px) // number))
    starts = [min(place * (size - 2 * margin_px), length_px - size) for place in range(number)]
    seams = [0, *(start + size - margin_px for start in starts[:-1]), length_px]
    return [
        (slice(start, start + size), slice(*part))
        for start, part in zip(starts, pairwise(seams), strict=True)
    ]


def _images(part: NDArray[np.uint8], height: int, width: int) -> Tensor:
    """Return the network's input, uint8 ``(1, 3, h, w)``, padded by the values at the edges."""
    missing = (0, height - part.shape[0]), (0, width - part.shape[1]), (0, 0)
    padded = np.pad(part, missing, mode="edge") if any(map(any, missing)) else part
    return torch.from_numpy(np.ascontiguousarray(padded.transpose(2, 0, 1)))[None]


def _round_up(length_px: int) -> int:
    return -(-length_px // SIDE_MULTIPLE_PX) * SIDE_MULTIPLE_PX


def _cells(part: slice, start_px: int = 0) -> slice:
    return slice((part.start - start_px) // CELL_PX, (part.stop - start_px) // CELL_PX)


def receptive_radius(cells: Cells) -> int:
    """Return the radius of a cell's receptive field, pixels: where the gradient of one cell is not zero.

    Args:
        cells: As for :func:`tiled_cell_map`, but of float images in ``[0, 1]`` and with a gradient.

    Raises:
        ConfigError: If it is over ``LARGEST_REACH_PX``, as in a network with global averages.
    """
    side = 2 * (LARGEST_REACH_PX + SIDE_MULTIPLE_PX)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((1, 3, side, side), generator=generator, requires_grad=True)
    middle = side // CELL_PX // 2
    (slope,) = torch.autograd.grad(cells(image)[0, 0, middle, middle], image)
    places = slope.abs().sum(dim=(0, 1)).nonzero() - middle * CELL_PX
    furthest = int(places.abs().max()) + 1 if len(places) else LARGEST_REACH_PX
    if furthest > LARGEST_REACH_PX:
        raise ConfigError(
            f"map: the receptive field of this network's cells is over {LARGEST_REACH_PX} px, so that pieces "
            "of a picture would not fit together; use a network without attention or squeeze-and-excitation, "
            "such as efficientnet_lite0 or resnet18."
        )
    return furthest


def tile_boxes(
    cells: NDArray[np.float32], *, tile_px: int
) -> tuple[list[tuple[int, int]], NDArray[np.float32]]:
    """Cut a map into tiles of one size; the last of a row or column may overlap the one before.

    Args:
        cells: Logits, float32 ``(h, w)``.
        tile_px: Side of a tile, pixels; rounded down to whole cells.

    Returns:
        Top and left of each of N tiles in pixels, and their cells, float32 ``(N, step, step)``, or less where
        the map is smaller.
    """
    step = max(1, tile_px // CELL_PX)
    tops, lefts = (_starts(length, step) for length in cells.shape)
    places = [(top, left) for top in tops for left in lefts]
    parts = [cells[top : top + step, left : left + step] for top, left in places]
    return [(top * CELL_PX, left * CELL_PX) for top, left in places], np.stack(parts)


def _starts(length: int, step: int) -> list[int]:
    last = max(0, length - step)
    return [*range(0, last, step), last]
