"""Rendering of cracks on an image: dark interior, lit and shaded edges, soiled concrete beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.synthesis.strokes import centre_lines, coverage

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.data.synthesis.strokes import Stroke

_RIM_STEP_PX = 1.6


@dataclass(frozen=True, kw_only=True)
class CrackAppearance:
    """Rendering parameters of the cracks of one image.

    Attributes:
        light_angle: Direction of the light, radians.
        darkness: Share of light absorbed by a deep crack, in ``[0, 1]``.
        rim: Brightening of the edge that faces the light; the other edge is darkened by half of it.
        rim_px: Width of those edges, pixels.
        rim_gaps: Largest local weakening of those edges, in ``[0, 1]``; ``1`` interrupts them.
        soiling: Darkening of the concrete beside the crack.
        tint: Relative transmission of red, green and blue inside, about 1 each.
        fading: Largest share of a crack that fades locally, in ``[0, 1]``.
        wall_px: Depth to which light reaches the crack's wall, pixels.
        debris: Largest share of the darkness that debris inside takes away, in ``[0, 1]``.
    """

    light_angle: float
    darkness: float
    rim: float
    soiling: float
    tint: tuple[float, float, float]
    rim_px: float = 1.6
    rim_gaps: float = 0.0
    fading: float = 0.0
    wall_px: float = 2.0
    debris: float = 0.0


def random_appearance(rng: np.random.Generator, light_angle: float) -> CrackAppearance:
    """Draw rendering parameters for the cracks of one photo."""
    warm = float(rng.normal(0.02, 0.03))
    return CrackAppearance(
        light_angle=light_angle,
        darkness=float(rng.uniform(0.84, 0.98)),
        rim=float(rng.uniform(0.05, 0.35)),
        soiling=float(rng.uniform(0.0, 0.25) * (rng.random() < 0.6)),
        tint=(1 + warm, 1.0, 1 - warm),
    )


def paint_cracks(
    image: NDArray[np.float32], cracks: list[Stroke], rng: np.random.Generator, *, appearance: CrackAppearance
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Paint cracks onto an image.

    Args:
        image: Intensity in ``[0, 1]``, float ``(H, W, 3)``, RGB; not modified.
        cracks: Centre lines and widths.
        rng: Source of the texture inside.
        appearance: Rendering parameters.

    Returns:
        The painted image, float ``(H, W, 3)``, and the mask, bool ``(H, W)``: pixels at least half covered
        and pixels under a centre line, so that a hairline has a mask too.
    """
    height, width = image.shape[:2]
    if not cracks:
        return image, np.zeros((height, width), np.bool_)
    covered = coverage(cracks, height, width)
    mask = (covered >= 0.5) | centre_lines(cracks, height, width)
    lost, transmitted = _light_loss(covered, rng, appearance), 1 + _edge_highlight(covered, rng, appearance)
    factors = cv2.merge(
        [np.maximum(transmitted - lost * np.float32(2 - share), 0) for share in appearance.tint]
    )
    return np.asarray(cv2.multiply(image, factors), np.float32), mask


def _light_loss(
    covered: NDArray[np.float32], rng: np.random.Generator, appearance: CrackAppearance
) -> NDArray[np.float32]:
    """Return the share of light lost, ``(H, W)``: largest inside wide cracks, small in hairlines."""
    deep = cv2.GaussianBlur(covered, (0, 0), 1.8)
    lit_wall = np.maximum(covered - _translate(covered, appearance.light_angle, appearance.wall_px), 0)
    patches = _smooth_noise(rng, covered.shape, low=0.75, cell_px=12)
    if appearance.debris:
        patches *= _smooth_noise(rng, covered.shape, low=1 - appearance.debris, cell_px=3)
    if appearance.fading:
        patches *= _smooth_noise(rng, covered.shape, low=1 - appearance.fading, cell_px=24)
    inside = covered * (0.55 + 0.45 * deep) * (1 - 0.45 * lit_wall) * patches
    beside = appearance.soiling * cv2.GaussianBlur(covered, (0, 0), 7) * (1 - covered)
    return np.asarray(appearance.darkness * inside + beside, np.float32)


def _smooth_noise(
    rng: np.random.Generator, shape: tuple[int, ...], *, low: float, cell_px: int
) -> NDArray[np.float32]:
    """Return smooth noise of scale ``cell_px`` between ``low`` and 1, float of the given shape."""
    small = rng.uniform(low, 1.0, (shape[0] // cell_px + 2, shape[1] // cell_px + 2)).astype(np.float32)
    return np.asarray(cv2.resize(small, shape[::-1], interpolation=cv2.INTER_LINEAR), np.float32)


def _edge_highlight(
    covered: NDArray[np.float32], rng: np.random.Generator, appearance: CrackAppearance
) -> NDArray[np.float32]:
    """Return the relative brightening (or darkening) of the concrete along the two edges, ``(H, W)``."""
    bright, dark = (
        _directional_blur(covered, angle, appearance.rim_px) * (1 - covered)
        for angle in (appearance.light_angle, appearance.light_angle + np.pi)
    )
    rim = appearance.rim * (bright - 0.5 * dark)
    if appearance.rim_gaps:
        whole, broken = (
            _smooth_noise(rng, covered.shape, low=1 - appearance.rim_gaps, cell_px=px) for px in (10, 3)
        )
        rim *= 2 * whole * broken
    return np.asarray(rim, np.float32)


def _directional_blur(values: NDArray[np.float32], angle: float, reach_px: float) -> NDArray[np.float32]:
    """Blur in one direction over ``reach_px``: the mean of copies in steps below a hairline's width."""
    doublings = max(0, int(np.ceil(np.log2(reach_px / _RIM_STEP_PX))))
    step_px = reach_px / 2**doublings
    smeared = _translate(values, angle, step_px)
    for doubled in range(doublings):
        further = _translate(smeared, angle, step_px * 2**doubled)
        smeared = cv2.addWeighted(smeared, 0.5, further, 0.5, 0)  # type: ignore[assignment]
    return smeared


def _translate(values: NDArray[np.float32], angle: float, distance_px: float) -> NDArray[np.float32]:
    move = np.array([[1, 0, distance_px * np.cos(angle)], [0, 1, distance_px * np.sin(angle)]], np.float32)
    return np.asarray(cv2.warpAffine(values, move, values.shape[::-1], borderMode=cv2.BORDER_REPLICATE))
