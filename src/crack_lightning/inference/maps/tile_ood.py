"""How unlike the training tiles each tile of a mapped photo is, by its image statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.data.io.loading import resize
from crack_lightning.model.ood.image_statistics import looks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crack_lightning.inference.maps.scaled_photo import ScaledPhoto
    from crack_lightning.model.ood.detector import OODDetector

_TILES = 64


def tile_novelty(
    novelty: OODDetector | None,
    photo: ScaledPhoto,
    places: Sequence[tuple[int, int]],
    size: tuple[int, int],
    *,
    tile_px: int,
) -> NDArray[np.float32]:
    """Judge tiles as a predictor judges them alone; a bounded number is held at once.

    Args:
        novelty: The model's; ``None`` judges none.
        photo: The photo at the scale of the map.
        places: Top and left of each of N tiles at that scale, pixels.
        size: Height and width of the tiles, pixels.
        tile_px: Side of the square that the network takes, pixels.

    Returns:
        Novelty, float32 ``(N,)``; NaN where the model has no limit, or one by its features too, which a map
        does not give.
    """
    if novelty is None or novelty.directions.shape[1]:
        return np.full(len(places), np.nan, np.float32)
    found = []
    for start in range(0, len(places), _TILES):
        images = [
            resize(
                np.array(photo.window(slice(top, top + size[0]), slice(left, left + size[1]))), size=tile_px
            )
            for top, left in places[start : start + _TILES]
        ]
        found.append(novelty.of(looks(torch.stack(images))))
    return torch.cat(found).numpy()
