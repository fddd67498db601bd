"""What reading, drawing and augmenting tiles cost, as ratios within one run.

    python benchmarks/reading.py [--tiles 256] [--repeats 5] [--size 160]

Every part is timed in turn and the turns are repeated, so that a slow spell of the machine falls on all
parts; the figures are medians. Drawing in two processes includes their start. Writes
``results/reading.json`` and ``results/reading.md`` beside this file.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from omegaconf import OmegaConf

from crack_lightning.config import conf_dir
from crack_lightning.data.augmentation import Augmentation
from crack_lightning.data.loading import read_batch
from crack_lightning.data.sources import synthetic
from crack_lightning.hardware import available_cores
from crack_lightning.run_folder import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

RESULTS = Path(__file__).parent / "results"
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
        seconds = measure(parts, repeats=asked.repeats)
    rates = {name: asked.tiles / statistics.median(times) for name, times in seconds.items()}
    record = {
        "asked": vars(asked),
        "machine": _machine(),
        "tiles_per_second": rates,
        "compared_with": {part.name: part.compared_with for part in parts},
        "seconds": seconds,
    }
    text = as_markdown(record)
    write_results(record, text)
    print(text)


def measure(parts: Sequence[Part], *, repeats: int) -> dict[str, list[float]]:
    """Time every part in turn, ``repeats`` times after a round that warms up; seconds by part."""
    seconds: dict[str, list[float]] = {part.name: [] for part in parts}
    for turn in range(repeats + 1):
        for part in parts:
            start = time.perf_counter()
            part.work()
            if turn > 0:
                seconds[part.name].append(time.perf_counter() - start)
    return seconds


def as_markdown(record: Mapping[str, Any]) -> str:
    rates, compared = record["tiles_per_second"], record["compared_with"]
    lines = ["| part | tiles/s | ratio | to |", "|---|---|---|---|"]
    lines += [
        f"| {name} | {rate:,.0f} | {rate / rates[compared[name]]:.2f} | {compared[name]} |"
        for name, rate in rates.items()
    ]
    machine = "; ".join(f"{key} {value}" for key, value in record["machine"].items())
    asked = ", ".join(f"{key} {value}" for key, value in record["asked"].items())
    return "\n".join([f"One compute thread; {asked}. {machine}.", "", *lines, ""])


def write_results(record: Mapping[str, Any], text: str) -> None:
    RESULTS.mkdir(exist_ok=True)
    write_text(RESULTS / "reading.json", json.dumps(record, indent=2) + "\n")
    write_text(RESULTS / "reading.md", text)


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


def _machine() -> dict[str, str | int]:
    packages = ("crack-lightning", "torch", "opencv-python-headless", "pillow", "numpy")
    return {
        "cpu": _cpu_name(),
        "cores": available_cores(),
        "system": platform.system(),
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }


def _cpu_name() -> str:
    listed = Path("/proc/cpuinfo")
    if listed.is_file():
        for line in listed.read_text("utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Time reading, drawing and augmenting tiles.")
    parser.add_argument("--tiles", type=int, default=256, help="tiles a part handles")
    parser.add_argument("--repeats", type=int, default=5, help="turns; the median counts")
    parser.add_argument("--size", type=int, default=160, help="side that the models see, pixels")
    return parser.parse_args()


if __name__ == "__main__":
    main()
