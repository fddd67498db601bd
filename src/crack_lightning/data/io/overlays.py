"""Overlay of an evidence map on an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TINT = (213, 94, 0)  # Okabe and Ito's vermilion, on grey
_STRONGEST = 0.75


def overlay(pixels: NDArray[np.uint8], evidence: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Tint an image in proportion to an evidence map.

    Args:
        pixels: RGB values, uint8 ``(H, W, 3)``.
        evidence: Map of the whole image, float ``(h, w)``; scaled by its maximum, negative values count as 0.

    Returns:
        The picture in grey with its tint, RGB, uint8 ``(H, W, 3)``.
    """
    stretched = cv2.resize(
        np.maximum(evidence, 0).astype(np.float32), pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR
    )
    strength = _STRONGEST * stretched / max(float(stretched.max()), 1e-12)
    grey = np.repeat(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.float32)
    tinted = grey + strength[..., None] * (np.array(_TINT, np.float32) - grey)
    return np.asarray(np.round(tinted), np.uint8)
