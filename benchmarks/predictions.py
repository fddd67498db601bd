"""Rate and memory of ``predict`` for 4,000 and for 100,000 tiles."""

from __future__ import annotations

import itertools
import os
import re
import shutil
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands

SIZES = (4_000, 100_000)
NETWORK = ("model=mobilenetv2", "model.image_size=160", "trainer=smoke", "data=synthetic")


def measure(commands: Commands, *, turns: int) -> str:
    """Predict METU's tiles, many of them under several names, in turns; rates are from engine to last row."""
    trained = commands.run("train", *NETWORK)
    checkpoint = str(trained.folder / "checkpoints" / "best.ckpt")
    folders = {size: tiles(commands.metu, commands.scratch / f"{size} tiles", size) for size in SIZES}
    rates: dict[int, list[float]] = {size: [] for size in SIZES}
    memory = dict.fromkeys(SIZES, 0.0)
    for _ in range(turns + 1):  # the first one converts the network
        for size, folder in folders.items():
            done = commands.run("predict", checkpoint, str(folder))
            log = (done.folder / "run.log").read_text(encoding="utf-8").splitlines()
            [began] = (logged_at(line) for line in log if "engine: " in line and "precision" in line)
            rates[size].append(size / (logged_at(log[-1]) - began))
            memory[size] = max(memory[size], done.mib)
    [engine] = {found[1] for line in log if (found := re.search(r"engine: ([^(]*), prec", line))}
    lines = [
        f"MobileNetV2, 160 px, {engine}, medians of {turns}.",
        "",
        "| tiles | tiles/s | peak |",
        "|---|---|---|",
    ]
    lines += [f"| {size:,} | {median(rates[size][1:]):,.0f} | {memory[size]:,.0f} MiB |" for size in SIZES]
    return "\n".join(lines)


def tiles(metu: Path, folder: Path, number: int) -> Path:
    """Fill a folder with METU's tiles, each as often as needed, by hard links."""
    copied = folder / "0"
    copied.mkdir(parents=True)
    sources = sorted(metu.glob("*/*.jpg"))[:number]
    for source in sources:
        shutil.copyfile(source, copied / f"{source.parent.name}_{source.name}")
    files = sorted(copied.iterdir())
    for count, path in zip(range(number - len(files)), itertools.cycle(files), strict=False):
        link = folder / str(1 + count // len(files)) / path.name
        link.parent.mkdir(exist_ok=True)
        os.link(path, link)
    return folder


def logged_at(line: str) -> float:
    """Return the time of a line of a log, seconds."""
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
