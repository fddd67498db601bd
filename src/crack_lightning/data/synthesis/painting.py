"""Cracks and distractors painted onto any image of intact concrete.

The same strokes, cracks and distractors as on drawn photos; the paint takes on the sharpness and the grain of
the image.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from crack_lightning.data.synthesis.crack_rendering import CrackAppearance, paint_cracks
from crack_lightning.data.synthesis.cracks import (
    CrackGeometry,
    crack_length_in,
    crack_width_in,
    random_cracks,
)
from crack_lightning.data.synthesis.distractors import DISTRACTORS, paint_distractor

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.data.synthesis.strokes import Stroke

    Image = NDArray[np.float32]

PAINTING_VERSION = 6
"""To be raised whenever the same draws give other pixels, which invalidates cached tiles."""

_GEOMETRY = CrackGeometry(
    usual_px=(0.6, 14.0),
    limits_px=(0.5, 30.0),
    hairlines=0.25,
    tortuosity=(0.1, 0.75),
    begins_inside=0.15,
    ends_inside=0.15,
    branches=(0.7, 0.2, 0.07, 0.03),
    branch_px=(30.0, 160.0),
    swelling=(0.2, 0.9),
    opening=0.8,
    chips=2.0,
)
_NUM_CRACKS, _CHANCE = (1, 2, 3, 5), (0.8, 0.12, 0.05, 0.03)
_LEAST_LENGTH_PX = 48.0
_LEAST_DISTRACTOR_PX = 40
_BESIDE_CRACKS = 0.8


@dataclass(frozen=True, kw_only=True)
class PaintedTile:
    """A painted tile with its annotations.

    Attributes:
        image: uint8 ``(H, W, 3)``, RGB.
        mask: Crack pixels, bool ``(H, W)``: at least half covered, or under a centre line.
        crack_width_px: 95th percentile of the local width along the centre lines; NaN without a crack.
        distractors: Kinds joined by ``+``.
        jpeg_quality: A plausible quality for its JPEG, ``[0, 100]``.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.bool_]
    crack_width_px: float
    distractors: str
    jpeg_quality: int


def paint_tile(image: NDArray[np.uint8], rng: np.random.Generator, *, cracked: bool) -> PaintedTile:
    """Paint distractors, and cracks if wanted, on an image of intact concrete.

    Args:
        image: uint8 ``(H, W, 3)``, RGB; not modified.
        rng: Source of every draw.
        cracked: Whether cracks are painted; distractors are painted in both cases.

    Returns:
        The painted tile; the same draws give the same pixels on any number of threads.
    """
    height, width = image.shape[:2]
    light_angle = float(rng.uniform(0, 2 * np.pi))
    kinds = _random_distractors(rng, cracked=cracked)
    over_cracks = [kind for kind in kinds if "tile" in DISTRACTORS[kind].over_cracks]
    original = image.astype(np.float32) / np.float32(255)
    below = [kind for kind in kinds if kind not in over_cracks]
    scene, seen = _paint_distractors(original, below, rng, light_angle)
    mask, crack_width = np.zeros((height, width), np.bool_), float("nan")
    if cracked:
        cracks = _cracks(rng, height, width)
        crack_width = crack_width_in(cracks, 0, 0, width, height)
        scene, mask = paint_cracks(
            scene, cracks, rng, appearance=_random_appearance(rng, light_angle, crack_width)
        )
    scene, on_top = _paint_distractors(scene, over_cracks, rng, light_angle)
    return PaintedTile(
        image=_blend(image, original, scene, rng),
        mask=mask,
        crack_width_px=crack_width,
        distractors="+".join(seen + on_top),
        jpeg_quality=int(rng.integers(75, 97)),
    )


