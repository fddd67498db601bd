"""What reading, drawing and augmenting tiles cost, as ratios within one run.

    python benchmarks/reading.py [--tiles 256] [--repeats 5] [--size 160]

Every part is timed in turn and the turns are repeated, so that a slow spell of the machine falls on all
parts; the figures are medians. Drawing in two processes includes their start. Writes
``results/reading.json`` and ``results/reading.md`` beside this file.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import OmegaConf
from turns import in_turns, write_results

from crack_lightning.config import conf_dir
from crack_lightning.data.io.loading import read_batch
from crack_lightning.data.sources import synthetic
from crack_lightning.data.transforms.augmentation import Augmentation

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

BATCH = 32


@dataclass(frozen=True)
class Part:
    """Something that handles all tiles once."""

    name: str
    compared_with: str
    work: Callable[[], object]


def main() -> None:
    asked = _arguments()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        parts = _parts(Path(folder), tiles=asked.tiles, size=asked.size)
        seconds = in_turns({part.name: _seconds(part.work) for part in parts}, turns=asked.repeats)
    rates = {name: asked.tiles / statistics.median(times) for name, times in seconds.items()}
    record = {
        "asked": vars(asked),
        "tiles_per_second": rates,
        "compared_with": {part.name: part.compared_with for part in parts},
        "seconds": seconds,
    }
    write_results("reading", record, as_markdown(record))


def _seconds(work: Callable[[], object]) -> Callable[[], float]:
    def measured() -> float:
        began = time.perf_counter()
        work()
        return time.perf_counter() - began

    return measured


def as_markdown(record: Mapping[str, Any]) -> str:
    rates, compared = record["tiles_per_second"], record["compared_with"]
    lines = ["| part | tiles/s | ratio | to |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {rate:,.0f} | {rate / rates[compared[name]]:.2f} | {compared[name]} |"
        for name, rate in rates.items()
    ]
    asked = ", ".join(f"{key} {value}" for key, value in record["asked"].items())
    return "\n".join([f"One compute thread; {asked}.", "", *lines])


def _parts(folder: Path, *, tiles: int, size: int) -> list[Part]:
    table = synthetic.load(seed=0, num_tiles=tiles, cache=folder / "first")
    paths = [table.root / path for path in table.path.tolist()]
    images = read_batch(paths, size=size)
    index = torch.arange(tiles)
    fresh = count()

    def draw(num_workers: int) -> None:
        cache = folder / f"again_{next(fresh)}"
        synthetic.load(seed=0, num_tiles=tiles, num_workers=num_workers, cache=cache)

    resized, drawn = f"decode, resize to {size} px", "draw, in this process"
    augmented = "augmentation=none"
    options = {f"augmentation={path.stem}": path for path in sorted(conf_dir().glob("augmentation/*.yaml"))}
    assert augmented in options, "what the other options are compared with"
    return [
        Part("decode", resized, lambda: read_in_batches(paths, size=227)),
        Part(resized, resized, lambda: read_in_batches(paths, size=size)),
        Part(drawn, drawn, lambda: draw(0)),
        Part("draw, two processes", drawn, lambda: draw(2)),
        *(Part(name, augmented, _augmenting(path, images, index)) for name, path in options.items()),
    ]


def read_in_batches(paths: Sequence[Path], *, size: int) -> None:
    for start in range(0, len(paths), BATCH):
        read_batch(paths[start : start + BATCH], size=size)


def _augmenting(option: Path, images: Tensor, index: Tensor) -> Callable[[], None]:
    augmentation = Augmentation(**{str(key): value for key, value in OmegaConf.load(option).items()})

    def augment() -> None:
        for start in range(0, len(images), BATCH):
            batch = slice(start, start + BATCH)
            augmentation(images[batch], index[batch], seed=0, epoch=0)

    return augment


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time reading, drawing and augmenting tiles.")
    parser.add_argument("--tiles", type=int, default=256, help="tiles a part handles")
    parser.add_argument("--repeats", type=int, default=5, help="turns; the median counts")
    parser.add_argument("--size", type=int, default=160, help="side that the models see, pixels")
    return parser.parse_args()


if __name__ == "__main__":
    main()
