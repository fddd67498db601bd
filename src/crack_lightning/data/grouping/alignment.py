"""Correlation of the fine structure of two tiles, aligned by scale and shift."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

INNER = slice(5, -5)
"""Part of a preview's side that is compared, for shifts within 5 px."""

_SCALES = (1.0, 0.985, 1.015, 0.97, 1.03, 0.955, 1.045)
_OFFSETS_PX = (0.0, 0.5)
_MIN_UNALIGNED = 0.6


def aligned_correlation(one: NDArray[np.uint8], other: NDArray[np.uint8], *, enough: float) -> float:
    """Return the largest normalised cross-correlation over seven scales and all shifts within 5 px.

    The search ends at the first alignment that reaches ``enough``, and where unscaled tiles correlate by less
    than 0.6.

    Args:
        one: Fine structure, uint8 ``(S, S)``.
        other: Likewise, in the orientation of ``one``.
        enough: Correlation that needs no better one.
    """
    inner = np.ascontiguousarray(other[INNER, INNER])
    middle = (one.shape[0] - 1) / 2
    largest = -1.0
    for scale, x, y in product(_SCALES, _OFFSETS_PX, _OFFSETS_PX):
        matrix = np.array([[scale, 0, middle * (1 - scale) + x], [0, scale, middle * (1 - scale) + y]])
        is_unaligned = (scale, x, y) == (1, 0, 0)
        moved = one if is_unaligned else cv2.warpAffine(one, matrix, one.shape, borderMode=cv2.BORDER_REFLECT)
        largest = max(largest, float(cv2.matchTemplate(moved, inner, cv2.TM_CCOEFF_NORMED).max()))
        if largest >= enough or (is_unaligned and largest < _MIN_UNALIGNED):
            break
    return largest
