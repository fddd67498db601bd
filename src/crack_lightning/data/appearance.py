"""What a tile looks like in a few numbers: light, contrast, sharpness, how much of it is thin and dark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

APPEARANCE_VERSION = 1
"""Raise this whenever the numbers change: surveys in the cache are then made anew."""

MEASURES = ("brightness", "contrast", "sharpness")
_SHARES = (0.5, 0.75, 0.9, 0.97, 0.995)
_BLACK_HATS_PX = (3, 7, 15)
NUM_FEATURES = len(MEASURES) + (2 + len(_BLACK_HATS_PX)) * len(_SHARES)


def appearance(image: NDArray[np.uint8], preview: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Measure a tile.

    Args:
        image: RGB values, uint8 ``(H, W, 3)``.
        preview: The tile in small, uint8 ``(64, 64)``.

    Returns:
        The ``MEASURES`` (mean and deviation of the grey values, in ``[0, 1]``; deviation of their Laplacian,
        after Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000), then quantiles
        over the preview of the grey values, of their gradient and of black-hats of three sizes, float32
        ``(NUM_FEATURES,)``.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    mean, std = cv2.meanStdDev(grey)
    sharpness = cv2.meanStdDev(cv2.Laplacian(grey, cv2.CV_16S))[1]
    maps = [preview, cv2.morphologyEx(preview, cv2.MORPH_GRADIENT, _disc(3))]
    maps += [cv2.morphologyEx(preview, cv2.MORPH_BLACKHAT, _disc(size)) for size in _BLACK_HATS_PX]
    ranks = (np.array(_SHARES) * (preview.size - 1)).astype(np.int64) + 1
    counts = [np.bincount(values.ravel(), minlength=256).cumsum() for values in maps]
    quantiles = [
        count.searchsorted(ranks) for count in counts
    ]  # as sorting would give, in a fifth of the time
    measures = [mean[0, 0], std[0, 0], sharpness[0, 0]]
    return np.asarray(np.concatenate([measures, *quantiles]) / 255, np.float32)


def _disc(size: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
