"""Rules for pixel masks, and the width of a crack in one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LEAST_LENGTH_PX = 20


@dataclass(frozen=True, kw_only=True)
class MaskRules:
    """Where masks are, and what their values mean.

    Attributes:
        images: Folders of photos, below the root.
        masks: Folders of masks, one for each of ``images``; the same where they lie beside the photos.
        mask_suffix: What a mask's name has after the photo's: ``_mask`` for ``a.jpg`` and ``a_mask.png``.
        crack_values: Grey values that are crack.
        crack_from: The least grey value that is crack instead; ``None`` for ``crack_values``.
        hard_negatives: Grey values of what only looks like a crack.
        tile_px: Side of a tile, pixels.
        stride_px: Step from tile to tile, pixels.
        least_crack_px: Crack pixels from which a tile is cracked; tiles with fewer, but some, are left out.
        mask_width: ``true`` where a mask shows a crack as wide as it is, ``line`` where it is a thin line.
        exif: Of photos that EXIF turns: ``applied`` where their masks are drawn on the turned photo,
            ``ignored`` where on the pixels as stored, ``auto`` to go by the sizes of both.
    """

    images: Sequence[str]
    masks: Sequence[str]
    mask_suffix: str
    crack_values: Sequence[int]
    crack_from: int | None
    hard_negatives: Sequence[int]
    tile_px: int
    stride_px: int
    least_crack_px: int
    mask_width: str
    exif: str = "auto"

    @property
    def background(self) -> int:
        """The value of what is nothing: 0, or 255 where 0 means something."""
        return 255 if 0 in (*self.crack_values, *self.hard_negatives) else 0

    def undeclared(self, value: int) -> bool:
        """Return whether a value stands for nothing that the rules name."""
        below = self.crack_from is None or value < self.crack_from
        named = (self.background, *self.hard_negatives, *(() if self.crack_from else self.crack_values))
        return below and value not in named

    def is_crack(self, mask: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Return which pixels are crack, bool ``(H, W)``."""
        if self.crack_from is not None:
            return np.asarray(mask >= self.crack_from)
        return np.isin(mask, list(self.crack_values))


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
