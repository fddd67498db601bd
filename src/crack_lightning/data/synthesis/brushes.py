"""Brushes that distractors share: straight lines, darkening, modulation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.synthesis.concrete import attenuate, octave_noise
from crack_lightning.data.synthesis.strokes import Stroke, normals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]


def straight_line(rng: np.random.Generator, image: Image, half_px: float, *, tilt: float = 0.03) -> Stroke:
    """Return a straight line across an image ``(H, W, 3)``, vertical or horizontal up to a small tilt.

    Args:
        rng: Source of every draw.
        image: The image that it crosses.
        half_px: Half its width, pixels.
        tilt: Standard deviation of its direction, radians.
    """
    height, width = image.shape[:2]
    angle = rng.choice([0, np.pi / 2]) + rng.normal(0, tilt)
    through = rng.uniform(0.05, 0.95, 2) * (width, height)
    reach = float(np.hypot(height, width))
    along = np.arange(-reach, reach, 4.0)[:, None]
    points = through + along * np.array([[np.cos(angle), np.sin(angle)]])
    return Stroke(points=points, half_width_px=np.full((len(points), 2), half_px))


def translate(stroke: Stroke, shift: NDArray[np.float64]) -> Stroke:
    """Move a line by x and y, pixels."""
    return Stroke(points=stroke.points + shift, half_width_px=stroke.half_width_px)


def darken(image: Image, covered: NDArray[np.float32], amount: float) -> Image:
    """Darken (or, for a negative amount, brighten) the covered part by a share of its light."""
    return attenuate(image, 1 - np.float32(amount) * covered)


def modulate(rng: np.random.Generator, covered: NDArray[np.float32], low: float) -> NDArray[np.float32]:
    """Multiply a mark, float ``(H, W)``, by smooth noise between ``low`` and 1."""
    height, width = covered.shape
    patches = octave_noise(rng, height, width, coarsest_px=60, finest_px=8, persistence=0.7)
    return np.asarray(covered * np.clip(0.75 + 0.35 * patches, low, 1), np.float32)


def left_of_line(line: Stroke, height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask of the pixels to the left of a straight line, bool ``(H, W)``."""
    side = normals(line.points)[0]
    y, x = np.ogrid[:height, :width]
    return np.asarray((x - line.points[0, 0]) * side[0] + (y - line.points[0, 1]) * side[1] > 0)
