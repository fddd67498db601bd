"""Outlines of cracks on a photo, in a colour that is visible on dark, bright and painted concrete."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LINE, HALO = (0, 255, 255), (0, 0, 0)
"""Cyan, the complement of inspectors' red, distinct from grey for every colour vision; and its dark edge."""

_PX_PER_LINE = 300


def outlined(pixels: NDArray[np.uint8], marked: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return a photo with lines around marked pixels, which are unchanged.

    Args:
        pixels: RGB values, uint8 ``(H, W, 3)``.
        marked: What to mark, bool ``(H, W)``.
    """
    image = pixels.copy()
    width = max(2, round(max(marked.shape) / _PX_PER_LINE))
    grown = cv2.dilate(marked.astype(np.uint8), np.ones((width + 1, width + 1), np.uint8))
    lines, _ = cv2.findContours(grown, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(image, lines, -1, HALO, width + max(2, width // 2))
    cv2.drawContours(image, lines, -1, LINE, width)
    return image
