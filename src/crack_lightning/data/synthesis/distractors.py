"""Distractors that resemble cracks: joints, cables, scratches, shadows, stains, pores, paint, plants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.synthesis import formwork
from crack_lightning.data.synthesis.concrete import attenuate, octave_noise
from crack_lightning.data.synthesis.cracks import random_cracks
from crack_lightning.data.synthesis.strokes import (
    Stroke,
    coverage,
    darken,
    modulate,
    normals,
    straight_line,
    translate,
    wander,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Painter = Callable[[np.random.Generator, Image, float], tuple[Image, NDArray[np.float32]]]


_PLANTS = np.array([[0.32, 0.46, 0.06], [0.20, 0.44, 0.08], [0.62, 0.30, 0.02]])
_PAINTS = np.array([[0.70, 0.10, 0.08], [0.08, 0.18, 0.62], [0.75, 0.32, 0.03], [0.03, 0.46, 0.34]])


@dataclass(frozen=True)
class Distractor:
    """One kind of distractor.

    Attributes:
        paint: Returns a painted copy of an image, float ``(H, W, 3)``, and what it covers, float ``(H, W)``,
            from a generator, the image and the direction of the light in radians.
        photo_share: Share of drawn photos with it, before the clutter factor; ``None`` for never.
        tile_share: Share of painted tiles that have it, likewise.
        on_every_wall: Whether its share of photos is independent of the clutter factor.
        over_cracks: Where it is painted over the cracks and not below them: ``photo``, ``tile``.
    """

    paint: Painter
    photo_share: float | None = None
    tile_share: float | None = None
    on_every_wall: bool = False
    over_cracks: tuple[str, ...] = ()


def paint_distractor(
    kind: str, image: Image, rng: np.random.Generator, *, light_angle: float
) -> tuple[Image, NDArray[np.bool_]]:
    """Paint one kind of distractor onto an image.

    Args:
        kind: A key of ``DISTRACTORS``.
        image: Intensity in ``[0, 1]``, float ``(H, W, 3)``, RGB; not modified.
        rng: Source of every draw.
        light_angle: Direction of the light, radians.

    Returns:
        The painted image, float ``(H, W, 3)``, and the mask of the distractor, bool ``(H, W)``.
    """
    painted, covered = DISTRACTORS[kind].paint(rng, image, light_angle)
    return painted, covered > 0.25


def _joint(rng: np.random.Generator, image: Image, light_angle: float) -> tuple[Image, NDArray[np.float32]]:
    """Paint joints: straight grooves with the width and darkness of cracks, one wall shaded and one lit."""
    marked = np.zeros(image.shape[:2], np.float32)
    for _ in range(int(rng.choice([1, 2, 3], p=[0.35, 0.4, 0.25]))):
        half = float(np.exp(rng.uniform(np.log(0.8), np.log(5.5))))
        line = straight_line(rng, image, half, tilt=0.6)
        line.half_width_px[:] += (
            0.06 * half * wander(rng, len(line.points), coarsest=20, roughness=0.8)[:, None]
        )
        covered = coverage([line], *image.shape[:2])
        toward = np.array([np.cos(light_angle), np.sin(light_angle)]) * half
        shade = coverage([translate(line, toward)], *image.shape[:2]) * covered
        image = darken(image, modulate(rng, covered, 0.6), float(rng.uniform(0.3, 0.9)))
        image = darken(image, shade, float(rng.uniform(0.0, 0.6)))
        rim = coverage([translate(line, toward / half * 2)], *image.shape[:2]) * (1 - covered)
        image = darken(image, rim, float(rng.uniform(-0.25, 0)))
        marked = np.maximum(marked, covered)
    return image, marked


def _shadow(rng: np.random.Generator, image: Image, _light_angle: float) -> tuple[Image, NDArray[np.float32]]:
    """Paint a shadow with soft edges: a half plane, or a band as of a pole."""
    height, width = image.shape[:2]
    angle, softness = rng.uniform(0, 2 * np.pi), rng.uniform(0.6, 6)
    through = rng.uniform(0.15, 0.85, 2) * (width, height)
    y, x = np.ogrid[:height, :width]
    distance = (x - through[0]) * np.cos(angle) + (y - through[1]) * np.sin(angle)
    bend = rng.normal(0, 0.15) / width
    distance = distance + bend * ((x - through[0]) * np.sin(angle) - (y - through[1]) * np.cos(angle)) ** 2
    shade = np.clip(0.5 + distance / (2 * softness), 0, 1)
    if rng.random() < 0.5:
        shade *= np.clip(0.5 + (rng.uniform(14, 40) - distance) / (2 * softness), 0, 1)
    edge = (shade > 0.02) & (shade < 0.98)
    painted = darken(image, shade.astype(np.float32), float(rng.uniform(0.35, 0.92)))
    return painted, edge.astype(np.float32)


def _cable(rng: np.random.Generator, image: Image, light_angle: float) -> tuple[Image, NDArray[np.float32]]:
    """Paint a cable: a smooth curve of constant width with round shading and a cast shadow."""
    half = float(rng.uniform(1.0, 6))
    line = straight_line(rng, image, half, tilt=0.5)
    slow = wander(rng, len(line.points), coarsest=rng.uniform(60, 200), roughness=0.25)
    kernel = np.hanning(41) / np.hanning(41).sum()
    bow = np.convolve(np.pad(slow, 20, mode="edge"), kernel, mode="valid")
    line.points[:] += normals(line.points) * (rng.uniform(5, 30) * bow)[:, None]
    size = image.shape[:2]
    covered = coverage([line], *size)
    away = rng.uniform(0.5, 3) * half * np.array([np.cos(light_angle), np.sin(light_angle)])
    cast = cv2.GaussianBlur(coverage([translate(line, away)], *size), (0, 0), float(rng.uniform(0.6, 2.5)))
    image = darken(image, np.asarray(cast, np.float32), float(rng.uniform(0, 0.5)))
    gloss = Stroke(points=line.points - away / 8, half_width_px=line.half_width_px * 0.35)
    shine = cv2.GaussianBlur(coverage([gloss], *size), (0, 0), 0.3 * half + 0.3) * covered
    colour, gleam = (
        rng.uniform(0.03, 0.9) ** 1.8 * rng.uniform(0.85, 1.15, 3),
        np.float32(rng.uniform(0.02, 0.3)),
    )
    sheath = cv2.merge([covered * np.float32(share) + gleam * shine for share in colour])
    return np.asarray(cv2.add(attenuate(image, 1 - covered), sheath), np.float32), covered


def _scratches(
    rng: np.random.Generator, image: Image, _light_angle: float
) -> tuple[Image, NDArray[np.float32]]:
    """Paint scratches or pencil marks: thin, smooth, short lines, some parallel."""
    height, width = image.shape[:2]
    strokes, angle = [], float(rng.uniform(0, np.pi))
    for _ in range(int(rng.integers(2, 9))):
        num_points = int(rng.uniform(15, 110))
        bend = np.linspace(0, rng.normal(0, 0.3), num_points)
        heading = angle + rng.normal(0, 0.12) + bend
        steps = 2.5 * np.stack([np.cos(heading), np.sin(heading)], axis=1)
        points = rng.uniform(0, 1, 2) * (width, height) + np.cumsum(steps, axis=0)
        thin = rng.uniform(0.35, 1.5) * np.sin(np.linspace(0.15, np.pi - 0.15, num_points))
        strokes.append(Stroke(points=points, half_width_px=np.repeat(thin[:, None], 2, axis=1)))
    covered = coverage(strokes, height, width)
    amount = float(rng.uniform(0.15, 0.6)) * (1.0 if rng.random() < 0.35 else -0.6)
    return darken(image, modulate(rng, covered, 0.1), amount), covered


def _stain(rng: np.random.Generator, image: Image, _light_angle: float) -> tuple[Image, NDArray[np.float32]]:
    """Paint stains: damp patches, rust and run-off."""
    height, width = image.shape[:2]
    noise = octave_noise(
        rng,
        height,
        width,
        coarsest_px=np.exp(rng.uniform(np.log(14), np.log(140))),
        finest_px=3,
        persistence=rng.uniform(0.4, 0.7),
        stretch=float(rng.choice([1.0, 1.0, 5.0])),
    )
    covered = np.clip((noise - np.float32(rng.uniform(1.2, 2.0))) * np.float32(rng.uniform(0.6, 4)), 0, 1)
    covered = modulate(rng, covered, 0.4)
    strength = rng.uniform(0.35, 0.95)
    rust = np.array([0.35, 0.7, 1.0]) if rng.random() < 0.3 else np.ones(3)
    left = cv2.merge([1 - covered * np.float32(strength * share) for share in rust])
    return np.asarray(cv2.multiply(image, left), np.float32), covered


def _pores(rng: np.random.Generator, image: Image, light_angle: float) -> tuple[Image, NDArray[np.float32]]:
    """Paint air voids: dark round holes with one lit edge."""
    height, width = image.shape[:2]
    largest = rng.uniform(3.5, 9)
    radius = np.exp(rng.uniform(np.log(0.8), np.log(largest), 4000))
    crowd = np.exp(rng.uniform(np.log(0.008), np.log(0.07))) * height * width
    number = min(int(np.searchsorted(np.cumsum(2.3 * radius**2), crowd)) + 1, len(radius))
    radius = radius[:number]
    centre = rng.uniform(0, 1, (number, 2)) * (width, height)
    shape, spin = rng.uniform(0.5, 1, number), rng.uniform(0, 180, number)
    toward = np.array([np.cos(light_angle), np.sin(light_angle)])
    covered, shade = (
        _discs(centre + move, (radius, shape, spin), height, width) for move in (0 * toward, toward)
    )
    image = darken(image, covered, float(rng.uniform(0.7, 0.97)))
    return darken(image, shade * (1 - covered), float(rng.uniform(-0.35, -0.05))), covered


def _discs(
    centre: NDArray[np.float64],
    ellipses: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    height: int,
    width: int,
) -> NDArray[np.float32]:
    """Return the coverage of ellipses by radius, flatness and rotation in degrees, float ``(H, W)``."""
    radius, shape, spin = ellipses
    canvas = np.zeros((height * 2, width * 2), np.uint8)
    for (x, y), major, minor, angle in zip(centre * 2, radius * 2, radius * shape * 2, spin, strict=True):
        fixed = (round(x * 16), round(y * 16)), (round(major * 16), round(minor * 16))
        cv2.ellipse(canvas, *fixed, angle, 0, 360, 255, cv2.FILLED, cv2.LINE_8, 4)
    return np.asarray(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA) / np.float32(255))


def _plants(rng: np.random.Generator, image: Image, _light_angle: float) -> tuple[Image, NDArray[np.float32]]:
    """Paint roots, creepers or moss: lines with the geometry of cracks in green or brown."""
    return _paint_lines_in(rng, image, _PLANTS)


def _paint_lines(
    rng: np.random.Generator, image: Image, _light_angle: float
) -> tuple[Image, NDArray[np.float32]]:
    """Paint crayon or spray lines, as surveyors trace cracks."""
    return _paint_lines_in(rng, image, _PAINTS)


def _paint_lines_in(
    rng: np.random.Generator, image: Image, pigments: NDArray[np.float64]
) -> tuple[Image, NDArray[np.float32]]:
    """Paint coloured lines with the geometry of cracks, so that only colour separates the two."""
    height, width = image.shape[:2]
    number = max(1, round(float(rng.uniform(0.8, 2.2)) * float(np.sqrt(height * width)) / 900))
    covered = coverage(random_cracks(rng, height, width, num_cracks=number), height, width)
    opaque = modulate(rng, covered, 0.7)
    colour = rng.choice(pigments) * rng.uniform(0.75, 1.15)
    layer = cv2.merge([opaque * np.float32(share) for share in colour])
    return np.asarray(cv2.add(attenuate(image, 1 - opaque), layer), np.float32), covered


DISTRACTORS = {
    "stain": Distractor(_stain, photo_share=0.5, on_every_wall=True, tile_share=0.15),
    "formwork": Distractor(formwork.formwork, photo_share=0.05, tile_share=0.15),
    "pores": Distractor(_pores, photo_share=1.0, on_every_wall=True, tile_share=0.12),
    "scratch": Distractor(_scratches, photo_share=0.1, tile_share=0.15),
    "joint": Distractor(_joint, photo_share=0.02, tile_share=0.15),
    "cable": Distractor(_cable, photo_share=0.02, tile_share=0.05, over_cracks=("photo", "tile")),
    "shadow": Distractor(_shadow, photo_share=0.16, tile_share=0.12, over_cracks=("photo", "tile")),
    "plants": Distractor(_plants, photo_share=0.95, tile_share=0.05, over_cracks=("tile",)),
    "paint": Distractor(_paint_lines, photo_share=0.95, tile_share=0.05, over_cracks=("tile",)),
    "gap": Distractor(formwork.gap, tile_share=0.2),
    "ring": Distractor(formwork.ring, tile_share=0.1),
    "runs": Distractor(formwork.runs, tile_share=0.15),
    "honeycomb": Distractor(formwork.honeycomb, tile_share=0.12),
    "dabs": Distractor(formwork.dabs, tile_share=0.15),
}
"""Every kind, in the order in which they are drawn."""
