"""What reports cost: their pages in a browser, the report of a large test."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.sources import synthetic
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.report.write import write_report

if TYPE_CHECKING:
    from pathlib import Path

    from crack_lightning.data.table import TileTable

TESTED, DRAWN, PHOTO_TILES, ERRORS = 12_000, 400, 40, 0.03


def row_g(project: Path) -> str:
    """Open every page in headless Chromium; return how many looks at how many pages had no fault."""
    line = [sys.executable, "-m", "nox", "-s", "pages"]
    done = subprocess.run(line, cwd=project, capture_output=True, text=True, check=False)
    looks = [row.split() for row in done.stdout.splitlines() if ".html " in row]
    good = sum(row[-1] == "good" for row in looks)
    ended = "" if done.returncode == 0 else f"; the session failed: {done.stderr.strip()[-200:]}"
    return f"{good} of {len(looks)} looks at {len({row[0] for row in looks})} pages without a fault{ended}"


def row_h(folder: Path) -> str:
    """Evaluate 12,000 tiles of 300 photos, 3 % of them called wrongly, and write the report."""
    table = large_test(folder)
    rng = np.random.default_rng(0)
    logit = rng.normal(np.where(table.label == table.positive_index, 4.0, -4.0), 2.1)
    crack = 1 / (1 + np.exp(-logit))
    columns = [crack if k == table.positive_index else 1 - crack for k in range(2)]
    said = Predictions(index=np.arange(TESTED), label=table.label, probability=np.stack(columns, axis=1))
    wrong = float(((crack >= 0.5) != (table.label == table.positive_index)).mean())
    began = time.perf_counter()
    report = write_report(folder, title="A large test", predictions=said, table=table, provenance={})
    seconds = time.perf_counter() - began
    page = (report.parent / "report.html").stat().st_size / 1e6
    return f"{seconds:.1f} s, page {page:.2f} MB ({wrong:.1%} of {TESTED:,} tiles called wrongly)"


def large_test(folder: Path) -> TileTable:
    """Make a test set of 12,000 files out of 400 drawn tiles, by links to them."""
    drawn = synthetic.load(
        seed=0, num_tiles=DRAWN, num_workers=2, cache=folder / "cache", show_progress=False
    )
    rows = np.arange(TESTED) % DRAWN
    table = drawn.select(rows)
    paths = [f"{number:05d}.jpg" for number in range(TESTED)]
    (folder / "tiles").mkdir(parents=True)
    for path, tile in zip(paths, table.path.tolist(), strict=True):
        os.link(drawn.root / tile, folder / "tiles" / path)
    look = np.random.default_rng(1).random((2, TESTED))
    return replace(
        table,
        root=folder / "tiles",
        path=np.array(paths),
        group=np.array([f"photo {number // PHOTO_TILES}" for number in range(TESTED)]),
        split=np.full(TESTED, "test"),
        sha256=np.array([f"{number:064x}" for number in range(TESTED)]),
        extra=table.extra | {"brightness": look[0], "sharpness": look[1]},
    )
