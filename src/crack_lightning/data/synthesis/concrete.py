"""Rendering of bare concrete: cement texture, aggregate, uneven light, and a camera model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def octave_noise(
    rng: np.random.Generator,
    height: int,
    width: int,
    *,
    coarsest_px: float,
    finest_px: float,
    persistence: float,
    stretch: float = 1.0,
) -> NDArray[np.float32]:
    """Draw smooth noise with zero mean and unit deviation, float ``(H, W)``.

    Args:
        rng: Source of the draw.
        height: Of the result, pixels.
        width: Of the result, pixels.
        coarsest_px: Size of the largest patches.
        finest_px: Size of the smallest patches; at most ``coarsest_px``.
        persistence: Strength of each octave relative to the one twice as coarse.
        stretch: Patches are this many times taller than wide.
    """
    total: NDArray[Any] = np.zeros((1, 1), np.float32)
    strength, cell = 1.0, coarsest_px
    while True:
        rows, columns = int(height / (cell * stretch)) + 3, int(width / cell) + 3
        noise = rng.standard_normal((rows, columns), dtype=np.float32)
        total = cv2.scaleAdd(
            noise, strength, cv2.resize(total, (columns, rows), interpolation=cv2.INTER_CUBIC)
        )
        if cell / 2 < finest_px:
            break
        strength, cell = strength * persistence, cell / 2
    mean, deviation = cv2.meanStdDev(total)
    total = (total - np.float32(mean[0, 0])) / np.float32(max(deviation[0, 0], 1e-6))
    smooth = cv2.INTER_CUBIC if cell > 3 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(total, (width, height), interpolation=smooth), np.float32)


def draw_wall(
    rng: np.random.Generator, height: int, width: int, *, light_angle: float
) -> NDArray[np.float32]:
    """Draw bare, evenly lit concrete.

    Args:
        rng: Source of every draw.
        height: Pixels.
        width: Pixels.
        light_angle: Direction of the light, radians; it shades the surface relief.

    Returns:
        Reflectance in ``[0, 1]``, float ``(H, W, 3)``, RGB.
    """
    tone = _mottling(rng, height, width) + _aggregate(rng, height, width)
    tone += _relief(rng, height, width, light_angle) + _flecks(rng, height, width)
    if rng.random() < 0.3:
        tone += rng.uniform(0.01, 0.04) * _board_grain(rng, height, width)
    return attenuate(_colour(rng, height, width), np.maximum(1 + tone, 0.05))


def attenuate(image: NDArray[np.float32], share: NDArray[np.float32]) -> NDArray[np.float32]:
    """Multiply every channel of an image ``(H, W, 3)`` by a transmittance, float ``(H, W)``."""
    return np.asarray(cv2.multiply(image, cv2.cvtColor(share, cv2.COLOR_GRAY2RGB)), np.float32)


def apply_uneven_light(rng: np.random.Generator, image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Apply uneven light to an image ``(H, W, 3)``: a linear gradient, vignetting and soft patches."""
    height, width = image.shape[:2]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    tilt = rng.normal(0, 0.1, 2).astype(np.float32)
    level = 1 + tilt[0] * x + tilt[1] * y - np.float32(rng.uniform(0, 0.12)) * (x * x + y * y)
    patches = octave_noise(rng, height, width, coarsest_px=400, finest_px=200, persistence=0.5)
    level = (level + np.float32(rng.uniform(0, 0.05)) * patches).astype(np.float32)
    return attenuate(image, level)


