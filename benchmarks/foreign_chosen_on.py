"""Kinds of foreign pictures by which it was chosen how such are told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from foreign_brushes import any_colour, between, filled, ramp, smooth_noise, write_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rng = np.random.Generator
    Picture = NDArray[np.uint8]
    Painter = Callable[[Rng, int], Picture]


def text_page(rng: Rng, size: int) -> Picture:
    image = filled(size, tuple([int(rng.integers(225, 256))] * 3))
    write_lines(rng, image, (8, 4, size - 8, size - 4), tuple([int(rng.integers(0, 60))] * 3))
    return image


def gradient(rng: Rng, size: int) -> Picture:
    return between(any_colour(rng), any_colour(rng), ramp(size, rng.uniform(0, 2 * np.pi)))


def checkerboard(rng: Rng, size: int) -> Picture:
    step = int(rng.integers(6, 50))
    y, x = np.mgrid[:size, :size] // step
    return between(any_colour(rng, 0, 90), any_colour(rng, 160, 256), ((x + y) % 2).astype(float))


def foliage(rng: Rng, size: int) -> Picture:
    image = filled(size, (20, 40, 15))
    for _ in range(500):
        green = int(rng.integers(60, 200))
        colour = (int(green * rng.uniform(0.3, 0.8)), green, int(green * rng.uniform(0.1, 0.5)))
        centre = tuple(rng.integers(0, size, 2).tolist())
        axes = (int(rng.integers(5, 16)), int(rng.integers(2, 6)))
        cv2.ellipse(image, centre, axes, float(rng.uniform(0, 180)), 0, 360, colour, -1, cv2.LINE_AA)
    return image


def sky(rng: Rng, size: int) -> Picture:
    blue = between((60, 120, int(rng.integers(190, 240))), (170, 205, 240), ramp(size, np.pi / 2))
    cloud = np.clip(smooth_noise(rng, size, slope=1.6) * 2.4 - rng.uniform(0.8, 1.6), 0, 1)[..., None]
    return np.asarray(blue * (1 - cloud) + 245 * cloud, np.uint8)


def face(rng: Rng, size: int) -> Picture:
    image = between(any_colour(rng), any_colour(rng), ramp(size, rng.uniform(0, 6)))
    skin = np.array([224, 172, 138]) * rng.uniform(0.45, 1.1)
    middle, tall = size // 2 + int(rng.integers(-15, 16)), int(size * rng.uniform(0.3, 0.42))
    hair, own = tuple((skin * 0.3).tolist()), tuple(np.clip(skin, 0, 255).tolist())
    cv2.ellipse(image, (middle, size // 2 - 12), (int(tall * 0.85), tall), 0, 0, 360, hair, -1, cv2.LINE_AA)
    cv2.ellipse(image, (middle, size // 2), (int(tall * 0.7), tall), 0, 0, 360, own, -1, cv2.LINE_AA)
    for side in (-1, 1):
        eye = (middle + side * tall // 4, size // 2 - tall // 5)
        cv2.ellipse(image, eye, (tall // 8, tall // 14), 0, 0, 360, (250, 250, 250), -1, cv2.LINE_AA)
        cv2.circle(image, eye, tall // 16, (40, 30, 20), -1, cv2.LINE_AA)
    mouth = (middle, size // 2 + tall // 2)
    cv2.ellipse(image, mouth, (tall // 4, tall // 12), 0, 0, 360, (170, 60, 60), -1, cv2.LINE_AA)
    return np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.6, 2))), np.uint8)


def bricks(rng: Rng, size: int) -> Picture:
    image = filled(size, (190, 185, 175))
    tall, wide = int(rng.integers(18, 40)), int(rng.integers(45, 90))
    for row, y in enumerate(range(0, size, tall)):
        for x in range(-wide * (row % 2) // 2, size, wide):
            colour = tuple((np.array([165, 80, 60]) * rng.uniform(0.7, 1.15)).tolist())
            cv2.rectangle(image, (x + 2, y + 2), (x + wide - 2, y + tall - 2), colour, -1)
    grain = rng.normal(0, 10, image.shape)
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def screenshot(rng: Rng, size: int) -> Picture:
    image = filled(size, any_colour(rng, 30, 250))
    for _ in range(3):
        left, top = rng.integers(0, size // 2, 2).tolist()
        right, bottom = left + int(rng.integers(80, size)), top + int(rng.integers(60, size))
        cv2.rectangle(image, (left, top), (right, bottom), (245, 245, 247), -1)
        cv2.rectangle(image, (left, top), (right, top + 14), any_colour(rng, 40, 200), -1)
        inside = (left + 5, top + 18, min(right, size) - 5, min(bottom, size) - 20)
        write_lines(rng, image, inside, (30, 30, 30))
        cv2.rectangle(image, (left + 6, bottom - 18), (left + 46, bottom - 5), (40, 110, 220), -1)
    return image


def coloured_noise(rng: Rng, size: int) -> Picture:
    slope = rng.uniform(0.8, 1.6)
    channels = [smooth_noise(rng, size, slope=slope) for _ in range(3)]
    return np.asarray(np.stack(channels, -1) * 255, np.uint8)


def static(rng: Rng, size: int) -> Picture:
    return rng.integers(0, 256, (size, size, 3), np.uint8)


def flat_colour(rng: Rng, size: int) -> Picture:
    hue = np.array([[[rng.integers(180), rng.integers(120, 256), rng.integers(120, 256)]]], np.uint8)
    return filled(size, tuple(cv2.cvtColor(hue, cv2.COLOR_HSV2RGB)[0, 0].tolist()))


def stripes(rng: Rng, size: int) -> Picture:
    waves = np.sin(ramp(size, rng.uniform(0, np.pi)) * rng.uniform(20, 160)) > rng.uniform(-0.4, 0.4)
    return between(any_colour(rng, 0, 120), any_colour(rng, 140, 256), waves.astype(float))


CHOOSING: dict[str, Painter] = {
    "text page": text_page,
    "gradient": gradient,
    "checkerboard": checkerboard,
    "foliage": foliage,
    "sky": sky,
    "face": face,
    "bricks": bricks,
    "screenshot": screenshot,
    "coloured noise": coloured_noise,
    "static": static,
    "flat colour": flat_colour,
    "stripes": stripes,
}
