"""OOD scores of the tiles of a mapped photo, by image statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.data.io.loading import resize
from crack_lightning.model.ood.image_statistics import image_statistics

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crack_lightning.inference.maps.scaled_photo import ScaledPhoto
    from crack_lightning.model.ood.detector import OODDetector

_TILES = 64


def tile_ood_scores(
    detector: OODDetector | None,
    photo: ScaledPhoto,
    places: Sequence[tuple[int, int]],
    size: tuple[int, int],
    *,
    tile_px: int,
) -> NDArray[np.float32]:
    """Return the OOD scores of tiles, equal to those of a predictor, in bounded memory.

    Args:
        detector: The model's OOD detector, or ``None``.
        photo: The photo at the scale of the map.
        places: Top and left of each of N tiles at that scale, pixels.
        size: Height and width of the tiles, pixels.
        tile_px: Side of the network's square input, pixels.

    Returns:
        OOD scores, float32 ``(N,)``; NaN without a detector, or if it also needs features, which a map does
        not compute.
    """
    if detector is None or detector.features.shape[1]:
        return np.full(len(places), np.nan, np.float32)
    scores = []
    for start in range(0, len(places), _TILES):
        images = [
            resize(
                np.array(photo.window(slice(top, top + size[0]), slice(left, left + size[1]))), size=tile_px
            )
            for top, left in places[start : start + _TILES]
        ]
        scores.append(detector.score(image_statistics(torch.stack(images))))
    return torch.cat(scores).numpy()
