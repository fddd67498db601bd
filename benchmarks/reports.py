"""Time, memory and page of the evaluation and report of up to a million test tiles."""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.synthesis import drawn_tiles
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.report.provenance import peak_memory_mib
from crack_lightning.report.write import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands

SIZES = (12_000, 100_000, 1_000_000)
DRAWN, PHOTO_TILES = 400, 40


def measure(commands: Commands, *, turns: int) -> str:  # noqa: ARG001  # as the other parts
    """Write a report of each size once, in a process of its own."""
    lines = ["| test tiles | time, memory and page of evaluation and report |", "|---:|---|"]
    for tiles in SIZES:
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            figures = pool.submit(large_report, commands.scratch / str(tiles), tiles).result()
        lines.append(f"| {tiles:,} | {figures} |")
    return "\n".join(lines)


def large_report(folder: Path, tiles: int) -> str:
    """Evaluate tiles in photos of 40, 3 % of them predicted wrongly, and write the report."""
    drawn = drawn_tiles.load(seed=0, num_tiles=DRAWN, cache=folder / "cache", show_progress=False)
    table = drawn.select(np.arange(tiles) % DRAWN)
    rng, number = np.random.default_rng(0), np.arange(tiles)
    table = replace(
        table,
        group=np.char.add("photo ", (number // PHOTO_TILES).astype(np.str_)),
        split=np.full(tiles, "test"),
        sha256=np.char.zfill(number.astype(np.str_), 64),
        extra=table.extra | {"brightness": rng.random(tiles), "sharpness": rng.random(tiles)},
    )
    positive = table.label == table.positive_index
    crack = 1 / (1 + np.exp(-rng.normal(np.where(positive, 4.0, -4.0), 2.1)))
    probability = np.stack([crack if k == table.positive_index else 1 - crack for k in (0, 1)], axis=1)
    score = rng.uniform(0, 1.01, tiles).astype(np.float32)
    predictions = Predictions(
        index=number, label=table.label, probability=probability.astype(np.float32), ood_score=score
    )
    before, began = peak_memory_mib(), time.perf_counter()
    report = write_report(folder, title="A large test", predictions=predictions, table=table, provenance={})
    seconds, page = time.perf_counter() - began, report.with_name("report.html").stat().st_size / 1e6
    rows = (folder / "predictions.csv").stat().st_size / 1e6
    return (
        f"{seconds:.1f} s; {peak_memory_mib():,} MiB at the peak, {before:,} before; page {page:.2f} MB, "
        f"predictions.csv {rows:.1f} MB"
    )
