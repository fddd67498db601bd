"""The dataset of a tile table, which reads whole batches as uint8."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch.utils.data import Dataset

from crack_lightning.data.io.loading import read_batch, read_masks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from torch import Tensor

    from crack_lightning.data.table import TileTable

    Batch = dict[str, Tensor]


class TileDataset(Dataset[Any]):
    """Reads the tiles of a table in batches.

    Args:
        table: The tiles; the key of an item is its row.
        image_size: Side in pixels that tiles are resized to.
        threads: Threads that read a batch.
        masks: Whether masks are read too.
    """

    def __init__(self, table: TileTable, *, image_size: int, threads: int = 1, masks: bool = False) -> None:
        self.root, self.names = table.root, table.path
        self.labels = torch.from_numpy(table.label)
        self.image_size, self.threads = image_size, threads
        self.masks: NDArray[np.generic] | None = None
        if masks:
            self.masks = table.extra.get("mask", np.full(len(table), ""))
            self.mask_known = torch.from_numpy((self.masks != "") | (table.label != table.positive_index))

    def __len__(self) -> int:
        return len(self.names)

    def __getitems__(self, rows: Sequence[int]) -> Batch:
        """Return ``image`` uint8 ``(N, 3, S, S)``, ``target`` and ``index`` int64 ``(N,)``.

        With masks also ``mask`` uint8 ``(N, 1, S, S)``, crack coverage times 255, and ``mask_known`` bool
        ``(N,)``: true for a tile with a mask file and for an intact one, whose mask is empty.
        """
        return self.read(rows, threads=self.threads)

    def read(self, rows: Sequence[int], *, threads: int) -> Batch:
        """Return the same as :meth:`__getitems__`, read by ``threads`` threads."""
        index = torch.as_tensor(rows, dtype=torch.int64)
        paths = [self.root / str(self.names[row]) for row in rows]
        images = read_batch(paths, size=self.image_size, threads=threads)
        batch = {"image": images, "target": self.labels[index], "index": index}
        if self.masks is None:
            return batch
        files = [self.root / mask if (mask := str(self.masks[row])) else None for row in rows]
        masks = read_masks(files, size=self.image_size)
        return {**batch, "mask": masks, "mask_known": self.mask_known[index]}
