"""Variants of the training loop: without one of its settings, and with tiles in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from crack_lightning.data.datamodule import CrackDataModule
from crack_lightning.data.transforms.augmentation import Augmentation
from crack_lightning.model.classifier import CrackClassifier

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

IN_MEMORY = 512


class Contiguous(CrackClassifier):
    """A classifier in torch's default memory format."""

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.backbone((images - self.mean) / self.std)
        return logits


class TensorsInMemory(Dataset[Any]):
    """Random tiles on the device."""

    def __init__(self, labels: Tensor, *, size: int) -> None:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        self.images = torch.randint(256, (IN_MEMORY, 3, size, size), dtype=torch.uint8, device=device)
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitems__(self, rows: Sequence[int]) -> dict[str, Tensor]:
        index = torch.as_tensor(rows, dtype=torch.int64)
        images = self.images[(index % IN_MEMORY).to(self.images.device)]
        return {"image": images, "target": self.labels[index], "index": index}


class OneTile(Dataset[Any]):
    """One tile per item: decoded by Pillow, augmented on its own, as floats."""

    def __init__(self, tiles: CrackDataModule) -> None:
        self.tiles, self.rows = tiles, tiles.table.rows("train")

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> dict[str, Any]:
        table, size = self.tiles.table, self.tiles.dataset.image_size
        row = int(self.rows[number])
        with Image.open(table.root / str(table.path[row])) as picture:
            pixels = np.array(picture.convert("RGB").resize((size, size), Image.Resampling.BILINEAR))
        image, index = torch.from_numpy(pixels).permute(2, 0, 1)[None], torch.tensor([row])
        floats = self.tiles.augmentation(image, index, seed=0, epoch=0)[0]
        return {"image": floats, "target": int(table.label[row]), "index": row}


class TileByTile(CrackDataModule):
    """The tiles through a plain DataLoader."""

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(OneTile(self), batch_size=self.batch_size, shuffle=True, drop_last=True)

    def on_after_batch_transfer(self, batch: dict[str, Tensor], dataloader_idx: int) -> dict[str, Tensor]:
        return batch


def make_contiguous(classifier: CrackClassifier) -> None:
    classifier.to(memory_format=torch.contiguous_format)
    classifier.__class__ = Contiguous


def read_tile_by_tile(tiles: CrackDataModule) -> None:
    tiles.__class__ = TileByTile


def keep_in_memory(tiles: CrackDataModule) -> None:
    tiles.dataset = TensorsInMemory(tiles.dataset.labels, size=tiles.dataset.image_size)  # type: ignore[assignment]
    tiles.augmentation, tiles.num_workers, tiles.pin_memory = Augmentation(), 0, False
