"""A local head's map of a picture of any size, piece by piece: bounded memory, and no seams."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.errors import ConfigError
from crack_lightning.model.heads import CELL_PX, STRIDES

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    Cells = Callable[[Tensor], Tensor]

PIECE_PX = 1344
LARGEST_REACH_PX = 320
_STEP = STRIDES[-1]


def cell_map(
    cells: Cells, pixels: NDArray[np.uint8], *, reach_px: int, piece_px: int = PIECE_PX
) -> NDArray[np.float32]:
    """Return a logit for every 8 pixels of a picture.

    Each piece is computed with as much around it as its cells look at, so that every cell is what one pass
    over the whole picture gives. The largest come first: the memory that they leave then suits the others.

    Args:
        cells: From images, uint8 ``(1, 3, h, w)``, to logits, float ``(1, 1, h / 8, w / 8)`` rounded up.
        pixels: RGB values, uint8 ``(H, W, 3)``.
        reach_px: How far from itself a cell looks, pixels (:func:`reach`).
        piece_px: Largest side of a piece, pixels; a multiple of 16.

    Returns:
        Logits, float32 ``(H / 8, W / 8)``, rounded up.
    """
    height, width = pixels.shape[:2]
    found = np.empty((-(-height // CELL_PX), -(-width // CELL_PX)), np.float32)
    margin = -(-reach_px // _STEP) * _STEP
    piece_height, piece_width = _even(height, piece_px), _even(width, piece_px)
    seen = {
        (top, left): (
            slice(max(0, top - margin), min(height, top + piece_height + margin)),
            slice(max(0, left - margin), min(width, left + piece_width + margin)),
        )
        for top, left in product(range(0, height, piece_height), range(0, width, piece_width))
    }
    for (top, left), (rows, columns) in sorted(seen.items(), key=lambda item: -_area(*item[1])):
        piece = torch.from_numpy(np.ascontiguousarray(pixels[rows, columns].transpose(2, 0, 1)))
        answer = cells(piece[None])[0, 0].numpy()
        inside = found[_cells(top, piece_height), _cells(left, piece_width)]
        first = [(top - rows.start) // CELL_PX, (left - columns.start) // CELL_PX]
        inside[:] = answer[first[0] :, first[1] :][: inside.shape[0], : inside.shape[1]]
    return found


def _even(length_px: int, largest_px: int) -> int:
    """Return the side of the fewest pieces of about one size; those around them are computed twice."""
    number = -(-length_px // largest_px)
    return -(-length_px // (number * _STEP)) * _STEP


def _area(rows: slice, columns: slice) -> int:
    return int((rows.stop - rows.start) * (columns.stop - columns.start))


def _cells(start_px: int, length_px: int) -> slice:
    return slice(start_px // CELL_PX, (start_px + length_px) // CELL_PX)


def reach(cells: Cells) -> int:
    """Measure how far from itself a cell looks, pixels: where the gradient of one cell is not zero.

    Args:
        cells: As for :func:`cell_map`, but of float images in ``[0, 1]`` and with a gradient.

    Raises:
        ConfigError: If that is over ``LARGEST_REACH_PX``, as where a network averages over all it sees.
    """
    side = 2 * (LARGEST_REACH_PX + _STEP)
    generator = torch.Generator().manual_seed(0)
    image = torch.rand((1, 3, side, side), generator=generator, requires_grad=True)
    middle = side // CELL_PX // 2
    (slope,) = torch.autograd.grad(cells(image)[0, 0, middle, middle], image)
    places = slope.abs().sum(dim=(0, 1)).nonzero() - middle * CELL_PX
    furthest = int(places.abs().max()) + 1 if len(places) else LARGEST_REACH_PX
    if furthest > LARGEST_REACH_PX:
        raise ConfigError(
            f"map: a cell of this network looks further than {LARGEST_REACH_PX} px, so that pieces of a "
            "picture would not fit together; use a network without attention or squeeze-and-excitation, "
            "such as efficientnet_lite0 or resnet18."
        )
    return furthest


def tile_scores(cells: NDArray[np.float32], *, tile_px: int) -> list[tuple[int, int, NDArray[np.float32]]]:
    """Cut a map into the cells of tiles; the last of a row or column may be smaller.

    Args:
        cells: Logits, float32 ``(h, w)``.
        tile_px: Side of a tile, pixels; rounded down to whole cells.

    Returns:
        Top and left of each tile in pixels, and its cells.
    """
    step = max(1, tile_px // CELL_PX)
    return [
        (row * CELL_PX, column * CELL_PX, cells[row : row + step, column : column + step])
        for row in range(0, cells.shape[0], step)
        for column in range(0, cells.shape[1], step)
    ]
