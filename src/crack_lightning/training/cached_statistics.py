"""Cached image statistics of tiles, computed while their pixels are read for a linear probe."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from crack_lightning.data.io.loading import map_in_order
from crack_lightning.model.features import cached_features
from crack_lightning.model.ood.image_statistics import NUM_STATISTICS, SIDE, image_statistics

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from crack_lightning.data.split_tiles import SplitTiles


class CachedStatistics:
    """Image statistics of the tiles of some rows.

    Args:
        tiles: The tiles.
        rows: The rows that need statistics, ascending, int64 ``(M,)``.
        digest: Fingerprint of the pixels of these rows.
        cache: The cache folder.
    """

    def __init__(self, tiles: SplitTiles, rows: NDArray[np.int64], *, digest: str, cache: Path) -> None:
        self.tiles, self.rows, self.digest, self.cache = tiles, rows, digest, cache
        self._values = np.full((len(rows), NUM_STATISTICS), np.nan, np.float32)

    def add(self, rows: Sequence[int], images: Tensor) -> None:
        """Compute statistics of the rows of a batch that need them, uint8 ``(N, 3, S, S)``; thread-safe."""
        places = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        needed = self.rows[places] == rows
        if needed.any():
            self._values[places[needed]] = image_statistics(images[torch.from_numpy(needed)]).numpy()

    def put(self, rows: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Store statistics of rows, float32 ``(M, NUM_STATISTICS)``; those of other rows are ignored."""
        places = np.searchsorted(self.rows, rows).clip(max=len(self.rows) - 1)
        needed = self.rows[places] == rows
        self._values[places[needed]] = values[needed]

    def of(self, rows: NDArray[np.int64]) -> Tensor:
        """Return the statistics of rows, float32 ``(N, NUM_STATISTICS)``; read tiles that have none yet."""
        assert np.isin(rows, self.rows).all(), "statistics of other tiles"
        statistics = cached_features(
            self._read_missing(),
            number=len(self.rows),
            fingerprint={
                "image_statistics": f"{NUM_STATISTICS} at {SIDE} px",
                "tiles": self.digest,
                "image_size": self.tiles.dataset.image_size,
                "torch": torch.__version__,
            },
            cache=self.cache,
        )
        return torch.from_numpy(statistics[np.searchsorted(self.rows, rows)])

    def _read_missing(self) -> Iterator[Tensor]:
        def read(rows: list[int]) -> None:
            self.add(rows, self.tiles.dataset.read(rows, threads=1)["image"])

        missing, size = self.rows[np.isnan(self._values[:, 0])], self.tiles.batch_size
        for _ in map_in_order(
            read, [missing[start : start + size].tolist() for start in range(0, len(missing), size)]
        ):
            pass
        yield torch.from_numpy(self._values)
