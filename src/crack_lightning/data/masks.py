"""Pixel masks: what their values mean, and how wide a crack in them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

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

    def is_crack(self, mask: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """Return which pixels are crack, bool ``(H, W)``."""
        if self.crack_from is not None:
            return np.asarray(mask >= self.crack_from)
        return np.isin(mask, list(self.crack_values))


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Read a mask's grey values, uint8 ``(H, W)``; of a MATLAB file its ``Segmentation``.

    Raises:
        DataError: If the file is no mask.
    """
    try:
        if path.suffix.lower() == ".mat":
            from scipy.io import loadmat

            return np.asarray(loadmat(path)["groundTruth"]["Segmentation"][0, 0], np.uint8)
        with Image.open(path, formats=("PNG", "BMP", "TIFF", "JPEG")) as image:
            return np.array(image.convert("L"))
    except Exception as error:  # decoders raise anything on damaged bytes
        raise DataError(f"data.masked.masks: cannot read '{path}' ({error}); mend or replace it.") from error


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
