"""Tiles of a run with their splits, read as uint8 and augmented."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.data.dataset import TileDataset

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from crack_lightning.data.table import TileTable
    from crack_lightning.data.transforms.augmentation import Augmentation


class SplitTiles:
    """Tiles of a run, read as uint8, with limits on training and validation.

    Args:
        table: Tiles with their splits.
        image_size: Side in pixels that tiles are resized to.
        batch_size: Tiles a step.
        seed: Seed of order and augmentation.
        augmentation: Random transforms of training tiles.
        threads: Threads that read a batch.
        masks: Whether batches have masks.
        max_train_batches: Largest number of batches an epoch.
        max_val_batches: Largest number of validation batches.
    """

    def __init__(
        self,
        table: TileTable,
        *,
        image_size: int,
        batch_size: int,
        seed: int,
        augmentation: Augmentation,
        threads: int,
        masks: bool = False,
        max_train_batches: int | None = None,
        max_val_batches: int | None = None,
    ) -> None:
        self.table = table
        self.dataset = TileDataset(table, image_size=image_size, threads=threads, masks=masks)
        self.batch_size, self.seed, self.augmentation = batch_size, seed, augmentation
        self.max_train_batches, self.max_val_batches = max_train_batches, max_val_batches

    def split_rows(self, split: str) -> NDArray[np.int64]:
        """Return the rows of a split, int64 ``(M,)``, ascending; at most the largest number of batches."""
        limit = {"train": self.max_train_batches, "val": self.max_val_batches}.get(split)
        rows = self.table.rows(split)
        if limit is None or len(rows) <= limit * self.batch_size:
            return rows
        rng = np.random.default_rng(self.seed)
        return np.sort(rng.permutation(rows)[: limit * self.batch_size])

    def example_rows(self, number: int) -> NDArray[np.int64]:
        """Return example rows of training tiles, alternating classes; int64 ``(number,)`` or fewer."""
        rows = self.table.rows("train")
        rng = np.random.default_rng([self.seed, number])
        by_class = [
            rng.permutation(rows[self.table.label[rows] == label])
            for label in range(len(self.table.class_names))
        ]
        depth = -(-number // len(by_class))
        turns = [chosen[turn] for turn in range(depth) for chosen in by_class if turn < len(chosen)]
        return np.array(turns[:number], dtype=np.int64)

    def augmented(self, row: int, number: int) -> Tensor:
        """Return one tile as augmented in the first ``number`` epochs, uint8 ``(number, 3, S, S)``."""
        batch = self.dataset.__getitems__([row])
        views = [self.view(batch["image"], batch["index"], epoch=epoch) for epoch in range(number)]
        return torch.cat(views)

    def view(self, images: Tensor, index: Tensor, *, epoch: int) -> Tensor:
        """Return tiles, uint8 ``(N, 3, S, S)``, as augmented in an epoch, rounded to uint8 again."""
        view = self.augmentation(images, index, seed=self.seed, epoch=epoch)
        return (view * 255).round().clamp(0, 255).to(torch.uint8)
