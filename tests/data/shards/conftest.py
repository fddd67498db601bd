"""Tiles of several photos with masks, and their shards."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.shards.writing import write_shards
from crack_lightning.data.table import TileTable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

NUM_TILES = 30
ODD_NAMES = {
    0: "crack/" + "deep/" * 30 + "a.jpg",
    1: "crack/Riß (1) [b].v2.png",
    2: "crack/\udcff not utf8.png",
    3: "archive.tar/inside.png",
}


@pytest.fixture
def table(tmp_path: Path) -> TileTable:
    """Thirty tiles of ten photos in three splits, every other one cracked, with a mask for each of these."""
    root = tmp_path / "tiles"
    names = [ODD_NAMES.get(row, f"intact/{row:02d}.png") for row in range(NUM_TILES)]
    masks = [f"masks/{row:02d}.png" if row % 2 else "" for row in range(NUM_TILES)]
    for row, name in enumerate([*names, *filter(None, masks)]):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.random.default_rng(row).integers(0, 256, (9, 8, 3), np.uint8)).save(root / name)
    photo = np.arange(NUM_TILES) % 10
    return TileTable(
        root=root,
        class_names=("intact", "crack"),
        positive_class="crack",
        path=np.array(names),
        label=np.arange(NUM_TILES) % 2,
        group=np.array([f"wall:photo {number}" for number in photo]),
        source=np.full(NUM_TILES, "wall"),
        split=np.array(["train", "train", "train", "train", "train", "train", "val", "val", "test", "test"])[
            photo
        ],
        sha256=np.array([hashlib.sha256((root / name).read_bytes()).hexdigest() for name in names]),
        extra={
            "mask": np.array(masks),
            "crack_width_px": np.where(np.arange(NUM_TILES) % 2, 1.5, np.nan),
            "near_duplicates": np.array(["", "set 1", "set 1"] * 10),
        },
    )


@pytest.fixture
def written(table: TileTable, tmp_path: Path) -> Callable[..., Path]:
    """Write the table as shards of at most ten tiles, and return their folder."""

    def write(part: TileTable = table, *, tiles_per_shard: int = 10) -> Path:
        write_shards(part, tmp_path / "shards", tiles_per_shard=tiles_per_shard, show_progress=False)
        return tmp_path / "shards"

    return write
