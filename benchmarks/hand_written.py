"""A minimal training loop with the same settings, but without Lightning, metrics, logs and checks."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from crack_lightning.data.io.loading import read_batch
from crack_lightning.model.backbones import build_backbone, normalisation, split_parameters
from crack_lightning.model.optimizers import build_optimizer
from crack_lightning.model.schedulers import build_scheduler

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crack_lightning.data.transforms.augmentation import Augmentation


def train(
    paths: list[Path],
    labels: torch.Tensor,
    *,
    name: str,
    size: int,
    batch_size: int,
    augmentation: Augmentation,
    optimizer: dict[str, object],
    scheduler: dict[str, object],
    total_steps: int,
    in_memory: bool,
) -> Iterator[torch.Tensor]:
    """Yield the loss of each step without end; ``in_memory`` repeats the first batch."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    options = {"num_classes": 2, "drop_rate": 0.0, "drop_path_rate": 0.0, "image_size": size}
    network = build_backbone(name, **options).to(device)  # type: ignore[arg-type]
    network = network.to(memory_format=torch.channels_last).train()
    mean, std = (torch.tensor(values, device=device).view(1, 3, 1, 1) for values in normalisation(name))
    groups, threads = [{"params": part} for part in split_parameters(network)], torch.get_num_threads()
    steps = build_optimizer(groups, **optimizer)  # type: ignore[arg-type]
    schedule = build_scheduler(steps, total_steps=total_steps, **scheduler)  # type: ignore[arg-type]
    for epoch in count():
        order = np.random.default_rng([0, epoch]).permutation(len(paths))
        for start in range(0, len(order) - batch_size + 1, batch_size):
            if not in_memory or (epoch, start) == (0, 0):
                rows = torch.from_numpy(order[start : start + batch_size])
                images = read_batch([paths[row] for row in rows], size=size, threads=threads)
                targets = labels[rows]
            tiles = augmentation(images.to(device), rows, seed=0, epoch=epoch)
            with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
                logits = network(((tiles - mean) / std).contiguous(memory_format=torch.channels_last))
                loss = functional.cross_entropy(logits, targets.to(device))
            steps.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            steps.step()
            schedule.step()
            yield loss.detach()
