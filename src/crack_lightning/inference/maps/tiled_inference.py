"""Tiled inference: the cell map of an image of any size, in bounded memory and without seams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.inference.maps.cell_pieces import cell_map
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
    """Return a logit for every 8 pixels of a picture at a scale.

    See :func:`~crack_lightning.inference.maps.cell_pieces.cell_map`; other arguments and the result are its.

    Args:
        cells: From images, uint8 ``(1, 3, h, w)`` whose sides are multiples of 16, to logits, float
            ``(1, 1, h / 8, w / 8)``.
        pixels: RGB values, uint8 ``(H, W, 3)``.
        reach_px: Radius of a cell's receptive field, pixels (:func:`receptive_radius`).
        piece_px: Largest side of a piece, pixels.
        scale: Pixels of the network's input per pixel of the picture.
    """

    def computed(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.asarray(cells(torch.from_numpy(images)).numpy(), np.float32)

    return cell_map(computed, pixels, reach_px=reach_px, piece_px=piece_px, scale=scale)


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
