"""Geometric transforms of a batch: exact flips and quarter turns, and one interpolated warp.

The warp's grid is made of single additions and multiplications, whose rounding does not depend on the batch
size or the number of threads; ``affine_grid`` is a batched matrix product, for which torch does not promise
that (its notes on numerical accuracy, "batched computations").
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional


def flip_and_transpose(images: Tensor, *, transpose: Tensor, horizontal: Tensor, vertical: Tensor) -> Tensor:
    """Transpose, then flip, the selected tiles without interpolation.

    Args:
        images: Any dtype, ``(N, C, H, W)``.
        transpose: Tiles whose axes to swap, bool ``(N,)``; all false unless ``H == W``.
        horizontal: Tiles to mirror left to right, bool ``(N,)``.
        vertical: Tiles to mirror top to bottom, bool ``(N,)``.

    Returns:
        ``(N, C, H, W)``.
    """
    codes = (transpose.long() + 2 * horizontal + 4 * vertical).cpu()
    rows = [(codes == code).nonzero().flatten() for code in range(8)]
    parts = []
    for code, chosen in enumerate(rows):
        part = images.index_select(0, chosen.to(images.device))
        axes = [axis for axis, bit in ((3, 2), (2, 4)) if code & bit]
        parts.append((part.mT if code & 1 and len(part) else part).flip(axes))
    # Whole tiles are copied, one transform at a time: selecting pixel by pixel takes five times as long.
    return torch.cat(parts).index_select(0, torch.cat(rows).argsort().to(images.device))


def warp(images: Tensor, *, angle_deg: Tensor, zoom: Tensor, shift_x: Tensor, shift_y: Tensor) -> Tensor:
    """Rotate, zoom and shift each tile about its centre, bilinear, padded by reflection.

    Args:
        images: float32 ``(N, C, H, W)``.
        angle_deg: Degrees, float32 ``(N,)``.
        zoom: Magnification, float32 ``(N,)``, ``> 0``; above 1 crops.
        shift_x: Share of the width, float32 ``(N,)``.
        shift_y: Share of the height, float32 ``(N,)``.

    Returns:
        float32 ``(N, C, H, W)``.
    """
    height, width = images.shape[2:]
    cosine, sine = direction(angle_deg)
    columns, rows = centres(width, images.device), centres(height, images.device)
    cosine, sine, shift_x, shift_y = (
        value.to(images.device).unsqueeze(1)
        for value in (cosine / zoom, sine / zoom, 2 * shift_x, 2 * shift_y)
    )
    grid = torch.empty(len(images), height, width, 2, device=images.device)
    x_by_row = shift_x - sine * (rows * (height / width))
    y_by_row = shift_y + cosine * rows
    torch.add((cosine * columns).unsqueeze(1), x_by_row.unsqueeze(2), out=grid[..., 0])
    torch.add((sine * (columns * (width / height))).unsqueeze(1), y_by_row.unsqueeze(2), out=grid[..., 1])
    return functional.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)


def centres(length: int, device: torch.device) -> Tensor:
    """Return the pixel centres of an axis that runs from -1 to 1, float32 ``(length,)``."""
    return (2 * torch.arange(length, device=device, dtype=torch.float32) + 1) / length - 1


def direction(angle_deg: Tensor) -> tuple[Tensor, Tensor]:
    """Return cosine and sine of angles in degrees, float32 ``(N,)`` each, on the CPU.

    Python's own functions, one angle at a time: torch's vectorised ones may round by position in the batch.
    """
    angles = [math.radians(angle) for angle in angle_deg.tolist()]
    cosines, sines = [math.cos(angle) for angle in angles], [math.sin(angle) for angle in angles]
    return torch.tensor(cosines), torch.tensor(sines)
