"""The width of a crack in a pixel mask."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LEAST_LENGTH_PX = 20


def crack_width(crack: NDArray[np.bool_]) -> float:
    """Return the 95th percentile of a crack's local width along its centre line, pixels.

    Args:
        crack: Which pixels are crack, bool ``(H, W)``.

    Returns:
        The width; NaN where the centre line is shorter than 20 px. Half a width is the distance from the
        centre line to the next pixel that is no crack, less half a pixel.
    """
    from skimage.morphology import skeletonize

    line = skeletonize(crack)  # type: ignore[no-untyped-call]
    if line.sum() < _LEAST_LENGTH_PX:
        return float("nan")
    distance = cv2.distanceTransform(np.pad(crack, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, 5)[
        1:-1, 1:-1
    ]
    return float(np.quantile(2 * distance[line] - 1, 0.95))
