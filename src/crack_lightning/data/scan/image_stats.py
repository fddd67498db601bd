"""Image statistics of tiles: brightness, contrast, sharpness, colour, thin dark structures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

STATISTICS_VERSION = 2
"""To be raised whenever the numbers change, which invalidates cached scans."""

MEASURES = ("brightness", "contrast", "sharpness")
_SHARES = (0.5, 0.75, 0.9, 0.97, 0.995)
_BLACK_HATS_PX = (3, 7, 15)
_COLOURS = 6
_COLOUR_PX = 28
NUM_FEATURES = len(MEASURES) + (2 + len(_BLACK_HATS_PX)) * len(_SHARES) + _COLOURS


def appearance(image: NDArray[np.uint8], preview: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the image statistics of a tile.

    Args:
        image: RGB values, uint8 ``(H, W, 3)``.
        preview: Thumbnail of the tile, grey, uint8 ``(64, 64)``.

    Returns:
        The ``MEASURES`` (mean and standard deviation of the grey values, in ``[0, 1]``; that of their
        Laplacian, after Pech-Pacheco et al., "Diatom autofocusing in brightfield microscopy", ICPR 2000),
        then quantiles
        over the preview of the grey values, of their gradient and of black-hats of three sizes, then the
        median and the 80th percentile of L*, a* and b*, float32 ``(NUM_FEATURES,)``.
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
    return np.asarray(np.concatenate([measures, *quantiles, _colours(image)]) / 255, np.float32)


def background(appearance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return statistics that tiles of one photo share: colour and sharpness.

    Args:
        appearance: Results of :func:`appearance`, float32 ``(N, NUM_FEATURES)``.

    Returns:
        Two quantiles of L*, a*, b*, then sharpness, in about just noticeable differences, float32 ``(N, 7)``.
    """
    colours = appearance[:, -_COLOURS:] * np.array([100, 255, 255] * 2, np.float32)
    sharpness = 6 * np.log(255 * appearance[:, MEASURES.index("sharpness")] + 1)
    return np.asarray(np.column_stack([colours, sharpness]), np.float32)


def _colours(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    some = cv2.resize(image, (_COLOUR_PX, _COLOUR_PX), interpolation=cv2.INTER_NEAREST)
    values = np.sort(cv2.cvtColor(some, cv2.COLOR_RGB2LAB).reshape(-1, 3), axis=0)
    ranks = (np.array([0.5, 0.8]) * (len(values) - 1)).astype(np.int64)
    return np.asarray(values[ranks].ravel(), np.float64)


def _disc(size: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)
