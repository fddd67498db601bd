"""Time and memory of large inputs: audits of up to 40,000 tiles, a large photo, a report of 12,000 tiles."""

from __future__ import annotations

import itertools
import os
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.synthesis import drawn_tiles
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.report.write import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from commands import Commands

SIZES = (10_000, 20_000, 40_000)
TESTED, DRAWN, PHOTO_TILES = 12_000, 400, 40


def measure(commands: Commands, *, turns: int) -> str:  # noqa: ARG001  # as the other parts
    """Measure each input once, since an audit takes long."""
    rows = audits(commands) | {
        "a photo of 4032 x 3024 mapped, scale=1": mapped_photo(commands),
        f"evaluation and report of {TESTED:,} tiles": large_report(commands.scratch / "report"),
    }
    lines = [f"| {what} | {figure} |" for what, figure in rows.items()]
    return "\n".join(["| what | time and memory |", "|---|---|", *lines])


def audits(commands: Commands) -> dict[str, str]:
    """Audit quarters of METU's tiles with an empty cache."""
    quarters = sorted(quarter_tiles(commands.metu, commands.scratch / "quarters"))
    rows = {}
    for size in SIZES:
        root = commands.scratch / f"{size} tiles"
        for path in quarters[:: SIZES[-1] // size]:
            link = root / path.parent.name / path.name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
        commands.cache = commands.scratch / f"cache of {size}"
        done = commands.run("audit", "data=metu", f"data.root={root}")
        rows[f"audit of {size:,} tiles"] = f"{done.seconds:.1f} s, {done.mib:,.0f} MiB"
    return rows


def quarter_tiles(metu: Path, folder: Path) -> list[Path]:
    """Write quarters of METU's tiles, as many as the largest audit reads."""
    written = []
    for source in sorted(metu.glob("*/*.jpg"))[: SIZES[-1] // 4]:
        image = decode_image(source)
        half = image.shape[0] // 2
        for y, x in itertools.product((0, 1), repeat=2):
            path = folder / source.parent.name / f"{source.stem}_{y}{x}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            part = image[y * half : (y + 1) * half, x * half : (x + 1) * half]
            cv2.imwrite(str(path), part[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])
            written.append(path)
    return written


def mapped_photo(commands: Commands) -> str:
    """Map a mosaic of 48 photos of uav75 with the built-in model."""
    paths = sorted((commands.uav75 / "images").glob("*.jpg"))[:48]
    pieces = [decode_image(path)[:504, :504] for path in paths]
    mosaic = np.vstack([np.hstack(pieces[start : start + 8]) for start in range(0, 48, 8)])
    photo = commands.scratch / "photo.jpg"
    cv2.imwrite(str(photo), mosaic[..., ::-1])
    done = commands.run("predict", "checkpoint=builtin", f"source={photo}", "scale=1")
    return f"{done.seconds:.1f} s, {done.mib:,.0f} MiB, imports included"


def large_report(folder: Path) -> str:
    """Evaluate tiles of 300 photos, 3 % of them predicted wrongly, and write the report."""
    drawn = drawn_tiles.load(seed=0, num_tiles=DRAWN, cache=folder / "cache", show_progress=False)
    table = drawn.select(np.arange(TESTED) % DRAWN)
    paths = [f"{number:05d}.jpg" for number in range(TESTED)]
    (folder / "tiles").mkdir(parents=True)
    for path, tile in zip(paths, table.path.tolist(), strict=True):
        os.link(drawn.root / tile, folder / "tiles" / path)
    statistics = np.random.default_rng(1).random((2, TESTED))
    table = replace(
        table,
        root=folder / "tiles",
        path=np.array(paths),
        group=np.array([f"photo {number // PHOTO_TILES}" for number in range(TESTED)]),
        split=np.full(TESTED, "test"),
        sha256=np.array([f"{number:064x}" for number in range(TESTED)]),
        extra=table.extra | {"brightness": statistics[0], "sharpness": statistics[1]},
    )
    logit = np.random.default_rng(0).normal(np.where(table.label == table.positive_index, 4.0, -4.0), 2.1)
    crack = 1 / (1 + np.exp(-logit))
    columns = [crack if label == table.positive_index else 1 - crack for label in range(2)]
    predictions = Predictions(
        index=np.arange(TESTED), label=table.label, probability=np.stack(columns, axis=1)
    )
    began = time.perf_counter()
    report = write_report(folder, title="A large test", predictions=predictions, table=table, provenance={})
    page = report.with_name("report.html").stat().st_size / 1e6
    return f"{time.perf_counter() - began:.1f} s, page {page:.2f} MB"
