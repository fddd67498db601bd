"""Speed of reading, drawing and augmenting tiles with one compute thread."""

from __future__ import annotations

from functools import partial
from itertools import count
from statistics import median
from typing import TYPE_CHECKING

import torch
from omegaconf import OmegaConf
from turns import in_turns, rate_of

from crack_lightning.config import conf_dir
from crack_lightning.data.io.loading import read_batch
from crack_lightning.data.synthesis import drawn_tiles
from crack_lightning.data.transforms.augmentation import Augmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from commands import Commands
    from torch import Tensor

TILES, BATCH, SIZE, TILE_PX = 256, 32, 160, 227
RESIZED, DRAWN, PLAIN = f"decode, resize to {SIZE} px", "draw, in this process", "augmentation=none"


def measure(commands: Commands, *, turns: int) -> str:
    """Measure every part in turn; the rates are medians."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        parts = {name: rate_of(work, TILES) for name, work in tile_work(commands.scratch).items()}
        rates = {name: median(found) for name, found in in_turns(parts, turns=turns).items()}
    finally:
        torch.set_num_threads(threads)
    about = f"{TILES} tiles, batches of {BATCH}; drawing in two processes includes their start."
    lines = [about, "", "| part | tiles/s | ratio | to |", "|---|---|---|---|"]
    for name, rate in rates.items():
        other = PLAIN if name.startswith("augmentation") else DRAWN if name.startswith("draw") else RESIZED
        lines.append(f"| {name} | {rate:,.0f} | {rate / rates[other]:.2f} | {other} |")
    return "\n".join(lines)


def tile_work(folder: Path) -> dict[str, Callable[[], object]]:
    """Return functions that process all tiles once, by name."""
    table = drawn_tiles.load(seed=0, num_tiles=TILES, cache=folder / "first")
    paths = [table.root / path for path in table.path.tolist()]
    images, fresh = read_batch(paths, size=SIZE), count()

    def draw(num_workers: int) -> None:
        cache = folder / f"again_{next(fresh)}"
        drawn_tiles.load(seed=0, num_tiles=TILES, num_workers=num_workers, cache=cache)

    work: dict[str, Callable[[], object]] = {
        "decode": partial(read_in_batches, paths, size=TILE_PX),
        RESIZED: partial(read_in_batches, paths, size=SIZE),
        DRAWN: partial(draw, 0),
        "draw, two processes": partial(draw, 2),
    }
    for option in sorted(conf_dir().glob("augmentation/*.yaml")):
        augmentation = Augmentation(**{str(key): value for key, value in OmegaConf.load(option).items()})
        work[f"augmentation={option.stem}"] = partial(augment_in_batches, augmentation, images)
    return work


def read_in_batches(paths: Sequence[Path], *, size: int) -> None:
    for start in range(0, len(paths), BATCH):
        read_batch(paths[start : start + BATCH], size=size)


def augment_in_batches(augmentation: Augmentation, images: Tensor) -> None:
    index = torch.arange(len(images))
    for start in range(0, len(images), BATCH):
        batch = slice(start, start + BATCH)
        augmentation(images[batch], index[batch], seed=0, epoch=0)
