"""What drawn foreign pictures are made of: colours, ramps, noise, words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Rng = np.random.Generator
    Picture = NDArray[np.uint8]

FONTS = (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_COMPLEX)
_SYLLABLES = ("ka", "lo", "mi", "ter", "san", "ov", "ri", "en", "du", "pla", "st", "ge", "on", "al")


def any_colour(rng: Rng, low: int = 0, high: int = 256) -> tuple[int, int, int]:
    red, green, blue = rng.integers(low, high, 3).tolist()
    return red, green, blue


def filled(size: int, colour: tuple[int, ...]) -> Picture:
    return np.full((size, size, 3), colour, np.uint8)


def ramp(size: int, angle: float) -> NDArray[np.float64]:
    """Return values that rise from 0 to 1 in a direction, float ``(S, S)``."""
    y, x = np.mgrid[:size, :size]
    along = x * np.cos(angle) + y * np.sin(angle)
    return np.asarray((along - along.min()) / np.ptp(along))


def between(low: tuple[int, ...], high: tuple[int, ...], share: NDArray[np.float64]) -> Picture:
    """Blend two colours by a share in ``[0, 1]``, ``(S, S)``."""
    blended = np.array(low) + (np.array(high) - np.array(low)) * share[..., None]
    return np.asarray(np.clip(blended, 0, 255), np.uint8)


def smooth_noise(rng: Rng, size: int, *, slope: float, stretch: float = 1.0) -> NDArray[np.float64]:
    """Return noise whose amplitude falls as frequency to the power of ``slope``, in ``[0, 1]``."""
    y, x = np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size) * stretch, indexing="ij")
    amplitude = np.hypot(y, x)
    amplitude[0, 0] = np.inf
    spectrum = np.fft.fft2(rng.normal(size=(size, size))) * amplitude**-slope
    values = np.fft.ifft2(spectrum).real
    low, high = np.percentile(values, [1, 99])
    return np.asarray(np.clip((values - low) / (high - low), 0, 1))


def _word(rng: Rng) -> str:
    return "".join(rng.choice(_SYLLABLES, int(rng.integers(1, 4))))


def write_lines(rng: Rng, image: Picture, box: tuple[int, int, int, int], colour: tuple[int, ...]) -> None:
    """Write words into a box: left, top, right, bottom."""
    scale, font = float(rng.uniform(0.3, 0.7)), int(rng.choice(FONTS))
    left, top, right, bottom = box
    for y in range(top + int(24 * scale), bottom, int(34 * scale)):
        text = " ".join(_word(rng) for _ in range(12))
        while text and cv2.getTextSize(text, font, scale, 1)[0][0] > right - left:
            text = text[:-1]
        cv2.putText(image, text, (left, y), font, scale, colour, 1, cv2.LINE_AA)