def apply_camera(rng: np.random.Generator, scene: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Apply a camera model: lens blur, sharpening, contrast, sensor noise, 8-bit quantisation.

    Args:
        rng: Source of every draw.
        scene: Scene radiance, float ``(H, W, 3)``, about ``[0, 1]``; not modified.

    Returns:
        The picture, uint8 ``(H, W, 3)``, RGB.
    """
    picture: NDArray[Any] = cv2.GaussianBlur(scene, (0, 0), float(rng.uniform(0.45, 1.2)))
    if rng.random() < 0.5:
        soft = cv2.GaussianBlur(picture, (0, 0), 1.5)
        amount = float(rng.uniform(0.2, 0.8))
        picture = cv2.addWeighted(picture, 1 + amount, soft, -amount, 0)
    contrast, middle = float(rng.uniform(0.85, 1.2)), float(np.mean(cv2.mean(picture)[:3]))
    picture = cv2.addWeighted(picture, contrast, picture, 0, middle * (1 - contrast))
    picture = cv2.scaleAdd(_sensor_noise(rng, *scene.shape[:2]), float(rng.uniform(0.0025, 0.015)), picture)
    return np.asarray(np.clip(picture * np.float32(255), 0, 255).astype(np.uint8))


def _sensor_noise(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return noise ``(H, W, 3)``: one plane, sometimes smoothed, with another offset in each channel."""
    plane: NDArray[Any] = rng.standard_normal((height + 22, width + 14), dtype=np.float32)
    if rng.random() < 0.6:
        plane = cv2.GaussianBlur(plane, (0, 0), float(rng.uniform(0.5, 0.9)))
    moved = [plane[11 * i : height + 11 * i, 7 * i : width + 7 * i] for i in range(3)]
    return np.asarray(cv2.merge(moved), np.float32)


def _colour(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return the base colour with a slow spatial drift, float ``(H, W, 3)``."""
    warm, green = rng.normal(0.02, 0.04), rng.normal(0, 0.012)
    base = rng.uniform(0.25, 0.85) * np.array([1 + warm, 1 + green, 1 - warm])
    drift = rng.normal(0, rng.uniform(0.002, 0.012), (height // 90 + 3, width // 90 + 3, 1))
    small = (base * (1 + drift * (1, 0.3, -1))).astype(np.float32)
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC), np.float32)


def _mottling(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return mottling of the cement at several scales, a relative change of tone ``(H, W)``."""
    noise = octave_noise(
        rng,
        height,
        width,
        coarsest_px=rng.uniform(100, 300),
        finest_px=2,
        persistence=rng.uniform(0.6, 1.0),
        stretch=rng.choice([1.0, 1.0, 1.6]),
    )
    return np.asarray(noise * np.float32(rng.uniform(0.01, 0.038)), np.float32)


def _aggregate(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return bright and dark grains of sand and stone, a relative change of tone ``(H, W)``."""
    grain_px = rng.uniform(2.5, 7)
    noise = octave_noise(rng, height, width, coarsest_px=grain_px, finest_px=grain_px / 2, persistence=0.5)
    edge, strength = np.float32(rng.uniform(1.0, 2.4)), np.float32(rng.uniform(0.02, 0.1))
    bright = np.clip(noise - edge, 0, 1)
    dark = np.clip(-noise - edge - np.float32(0.2), 0, 1)
    return np.asarray(strength * (bright * np.float32(rng.uniform(0.3, 1)) - dark), np.float32)


def _flecks(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return bright and dark blotches of a few pixels (laitance, dust, wear), ``(H, W)``."""
    size = rng.uniform(6, 22)
    noise = octave_noise(
        rng, height, width, coarsest_px=size, finest_px=1.6, persistence=rng.uniform(0.7, 1.0)
    )
    return np.asarray(
        noise * np.abs(noise) * np.float32(np.exp(rng.uniform(np.log(0.002), np.log(0.02)))), np.float32
    )


def _relief(rng: np.random.Generator, height: int, width: int, light_angle: float) -> NDArray[np.float32]:
    """Return the shading of a rough surface under directional light, ``(H, W)``."""
    rough = octave_noise(
        rng, height, width, coarsest_px=rng.uniform(8, 24), finest_px=1.2, persistence=rng.uniform(0.5, 0.8)
    )
    slope = directional_slope(rough, light_angle)
    return np.asarray(slope * np.float32(np.exp(rng.uniform(np.log(0.001), np.log(0.015)))), np.float32)


def directional_slope(surface: NDArray[np.float32], light_angle: float) -> NDArray[np.float32]:
    """Return the slope of a surface ``(H, W)`` in the direction of the light, of the same shape."""
    slope = np.float32(np.cos(light_angle)) * cv2.Sobel(surface, cv2.CV_32F, 1, 0, ksize=3)
    slope += np.float32(np.sin(light_angle)) * cv2.Sobel(surface, cv2.CV_32F, 0, 1, ksize=3)
    return np.asarray(slope, np.float32)


def _board_grain(rng: np.random.Generator, height: int, width: int) -> NDArray[np.float32]:
    """Return the imprint of rough-sawn boards, vertical or horizontal streaks ``(H, W)``."""
    upright = rng.random() < 0.6
    size = (height, width) if upright else (width, height)
    streaks = octave_noise(rng, *size, coarsest_px=24, finest_px=2.5, persistence=0.8, stretch=12)
    return streaks if upright else np.ascontiguousarray(streaks.T)
