"""A photo at another scale, resized window by window to save memory."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray


class TooSmallError(Exception):
    """A photo is too small for a scale."""


@dataclass(frozen=True, kw_only=True)
class ScaledPhoto:
    """A photo at the scale of a network's input.

    Attributes:
        pixels: RGB values of the photo, uint8 ``(H, W, 3)``.
        scale: Pixels of the network's input per pixel of the photo, positive.
    """

    pixels: NDArray[np.uint8]
    scale: float

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width at that scale, pixels; at least 1."""
        height, width = self.pixels.shape[:2]
        return max(1, round(height * self.scale)), max(1, round(width * self.scale))

    @property
    def steps(self) -> tuple[float, float]:
        """Pixels of the photo per pixel at that scale, down and across, of the rounded shape."""
        (height, width), (tall, wide) = self.pixels.shape[:2], self.shape
        return height / tall, width / wide

    def require_cells(self, cell_px: int) -> None:
        """Check that no side becomes shorter than a cell by scaling.

        Raises:
            TooSmallError: If one does.
        """
        (height, width), (tall, wide) = self.pixels.shape[:2], self.shape
        if min(tall, wide) < min(cell_px, height, width):
            raise TooSmallError(
                f"at scale {self.scale:.3g} the photo of {width} x {height} px is {wide} x {tall} px, less "
                f"than a cell of {cell_px} px; give a larger scale"
            )

    def original(self, corner: tuple[int, int], size: tuple[int, int]) -> tuple[int, int, int, int]:
        """Return top, left, height and width of a scaled window in pixels of the photo.

        Sizes are rounded up, so that windows that touch at that scale leave no gap in the photo.
        """
        starts, sizes = [], []
        for start, length, step, side in zip(corner, size, self.steps, self.pixels.shape[:2], strict=True):
            first = min(round(start * step), side - 1)
            starts.append(first)
            sizes.append(min(ceil(length * step - 1e-6), side - first))
        return starts[0], starts[1], sizes[0], sizes[1]

    def window(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """Return a window of the scaled photo, uint8 ``(h, w, 3)``, clipped to the photo.

        The resize is bilinear with antialiasing, as that of the training tiles. It equals that part of the
        whole resized photo up to rounding, one grey level.
        """
        if self.shape == self.pixels.shape[:2]:
            return self.pixels[rows, columns]
        parts = [
            slice(part.start, min(part.stop, side))
            for part, side in zip((rows, columns), self.shape, strict=True)
        ]
        spans = [
            _span(part, step, side)
            for part, step, side in zip(parts, self.steps, self.pixels.shape[:2], strict=True)
        ]
        (down, top, bottom), (across, left, right) = spans
        height, width = (part.stop - part.start for part in parts)
        source = Image.fromarray(np.ascontiguousarray(self.pixels[down, across]))
        resized = source.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, right, bottom))
        return np.array(resized)


def _span(part: slice, step: float, side: int) -> tuple[slice, float, float]:
    """Return the pixels of a photo that a resize reads, and where in them its box begins and ends."""
    start, stop = part.start * step, min(part.stop * step, side)
    margin = ceil(max(1.0, step)) + 1
    first, last = max(0, int(start) - margin), min(side, ceil(stop) + margin)
    return slice(first, last), start - first, stop - first
