"""Formwork marks: board edges, open joints, tie rings, slurry runs, honeycombs and splashes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.synthesis.concrete import attenuate, directional_slope, octave_noise
from crack_lightning.data.synthesis.strokes import (
    Stroke,
    coverage,
    darken,
    left_of_line,
    modulate,
    normals,
    straight_line,
    translate,
    wander,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Image = NDArray[np.float32]
    Painted = tuple[Image, NDArray[np.float32]]


def formwork(rng: np.random.Generator, image: Image, _light_angle: float) -> Painted:
    """Paint board edges: parallel straight lines, some with a step of tone."""
    first = straight_line(rng, image, float(rng.uniform(0.6, 2.6)), tilt=0.3)
    side = normals(first.points)[0]
    gaps = np.cumsum(rng.uniform(60, 240, int(rng.integers(1, 4))))
    boards = [first, *(translate(first, side * gap) for gap in gaps[:-1])]
    for board in boards:
        board.half_width_px[:] *= (
            1 + 0.3 * wander(rng, len(board.points), coarsest=20, roughness=0.7)[:, None]
        )
        board.points[:] += side * 0.6 * wander(rng, len(board.points), coarsest=30, roughness=0.6)[:, None]
    covered = coverage(boards, *image.shape[:2])
    amount = float(rng.uniform(0.2, 0.8)) * (1.0 if rng.random() < 0.85 else -0.4)
    far = left_of_line(first, *image.shape[:2]).astype(np.float32)
    image = darken(image, far, float(rng.normal(0, 0.04)))
    edge = coverage([translate(board, 1.5 * side) for board in boards], *image.shape[:2]) * (1 - covered)
    image = darken(image, edge, float(rng.uniform(-0.15, 0.05)))
    return darken(image, modulate(rng, covered, 0.15), amount), covered


def gap(rng: np.random.Generator, image: Image, light_angle: float) -> Painted:
    """Paint open joints between boards: ragged straight lines, near black where deep."""
    marked = np.zeros(image.shape[:2], np.float32)
    tilt = float(rng.choice([0.03, 0.4]))
    for _ in range(int(rng.integers(1, 3))):
        half = float(np.exp(rng.uniform(np.log(0.3), np.log(5.0))))
        line = straight_line(rng, image, half, tilt=tilt)
        ragged = rng.uniform(0.1, 0.7) * wander(rng, 2 * len(line.points), coarsest=16, roughness=0.9)
        line.half_width_px[:] *= np.clip(1 + ragged.reshape(2, -1).T, 0.1, 3)
        image = _mirror_beyond(rng, image, line)
        covered = coverage([line], *image.shape[:2])
        image = _fin(rng, image, line, light_angle)
        depth = modulate(rng, covered, float(rng.uniform(0, 0.9)))
        image = darken(image, depth, float(rng.uniform(0.4, 0.97)))
        marked = np.maximum(marked, covered)
    return image, marked


def _mirror_beyond(rng: np.random.Generator, image: Image, line: Stroke) -> Image:
    """Replace the concrete on one side of a line by a mirrored copy in another tone."""
    if rng.random() < 0.4:
        return image
    other = image[::-1] if rng.random() < 0.5 else image[:, ::-1]
    tone = np.float32(np.clip(rng.normal(1, 0.06), 0.8, 1.2))
    far = left_of_line(line, *image.shape[:2])[..., None]
    return np.asarray(np.where(far, other * tone, image), np.float32)


def _fin(rng: np.random.Generator, image: Image, line: Stroke, light_angle: float) -> Image:
    """Paint a rough fin of mortar beside a line."""
    width_px = float(rng.uniform(0.5, 5))
    beside = translate(line, normals(line.points)[0] * (rng.choice([-1, 1]) * width_px))
    strip = modulate(rng, coverage([beside], *image.shape[:2]), 0.0)
    relief = _relief(rng, image.shape[:2], light_angle)
    return attenuate(image, np.maximum(1 + strip * (relief * 0.15 - np.float32(rng.normal(0, 0.12))), 0.05))


def ring(rng: np.random.Generator, image: Image, light_angle: float) -> Painted:
    """Paint the imprints of ties and bolts: circles with thin, interrupted edges, filled or hollow."""
    height, width = image.shape[:2]
    radius = float(rng.uniform(6, 45))
    centre = rng.uniform(0, 1, 2) * (width, height)
    turn = np.linspace(0, 2 * np.pi, max(24, int(radius * 3)))
    points = centre + radius * np.stack([np.cos(turn), np.sin(turn) * rng.uniform(0.85, 1)], axis=1)
    thin = rng.uniform(0.3, 1.4) * np.clip(
        1 + 0.5 * wander(rng, len(turn), coarsest=12, roughness=0.7), 0.1, 3
    )
    edge = coverage([Stroke(points=points, half_width_px=np.repeat(thin[:, None], 2, axis=1))], height, width)
    inside = np.zeros((height, width), np.uint8)
    cv2.fillPoly(inside, [np.round(points).astype(np.int32)], 1)
    toward = np.array([np.cos(light_angle), np.sin(light_angle)])
    y, x = np.mgrid[:height, :width]
    slope = ((x - centre[0]) * toward[0] + (y - centre[1]) * toward[1]) / radius
    image = darken(image, inside.astype(np.float32), float(rng.normal(0, 0.07)))
    image = darken(image, (inside * slope).astype(np.float32), float(rng.uniform(0, 0.15)))
    return darken(image, modulate(rng, edge, 0.0), float(rng.uniform(0.1, 0.8))), edge


def runs(rng: np.random.Generator, image: Image, _light_angle: float) -> Painted:
    """Paint slurry or water runs: vertical bands of another tone with darker, winding edges."""
    height, width = image.shape[:2]
    marked = np.zeros((height, width), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        half = float(rng.uniform(1.5, 14))
        line = straight_line(rng, image, half, tilt=0.08)
        sides = rng.uniform(0.05, 0.5) * wander(rng, 2 * len(line.points), coarsest=20, roughness=0.6)
        line.half_width_px[:] *= np.clip(1 + sides.reshape(2, -1).T, 0.1, 3)
        band = modulate(rng, coverage([line], height, width), 0.0)
        edge = np.asarray(cv2.morphologyEx(band, cv2.MORPH_GRADIENT, np.ones((2, 2), np.uint8)), np.float32)
        image = darken(image, band, float(rng.choice([-1, 1]) * rng.uniform(0.04, 0.25)))
        image = darken(image, edge, float(rng.uniform(0, 0.15)))
        marked = np.maximum(marked, band)
    return image, marked


def honeycomb(rng: np.random.Generator, image: Image, light_angle: float) -> Painted:
    """Paint honeycombs, patches of missing mortar: coarse relief shaded by the light."""
    height, width = image.shape[:2]
    patches = octave_noise(
        rng,
        height,
        width,
        coarsest_px=float(rng.uniform(30, 120)),
        finest_px=4,
        persistence=0.6,
        stretch=float(rng.choice([1.0, 1.0, 4.0])),
    )
    covered = np.clip((patches - np.float32(rng.uniform(0.6, 1.6))) * 3, 0, 1).astype(np.float32)
    shade = np.float32(rng.uniform(0.04, 0.25)) * _relief(rng, (height, width), light_angle)
    return attenuate(image, np.maximum(1 + covered * shade, 0.05)), covered


def dabs(rng: np.random.Generator, image: Image, _light_angle: float) -> Painted:
    """Paint splashes: many small dark spots, some elongated, as of drops and brushes."""
    height, width = image.shape[:2]
    noise = octave_noise(
        rng,
        height,
        width,
        coarsest_px=float(rng.uniform(5, 20)),
        finest_px=2,
        persistence=0.6,
        stretch=float(rng.choice([1.0, 2.0, 4.0])),
    )
    sharp = np.float32(rng.uniform(1, 5))
    covered = modulate(rng, np.clip((noise - np.float32(rng.uniform(1.2, 2.2))) * sharp, 0, 1), 0.0)
    return darken(image, covered, float(rng.uniform(0.08, 0.4))), covered


def _relief(rng: np.random.Generator, shape: tuple[int, ...], light_angle: float) -> NDArray[np.float32]:
    """Return the shading of a rough surface, zero mean and unit deviation, float ``(H, W)``."""
    height, width = shape
    rough = octave_noise(
        rng, height, width, coarsest_px=float(rng.uniform(4, 18)), finest_px=1.5, persistence=0.75
    )
    slope = directional_slope(rough, light_angle)
    return np.asarray(slope / np.float32(max(float(slope.std()), 1e-6)), np.float32)
