"""Brushes of cracks and distractors: anti-aliased lines of varying width, darkening, modulation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.synthesis.concrete import attenuate, octave_noise

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]

SUPERSAMPLING = 4


@dataclass(frozen=True, kw_only=True)
class Stroke:
    """A line with two independent rough edges.

    Attributes:
        points: Centre line as x, y in pixels, in equal steps, float ``(P, 2)``.
        half_width_px: Distance from the centre line to the left and to the right edge, float ``(P, 2)``.
    """

    points: NDArray[np.float64]
    half_width_px: NDArray[np.float64]

    @property
    def width_px(self) -> NDArray[np.float64]:
        """Local width along the line, float ``(P,)``."""
        return np.asarray(self.half_width_px.sum(axis=1))

    @property
    def step_px(self) -> float:
        """Distance from one point to the next."""
        return float(np.hypot(*(self.points[1] - self.points[0])))

    def inside(self, left: float, top: float, width_px: float, height_px: float) -> NDArray[np.bool_]:
        """Return which points lie in a rectangle, bool ``(P,)``."""
        offset = self.points - (left, top)
        return np.asarray(((offset >= 0) & (offset < (width_px, height_px))).all(axis=1))


def normals(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the unit vectors to the left of a line at its points, float ``(P, 2)``."""
    along = np.gradient(points, axis=0)
    along /= np.maximum(np.hypot(along[:, 0], along[:, 1]), 1e-9)[:, None]
    return np.stack([along[:, 1], -along[:, 0]], axis=1)


def wander(
    rng: np.random.Generator, num_points: int, *, coarsest: float, roughness: float
) -> NDArray[np.float64]:
    """Draw noise along a line with about unit deviation, float ``(num_points,)``.

    Args:
        rng: Source of the draw.
        num_points: Length of the result.
        coarsest: Longest wavelength, in points; each further octave halves it, down to two points.
        roughness: Strength of an octave relative to the one before, in ``(0, 1]``.
    """
    at = np.arange(num_points, dtype=np.float64)
    total, strength, power, spacing = np.zeros(num_points), 1.0, 0.0, max(coarsest, 2.0)
    while spacing >= 1.0:
        knots = rng.standard_normal(int(num_points / spacing) + 3)
        total += strength * np.interp(at / spacing + rng.random(), np.arange(len(knots)), knots)
        power += strength**2
        strength, spacing = strength * roughness, spacing / 2
    return np.asarray(total / np.sqrt(power))


def coverage(strokes: list[Stroke], height: int, width: int) -> NDArray[np.float32]:
    """Return the share of each pixel that the strokes cover, float ``(H, W)`` in ``[0, 1]``."""
    canvas = np.zeros((height, width), np.float32)
    for stroke in strokes:
        _draw(stroke, canvas)
    return canvas


def centre_lines(strokes: list[Stroke], height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask of the centre lines, bool ``(H, W)``."""
    canvas = np.zeros((height, width), np.uint8)
    lines = [np.round(stroke.points).astype(np.int32)[:, None] for stroke in strokes]
    cv2.polylines(canvas, lines, isClosed=False, color=1)
    return canvas.astype(np.bool_)


def _draw(stroke: Stroke, canvas: NDArray[np.float32]) -> None:
    """Add one stroke to a canvas ``(H, W)``, supersampled four times within its bounding box."""
    sides = normals(stroke.points)
    left = stroke.points + sides * stroke.half_width_px[:, :1]
    right = stroke.points - sides * stroke.half_width_px[:, 1:]
    size = np.array([canvas.shape[1], canvas.shape[0]])
    low = np.clip(np.floor(np.minimum(left, right).min(axis=0)) - 1, 0, size).astype(int)
    high = np.clip(np.ceil(np.maximum(left, right).max(axis=0)) + 2, 0, size).astype(int)
    if (high <= low).any():
        return
    fine = np.zeros((high - low)[::-1] * SUPERSAMPLING, np.uint8)
    # cv2 takes fixed-point corners; pixel (0, 0) covers [-0.5, 0.5)
    corners = np.stack([left[:-1], left[1:], right[1:], right[:-1]], axis=1)
    seen = (corners.max(axis=1) > low - 1).all(axis=1) & (corners.min(axis=1) < high).all(axis=1)
    fixed = np.round(((corners[seen] - low + 0.5) * SUPERSAMPLING - 0.5) * 16).astype(np.int32)
    for quad in fixed:
        cv2.fillConvexPoly(fine, quad, 255, cv2.LINE_8, 4)
    block = cv2.resize(fine, (high - low).tolist(), interpolation=cv2.INTER_AREA)
    window = canvas[low[1] : high[1], low[0] : high[0]]
    np.maximum(window, block.astype(np.float32) / np.float32(255), out=window)


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
