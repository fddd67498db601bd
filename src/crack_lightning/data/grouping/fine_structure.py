"""The fine structure of tiles, whose aligned correlation separates near-duplicates from similar tiles."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

INNER = slice(5, -5)
"""Part of a preview's side that is compared, for shifts within 5 px."""

_BAND_PX = (0.8, 3.0)
_CLIP = 2.0
_MIDDLE, _RANGE = 128, 127
_FLAT_PX, _BLACK, _EDGE_PX = 9, 2, 6
_LEAST_DETAIL, _LEAST_SHARE = 16, 0.25
_SCALES = (1.0, 0.985, 1.015, 0.97, 1.03, 0.955, 1.045)
_OFFSETS_PX = (0.0, 0.5)
_MIN_UNALIGNED = 0.6


def fine_structures(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the fine structure of N pictures, uint8 ``(N, S, S)``, of the same shape."""
    return np.stack([_fine_structure(picture) for picture in pictures])


def has_detail(fine: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return which of N fine structures have enough detail to compare, bool ``(N,)``.

    In OpenCV a constant image correlates with any other as 1, and one whose only detail is the edge of a
    black margin correlates with all that have such an edge.
    """
    detail = np.abs(fine.astype(np.int16) - _MIDDLE) >= _LEAST_DETAIL
    return np.asarray(detail.mean(axis=(1, 2)) >= _LEAST_SHARE, np.bool_)


def turned(pictures: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Mirror and turn pictures ``(…, S, S)`` into one of the square's eight orientations; 0 leaves them."""
    if orientation & 4:
        pictures = np.swapaxes(pictures, -1, -2)
    return pictures[..., :: -1 if orientation & 2 else 1, :: -1 if orientation & 1 else 1]


def aligned_correlation(one: NDArray[np.uint8], other: NDArray[np.uint8], *, enough: float) -> float:
    """Return the largest normalised cross-correlation over seven scales and all shifts within 5 px.

    The search ends at the first alignment that reaches ``enough``, and where unscaled tiles correlate by less
    than 0.6.

    Args:
        one: Fine structure, uint8 ``(S, S)``.
        other: Likewise, in the orientation of ``one``.
        enough: Correlation that ends the search.
    """
    inner = np.ascontiguousarray(other[INNER, INNER])
    middle = (one.shape[0] - 1) / 2
    largest = -1.0
    for y, x, scale in product(_OFFSETS_PX, _OFFSETS_PX, _SCALES):  # first by whole pixels: most need no more
        matrix = np.array([[scale, 0, middle * (1 - scale) + x], [0, scale, middle * (1 - scale) + y]])
        is_unaligned = (scale, x, y) == (1, 0, 0)
        moved = one if is_unaligned else cv2.warpAffine(one, matrix, one.shape, borderMode=cv2.BORDER_REFLECT)
        largest = max(largest, float(cv2.matchTemplate(moved, inner, cv2.TM_CCOEFF_NORMED).max()))
        if largest >= enough or (is_unaligned and largest < _MIN_UNALIGNED):
            break
    return largest


def _fine_structure(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Band-pass filter an image, against noise and JPEG's grid and against uneven light, and clip the result.

    Values are clipped at ``_CLIP`` robust deviations (1.4826 median absolute values), so that a crack does
    not outweigh the concrete beside it. The clipped range is 1 to 255. Margins, as of an orthomosaic, are
    masked with their edges.
    """
    values = picture.astype(np.float32)
    fine, wide = (cv2.GaussianBlur(values, (0, 0), sigma) for sigma in _BAND_PX)
    detail = fine - wide
    some = np.abs(detail[::2, ::2])  # a quarter of the values suffices for a median
    flat = _margins(picture)
    if flat is not None:
        detail[flat] = 0
        some = some[~flat[::2, ::2]]
    usual = np.median(some) if some.size else 0.0
    limit = np.float32(_CLIP * (1.4826 * usual + 0.3))
    return np.asarray(np.rint(_MIDDLE + np.clip(detail / limit, -1, 1) * _RANGE), np.uint8)


def _margins(picture: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Return the mask of margins of at least 9 x 9 pixels and their surroundings; ``None`` without any.

    A margin has one value, or is black up to JPEG artefacts; bool ``(S, S)``.
    """
    window = np.ones((_FLAT_PX, _FLAT_PX), np.uint8)
    highest, lowest = cv2.dilate(picture, window), cv2.erode(picture, window)
    flat = (highest == lowest) | (highest <= _BLACK)
    if not flat.any():
        return None
    reach = np.ones((_FLAT_PX + 2 * _EDGE_PX, _FLAT_PX + 2 * _EDGE_PX), np.uint8)
    return np.asarray(cv2.dilate(flat.astype(np.uint8), reach) > 0, np.bool_)
