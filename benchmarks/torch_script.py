"""The first Keras script's schedule as a plain PyTorch script; arguments and output as ``keras_scripts.py``.

MobileNetV2, frozen, 160 px, flip and rotation, dropout 0.3, 10 epochs with validation; torchvision's
transforms tile by tile, a plain DataLoader, torch's defaults.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import time
from pathlib import Path
from typing import Any

BEGAN = time.perf_counter()

import timm  # noqa: E402 - its import counts
import torch  # noqa: E402
from PIL import Image  # noqa: E402
from torch import nn  # noqa: E402
from torch.utils.data import DataLoader, Dataset  # noqa: E402
from torchvision import transforms  # noqa: E402

BATCH, SIZE, EPOCHS = 32, 160, 10


class Tiles(Dataset[Any]):
    def __init__(self, root: Path, splits: Path, split: str, *, change: Any) -> None:
        with splits.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split]
        self.paths = [root / row["path"] for row in rows]
        self.labels = [float(row["label"] == "crack") for row in rows]
        self.change = change

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, number: int) -> tuple[Any, float]:
        with Image.open(self.paths[number]) as picture:
            return self.change(picture.convert("RGB")), self.labels[number]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("schedule", choices=["first"])
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--splits", type=Path, required=True, help="a run's splits.csv")
    parser.add_argument("--fraction", type=float, default=1.0, help="of an epoch's steps")
    asked = parser.parse_args()
    random = [transforms.RandomHorizontalFlip(), transforms.RandomRotation(72)]
    fixed = [transforms.Resize((SIZE, SIZE)), transforms.ToTensor(), transforms.Normalize(0.5, 0.5)]
    loaders: dict[str, DataLoader[Any]] = {
        split: DataLoader(
            Tiles(asked.root, asked.splits, split, change=transforms.Compose([*first, *fixed])),
            batch_size=BATCH,
            shuffle=split == "train",
        )
        for split, first in (("train", random), ("val", []))
    }
    base = timm.create_model("mobilenetv2_100", num_classes=0).eval()
    head = nn.Sequential(nn.Dropout(0.3), nn.Linear(1280, 1))
    optimizer = torch.optim.Adam(head.parameters(), lr=1e-4)
    steps = {split: len(loader) for split, loader in loaders.items()}
    taken = {split: max(2, math.ceil(number * asked.fraction)) for split, number in steps.items()}
    start_s, seconds = time.perf_counter() - BEGAN, {}
    for split, loader in loaders.items():
        began = time.perf_counter()
        for images, labels in itertools.islice(loader, taken[split]):
            with torch.no_grad():
                features = base(images)
            logits = head(features)[:, 0]
            loss = nn.functional.binary_cross_entropy_with_logits(logits, labels.float())
            if split == "train":
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
        seconds[split] = (time.perf_counter() - began) * steps[split] / taken[split]
    print(
        json.dumps(
            {
                "schedule": "first",
                "steps": taken,
                "of": steps,
                "start_s": start_s,
                "epoch_s": seconds,
                "epochs": EPOCHS,
                "seconds": start_s + EPOCHS * sum(seconds.values()),
                "version": torch.__version__,
            }
        )
    )


if __name__ == "__main__":
    main()