def estimate_blur_px(image: NDArray[np.uint8]) -> float:
    """Estimate the standard deviation of an image's blur, pixels, in ``[0.4, 1.1]``.

    From the energy of the finest detail over that of the next coarser band; the scale was set by eye on the
    edges of real cracks.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, coarse = (cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (0.8, 2.0))
    detail = cv2.norm(grey, fine, cv2.NORM_L1) / max(cv2.norm(fine, coarse, cv2.NORM_L1), 1e-6)
    return float(np.clip(1.5 - detail, 0.4, 1.1))


def _cracks(rng: np.random.Generator, height: int, width: int) -> list[Stroke]:
    """Draw cracks until 48 px of them, or half the shorter side, lie on the tile."""
    least = min(_LEAST_LENGTH_PX, min(height, width) / 2)
    while True:
        number = int(rng.choice(_NUM_CRACKS, p=_CHANCE))
        cracks = random_cracks(rng, height, width, num_cracks=number, habit=_GEOMETRY)
        if crack_length_in(cracks, 0, 0, width, height) >= least:
            return cracks


def _random_appearance(
    rng: np.random.Generator, light_angle: float, crack_width_px: float
) -> CrackAppearance:
    """Draw rendering parameters: depth, soiling, edges, fading."""
    warm = float(rng.normal(0.0, 0.025))
    return CrackAppearance(
        light_angle=light_angle,
        darkness=float(rng.uniform(0.6, 0.97)),
        rim=float((0.4 + 0.8 * min(1.0, crack_width_px / 8)) * rng.random() ** 2),
        rim_px=max(1.6, float(rng.uniform(0.2, 1.0)) * crack_width_px),
        rim_gaps=1.0,
        soiling=float(rng.uniform(0.0, 0.25) * (rng.random() < 0.5)),
        tint=(1 + warm, 1.0, 1 - warm),
        fading=float(rng.uniform(0.0, 0.4)),
        wall_px=float(rng.uniform(1.0, 5.0)),
        debris=float(rng.uniform(0.1, 0.5)),
    )


def _random_distractors(rng: np.random.Generator, *, cracked: bool) -> list[str]:
    """Draw the kinds of distractors of a tile."""
    factor = _BESIDE_CRACKS if cracked else 1
    return [
        kind
        for kind, one in DISTRACTORS.items()
        if one.tile_share is not None and rng.random() < one.tile_share * factor
    ]


def _paint_distractors(
    scene: Image, kinds: list[str], rng: np.random.Generator, light_angle: float
) -> tuple[Image, list[str]]:
    """Paint distractors with random strength; return the scene and the kinds that are visible."""
    seen = []
    for kind in kinds:
        painted, area = paint_distractor(kind, scene, rng, light_angle=light_angle)
        strength = float(rng.uniform(0.35, 1.0))
        scene = np.asarray(cv2.addWeighted(painted, strength, scene, 1 - strength, 0), np.float32)
        if area.sum() >= _LEAST_DISTRACTOR_PX:
            seen.append(kind)
    return scene, seen


def _blend(
    image: NDArray[np.uint8], original: Image, scene: Image, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """Blend the paint into the image with the image's sharpness and grain."""
    if scene is original:
        return image.copy()
    sigma, halo = estimate_blur_px(image) * float(rng.uniform(0.8, 1.2)), float(rng.uniform(0.0, 0.8))
    change: NDArray[Any] = cv2.GaussianBlur(cv2.subtract(scene, original), (0, 0), sigma)
    change = cv2.addWeighted(change, 1 + halo, cv2.GaussianBlur(change, (0, 0), 1.5), -halo, 0)
    grain = rng.standard_normal(image.shape[:2], dtype=np.float32)
    grain = cv2.GaussianBlur(grain, (0, 0), sigma) * np.float32(rng.uniform(0.02, 0.12) * sigma)
    change = cv2.multiply(change, cv2.cvtColor(1 + grain, cv2.COLOR_GRAY2RGB))
    return np.asarray(cv2.add(image, change * np.float32(255), dtype=cv2.CV_8U), np.uint8)
