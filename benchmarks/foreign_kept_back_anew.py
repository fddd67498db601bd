"""More kinds of foreign pictures kept back, drawn after those of ``foreign_kept_back`` had been seen once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from foreign_brushes import any_colour, between, filled, ramp, smooth_noise

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Rng = np.random.Generator
    Picture = NDArray[np.uint8]
    Painter = Callable[[Rng, int], Picture]


def bar_code(rng: Rng, size: int) -> Picture:
    image = filled(size, (250, 250, 248))
    left = int(rng.integers(8, 25))
    while left < size - 20:
        wide = int(rng.integers(1, 8))
        cv2.rectangle(image, (left, 15), (left + wide, size - int(rng.integers(35, 40))), (15, 15, 15), -1)
        left += wide + int(rng.integers(2, 9))
    digits = "".join(map(str, rng.integers(0, 10, 12)))
    cv2.putText(image, digits, (15, size - 12), cv2.FONT_HERSHEY_PLAIN, 1.4, (20, 20, 20), 1, cv2.LINE_AA)
    return image


def sheet_music(rng: Rng, size: int) -> Picture:
    image = filled(size, (252, 250, 240))
    for top in range(20, size - 40, 70):
        for line in range(5):
            cv2.line(image, (6, top + 8 * line), (size - 6, top + 8 * line), (40, 40, 40), 1)
        for x in range(18, size - 10, int(rng.integers(16, 28))):
            y = top + 4 * int(rng.integers(-1, 10))
            cv2.ellipse(image, (x, y), (5, 4), -20, 0, 360, (15, 15, 15), -1, cv2.LINE_AA)
            cv2.line(image, (x + 5, y), (x + 5, y - 26), (15, 15, 15), 1)
    return image


def starry_night(rng: Rng, size: int) -> Picture:
    image = between((2, 3, 12), (25, 20, 60), smooth_noise(rng, size, slope=1.8))
    for _ in range(int(rng.integers(80, 300))):
        light = int(rng.integers(120, 256))
        centre = tuple(rng.integers(0, size, 2).tolist())
        cv2.circle(image, centre, int(rng.random() < 0.1), (light, light, min(255, light + 20)), -1)
    return image


def maze(rng: Rng, size: int) -> Picture:
    step = int(rng.integers(10, 22))
    image = filled(size, any_colour(rng, 200, 256))
    colour = any_colour(rng, 0, 90)
    for y in range(0, size, step):
        for x in range(0, size, step):
            end = (x + step, y + step) if rng.random() < 0.5 else (x + step, y)
            start = (x, y) if end[1] > y else (x, y + step)
            cv2.line(image, start, end, colour, 3, cv2.LINE_AA)
    return image


def roof_tiles(rng: Rng, size: int) -> Picture:
    tone, radius = np.array([175, 85, 60]) * rng.uniform(0.6, 1.2), int(rng.integers(12, 26))
    image = filled(size, tuple((tone * 0.4).tolist()))
    for row, y in reversed(list(enumerate(range(-radius, size + radius, radius)))):
        for x in range(-radius * (row % 2), size + radius, 2 * radius):
            colour = tuple(np.clip(tone * rng.uniform(0.75, 1.2), 0, 255).tolist())
            cv2.circle(image, (x, y), radius, colour, -1, cv2.LINE_AA)
            cv2.circle(image, (x, y), radius, tuple((tone * 0.35).tolist()), 2, cv2.LINE_AA)
    return image


def zebra(rng: Rng, size: int) -> Picture:
    warped = ramp(size, rng.uniform(0, np.pi)) * rng.uniform(25, 60) + 9 * smooth_noise(rng, size, slope=1.7)
    return between((25, 22, 20), (238, 232, 220), np.clip(0.5 + 3 * np.sin(warped), 0, 1))


def bubbles(rng: Rng, size: int) -> Picture:
    image = between(any_colour(rng, 30, 160), any_colour(rng, 90, 230), ramp(size, rng.uniform(0, 6)))
    for _ in range(int(rng.integers(15, 45))):
        centre, radius = rng.integers(0, size, 2), int(rng.integers(6, 28))
        place = tuple(centre.tolist())
        cv2.circle(image, place, radius, (225, 240, 250), 2, cv2.LINE_AA)
        shine = tuple((centre - radius // 3).tolist())
        cv2.circle(image, shine, max(1, radius // 6), (255, 255, 255), -1, cv2.LINE_AA)
    return image


def handwriting(rng: Rng, size: int) -> Picture:
    image, ink = filled(size, (250, 248, 238)), (30, 40, int(rng.integers(80, 170)))
    for base in range(24, size, 24):
        cv2.line(image, (0, base), (size, base), (190, 210, 235), 1)
        along = np.arange(10, size - int(rng.integers(10, 70)))
        swing = np.sin(along / rng.uniform(1.8, 3.2) + 1.5 * np.sin(along / 11)) * rng.uniform(3, 7)
        line = np.stack([along, base - 5 + swing], axis=1).astype(np.int32)
        cv2.polylines(image, [line], isClosed=False, color=ink, thickness=1, lineType=cv2.LINE_AA)
    return image


def fireworks(rng: Rng, size: int) -> Picture:
    image = filled(size, (8, 6, 20))
    for _ in range(int(rng.integers(2, 6))):
        centre, reach, colour = rng.integers(30, size - 30, 2), rng.uniform(25, 70), any_colour(rng, 100, 256)
        for angle in rng.uniform(0, 2 * np.pi, 45):
            way = np.array([np.cos(angle), np.sin(angle)]) * reach
            ends = [
                tuple((centre + share * way).astype(int).tolist()) for share in (rng.uniform(0.2, 0.7), 1)
            ]
            cv2.line(image, ends[0], ends[1], colour, 1, cv2.LINE_AA)
    return np.asarray(cv2.add(image, cv2.GaussianBlur(image, (0, 0), 3)), np.uint8)


def keyboard(rng: Rng, size: int) -> Picture:
    image, side = filled(size, tuple([int(rng.integers(15, 90))] * 3)), int(rng.integers(28, 44))
    key, sign = ((225, 225, 228), (40, 40, 40)) if rng.random() < 0.5 else ((50, 50, 54), (235, 235, 235))
    for row, y in enumerate(range(4, size, side)):
        for x in range(4 - row * side // 3, size, side):
            cv2.rectangle(image, (x, y), (x + side - 6, y + side - 6), key, -1)
            letter = chr(int(rng.integers(65, 91)))
            cv2.putText(image, letter, (x + 6, y + 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, sign, 1, cv2.LINE_AA)
    return image


def sunset(rng: Rng, size: int) -> Picture:
    horizon = int(size * rng.uniform(0.45, 0.7))
    image = between((70, 40, 110), (255, 165, 70), ramp(size, np.pi / 2))
    cv2.circle(image, (int(rng.integers(40, size - 40)), horizon - 5), 22, (255, 240, 190), -1, cv2.LINE_AA)
    waves = smooth_noise(rng, size, slope=1.1, stretch=0.2)
    image[horizon:] = between((35, 25, 60), (235, 140, 80), waves)[horizon:]
    return np.asarray(cv2.GaussianBlur(image, (0, 0), 0.8), np.uint8)


def knitting(rng: Rng, size: int) -> Picture:
    tone, step = np.array(any_colour(rng, 60, 230)), int(rng.integers(9, 18))
    image = filled(size, tuple((tone * 0.45).astype(int).tolist()))
    for y in range(-step, size + step, step):
        for x in range(0, size + step, step):
            colour = tuple(np.clip(tone * rng.uniform(0.85, 1.1), 0, 255).tolist())
            for lean in (-1, 1):
                place = (x + lean * step // 4, y + step // 2)
                axes = (max(2, step // 5), step // 2 + 1)
                cv2.ellipse(image, place, axes, -25 * lean, 0, 360, colour, -1, cv2.LINE_AA)
    return image


ANEW: dict[str, Painter] = {
    "bar code": bar_code,
    "sheet music": sheet_music,
    "starry night": starry_night,
    "maze": maze,
    "roof tiles": roof_tiles,
    "zebra": zebra,
    "bubbles": bubbles,
    "handwriting": handwriting,
    "fireworks": fireworks,
    "keyboard": keyboard,
    "sunset": sunset,
    "knitting": knitting,
}
