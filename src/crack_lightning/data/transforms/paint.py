"""Online painting: cracks and distractors on intact tiles of a training batch, new in every epoch."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.data.synthesis.painting import paint_tile
from crack_lightning.data.transforms.counter_rng import Draw, hash_key, uniform

if TYPE_CHECKING:
    from torch import Tensor

    from crack_lightning.data.synthesis.painting import PaintedTile


def paint_batch(
    batch: dict[str, Tensor], *, share: float, positive_index: int, seed: int, epoch: int
) -> dict[str, Tensor]:
    """Paint on the intact tiles of a training batch; a tile's draws come from (seed, epoch, tile) alone.

    Args:
        batch: ``image`` uint8 ``(N, 3, H, W)``, ``target`` and ``index`` int64 ``(N,)``; with ``mask`` uint8
            ``(N, 1, H, W)`` and ``mask_known`` bool ``(N,)`` where masks are read. Not changed.
        share: Share of the intact tiles that become cracked, in ``[0, 0.5]``; as many others get distractors
            alone.
        positive_index: The class of cracked tiles.
        seed: The run's seed.
        epoch: The epoch, from 0.

    Returns:
        A new batch with painted images and their targets and masks.
    """
    index = batch["index"].cpu()
    draw = uniform(seed, epoch, index, Draw.PAINT)
    intact = batch["target"].cpu() != positive_index
    rows = (intact & (draw < 2 * share)).nonzero().flatten()
    pixels = batch["image"][rows.to(batch["image"].device)].permute(0, 2, 3, 1).contiguous().cpu().numpy()

    def paint(place: int) -> PaintedTile:
        row = int(rows[place])
        key = int(hash_key(seed, epoch, index[row], Draw.PAINTING)) % 2**64
        return paint_tile(pixels[place], np.random.default_rng(key), cracked=bool(draw[row] < share))

    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        tiles = list(pool.map(paint, range(len(rows))))
    painted = {key: value.clone() for key, value in batch.items()}
    for row, tile in zip(rows.tolist(), tiles, strict=True):
        painted["image"][row] = torch.from_numpy(tile.image).permute(2, 0, 1)
        if draw[row] < share:
            painted["target"][row] = positive_index
            if "mask" in batch:
                painted["mask"][row, 0] = torch.from_numpy(tile.mask.astype(np.uint8) * 255)
                painted["mask_known"][row] = True
    return painted
