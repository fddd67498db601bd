"""Kinds of foreign pictures that were kept back for the test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from foreign_brushes import FONTS, any_colour, between, filled, ramp, smooth_noise, write_lines
from foreign_chosen_on import foliage, sky

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rng = np.random.Generator
    Picture = NDArray[np.uint8]
    Painter = Callable[[Rng, int], Picture]


def mosaic(rng: Rng, size: int) -> Picture:
    points = rng.uniform(0, size, (int(rng.integers(40, 160)), 2))
    y, x = np.mgrid[:size, :size]
    distance = (x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2
    return np.asarray(rng.integers(0, 256, (len(points), 3), np.uint8)[distance.argmin(-1)])


def wood(rng: Rng, size: int) -> Picture:
    grain = smooth_noise(rng, size, slope=1.3, stretch=rng.uniform(8, 20))
    rings = (np.sin(grain * rng.uniform(15, 40)) + 1) / 2 * 0.4 + grain * 0.6
    return between((90, 55, 30), (205, 160, 105), rings)


def water(rng: Rng, size: int) -> Picture:
    waves = smooth_noise(rng, size, slope=1.2, stretch=0.25)
    return between((10, 60, 90), (150, 205, 215), waves**1.5)


def road(rng: Rng, size: int) -> Picture:
    horizon = int(size * rng.uniform(0.3, 0.5))
    image = sky(rng, size)
    image[horizon:] = (70, 120, 50)
    vanish = int(size * rng.uniform(0.3, 0.7))
    corners = np.array([[vanish - 4, horizon], [vanish + 4, horizon], [size - 5, size], [5, size]])
    cv2.fillPoly(image, [corners], (75, 75, 80), cv2.LINE_AA)
    for start in np.linspace(0.05, 0.85, 5):
        ends = [
            (int(vanish + (size / 2 - vanish) * t), int(horizon + (size - horizon) * t))
            for t in (start, start + 0.1)
        ]
        cv2.line(image, ends[0], ends[1], (240, 240, 230), max(1, int(8 * start)), cv2.LINE_AA)
    return image


def chart(rng: Rng, size: int) -> Picture:
    image = filled(size, (255, 255, 255))
    for y in range(20, size - 20, 25):
        cv2.line(image, (25, y), (size - 10, y), (215, 215, 215), 1)
    colour, wide = any_colour(rng, 20, 210), int(rng.integers(8, 25))
    for x in range(30, size - 25, wide + 6):
        cv2.rectangle(image, (x, int(rng.integers(25, size - 30))), (x + wide, size - 20), colour, -1)
    points = np.stack(
        [np.arange(30, size - 20, 12), rng.integers(30, size - 30, len(range(30, size - 20, 12)))], 1
    )
    cv2.polylines(image, [points.astype(np.int32)], isClosed=False, color=any_colour(rng), thickness=2)
    write_lines(rng, image, (30, 0, size - 10, 16), (40, 40, 40))
    return image


def skyline(rng: Rng, size: int) -> Picture:
    image = between((15, 15, 45), (200, 110, 80), ramp(size, np.pi / 2))
    left = 0
    while left < size:
        wide, top = int(rng.integers(20, 55)), int(rng.integers(size // 5, size * 3 // 4))
        cv2.rectangle(image, (left, top), (left + wide, size), any_colour(rng, 15, 55), -1)
        for y in range(top + 5, size, 10):
            for x in range(left + 4, left + wide - 4, 9):
                if rng.random() < 0.5:
                    cv2.rectangle(image, (x, y), (x + 4, y + 5), (250, 220, 130), -1)
        left += wide
    return image


def tartan(rng: Rng, size: int) -> Picture:
    stripe = np.repeat(rng.integers(0, 256, (64, 3)), rng.integers(2, 16, 64), axis=0)[:size]
    woven = (stripe[:, None] + stripe[None]) / 2
    y, x = np.mgrid[:size, :size]
    return np.asarray(woven * (0.85 + 0.15 * ((x + y) // 2 % 2))[..., None], np.uint8)


def flowers(rng: Rng, size: int) -> Picture:
    image = foliage(rng, size)
    for _ in range(int(rng.integers(4, 14))):
        centre, petal, colour = rng.integers(0, size, 2), int(rng.integers(7, 20)), any_colour(rng, 120, 256)
        for angle in np.linspace(0, 2 * np.pi, 6, endpoint=False):
            place = centre + petal * np.array([np.cos(angle), np.sin(angle)])
            cv2.circle(image, tuple(place.astype(int).tolist()), petal * 2 // 3, colour, -1, cv2.LINE_AA)
        cv2.circle(image, tuple(centre.tolist()), petal // 2, (240, 200, 40), -1, cv2.LINE_AA)
    return image


def street_map(rng: Rng, size: int) -> Picture:
    image = filled(size, (238, 234, 224))
    for _ in range(3):
        corners = rng.integers(0, size, (5, 2)).astype(np.int32)
        cv2.fillConvexPoly(image, cv2.convexHull(corners), (200, 228, 180), cv2.LINE_AA)
    cv2.polylines(image, [rng.integers(0, size, (4, 2)).astype(np.int32)], False, (160, 200, 240), 18)
    for _ in range(14):
        start, end = rng.integers(-20, size + 20, (2, 2)).tolist()
        wide = int(rng.integers(3, 10))
        cv2.line(image, start, end, (200, 190, 175), wide + 2, cv2.LINE_AA)
        cv2.line(
            image, start, end, (255, 255, 255) if rng.random() < 0.7 else (250, 215, 120), wide, cv2.LINE_AA
        )
    return image


def bokeh(rng: Rng, size: int) -> Picture:
    image = filled(size, any_colour(rng, 0, 50)).astype(np.float64)
    for _ in range(40):
        spot = np.zeros((size, size), np.uint8)
        cv2.circle(spot, tuple(rng.integers(0, size, 2).tolist()), int(rng.integers(8, 30)), 255, -1)
        image += spot[..., None] / 255.0 * np.array(any_colour(rng)) * rng.uniform(0.2, 0.6)
    return np.asarray(cv2.GaussianBlur(np.clip(image, 0, 255).astype(np.uint8), (0, 0), 2), np.uint8)


def coins(rng: Rng, size: int) -> Picture:
    image = between((60, 40, 30), (110, 80, 60), smooth_noise(rng, size, slope=1.0))
    for _ in range(int(rng.integers(4, 10))):
        centre, radius = tuple(rng.integers(0, size, 2).tolist()), int(rng.integers(18, 40))
        tone = np.array([210, 175, 90]) * rng.uniform(0.7, 1.15)
        cv2.circle(image, centre, radius, tuple((tone * 0.6).tolist()), -1, cv2.LINE_AA)
        cv2.circle(image, centre, radius - 3, tuple(np.clip(tone, 0, 255).tolist()), -1, cv2.LINE_AA)
        place = (centre[0] - radius // 3, centre[1] + radius // 3)
        text = str(rng.integers(1, 10))
        cv2.putText(image, text, place, FONTS[2], radius / 22, tuple((tone * 0.5).tolist()), 2, cv2.LINE_AA)
    return image


def qr_code(rng: Rng, size: int) -> Picture:
    cells = rng.integers(0, 2, (29, 29))
    for row, column in ((0, 0), (0, 22), (22, 0)):
        cells[row : row + 7, column : column + 7] = 0
        cells[row + 1 : row + 6, column + 1 : column + 6] = 1
        cells[row + 2 : row + 5, column + 2 : column + 5] = 0
    code = np.pad(cells, int(rng.integers(1, 5)), constant_values=1).astype(np.uint8) * 255
    return np.repeat(cv2.resize(code, (size, size), interpolation=cv2.INTER_NEAREST)[..., None], 3, axis=2)


def fur(rng: Rng, size: int) -> Picture:
    tone = np.array([150, 105, 65]) * rng.uniform(0.5, 1.4)
    image = filled(size, tuple(np.clip(tone * 0.5, 0, 255).astype(int).tolist()))
    lean = rng.uniform(0, np.pi)
    for _ in range(2500):
        start, angle = rng.integers(0, size, 2), lean + rng.normal(0, 0.25)
        end = start + rng.uniform(12, 32) * np.array([np.cos(angle), np.sin(angle)])
        colour = tuple(np.clip(tone * rng.uniform(0.5, 1.3), 0, 255).tolist())
        cv2.line(image, tuple(start.tolist()), tuple(end.astype(int).tolist()), colour, 1, cv2.LINE_AA)
    return image


TESTING: dict[str, Painter] = {
    "mosaic": mosaic,
    "wood": wood,
    "water": water,
    "road": road,
    "chart": chart,
    "skyline": skyline,
    "tartan": tartan,
    "flowers": flowers,
    "street map": street_map,
    "bokeh": bokeh,
    "coins": coins,
    "qr code": qr_code,
    "fur": fur,
}
