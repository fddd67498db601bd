"""A probe computes the image statistics of the tiles that need them, and of no others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from crack_lightning.data.datamodule import CrackDataModule
from crack_lightning.data.synthesis.drawn_tiles import load as drawn
from crack_lightning.data.transforms.augmentation import Augmentation
from crack_lightning.model.ood import image_statistics as measure
from crack_lightning.training import cached_statistics
from crack_lightning.training.cached_statistics import CachedStatistics

if TYPE_CHECKING:
    from pathlib import Path

ROWS = np.array([1, 4, 5, 9])


@pytest.fixture
def tiles(tmp_path: Path) -> CrackDataModule:
    table = drawn(seed=0, num_tiles=12, tile_px=64, cache=tmp_path)
    return CrackDataModule(
        table,
        image_size=32,
        batch_size=3,
        num_workers=0,
        timeout_s=60,
        seed=0,
        sampler="shuffled",
        augmentation=Augmentation(),
        mixing={},
    )


def kept(tiles: CrackDataModule, cache: Path) -> CachedStatistics:
    return CachedStatistics(tiles, ROWS, digest="of these", cache=cache)


def test_what_is_seen_and_what_is_read_is_measured_alike_and_once(
    tiles: CrackDataModule, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tiles.dataset.read(range(12), threads=1)["image"]
    measured: list[int] = []

    def counted(batch: torch.Tensor) -> torch.Tensor:
        measured.append(len(batch))
        return measure.image_statistics(batch)

    monkeypatch.setattr(cached_statistics, "image_statistics", counted)
    found = kept(tiles, tmp_path)
    found.add([3, 4, 5], images[3:6])
    found.add([6, 7, 8], images[6:9])
    assert measured == [2]
    expected = measure.image_statistics(images[[4, 9]])
    torch.testing.assert_close(found.of(np.array([4, 9])), expected, rtol=1e-4, atol=1e-4)
    assert sum(measured) == len(ROWS)
    torch.testing.assert_close(kept(tiles, tmp_path).of(np.array([4, 9])), found.of(np.array([4, 9])))
    assert sum(measured) == len(ROWS)
