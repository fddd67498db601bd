"""Jobs on METU: a linear probe from start to report, a sweep of fifty, and predictions of 4,000 tiles."""

from __future__ import annotations

import re
import shutil
from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from commands import median_of

if TYPE_CHECKING:
    from commands import Commands

PROBE = ("model=efficientnet_lite0", "model.weights=imagenet", "recipe=probe")
HEADS, PREDICTED = 50, 4000


def measure(commands: Commands, *, turns: int) -> str:
    """Measure the jobs; return medians over the turns."""
    smoke = ("model=mobilenetv2", "model.image_size=160", "trainer=smoke")
    prepared = commands.run("train", *smoke, *commands.on_metu)  # caches the groups of METU
    cold = []
    for _ in range(turns):
        for kind in ("features", "engines"):
            shutil.rmtree(commands.cache / kind, ignore_errors=True)
        cold.append(commands.run("train", *PROBE, *commands.on_metu))
    warm = [commands.run("train", *PROBE, *commands.on_metu) for _ in range(turns)]
    strengths = ",".join(f"{value:.3g}" for value in np.geomspace(1e-5, 1, HEADS))
    swept = commands.run(
        "train", "-m", *PROBE, *commands.on_metu, f"recipe.l2={strengths}", "sweep.jobs=auto"
    )
    grouping, accuracy = prepared.report["timing"]["seconds"]["data"], cold[-1].report["metrics"]["accuracy"]
    checkpoint = str(prepared.folder / "checkpoints" / "best.ckpt")
    rows = {
        "grouping of METU's tiles, nothing in the cache": f"{grouping:.1f} s",
        "probe, features not in the cache": f"{median_of(cold)}; test accuracy {accuracy:.4f}",
        "probe, features in the cache": median_of(warm),
        f"sweep of {HEADS} probes, one job per core, reports included": f"{swept.seconds:.0f} s",
        f"{PREDICTED:,} tiles predicted, MobileNetV2, 160 px": prediction_rate(commands, checkpoint, turns),
    }
    lines = [f"| {what} | {figure} |" for what, figure in rows.items()]
    return "\n".join([f"Medians of {turns}.", "", "| job | figure |", "|---|---|", *lines])


def prediction_rate(commands: Commands, checkpoint: str, turns: int) -> str:
    """Predict tiles; return the rate from the start of the backend to the last row."""
    tiles = commands.scratch / "tiles"
    tiles.mkdir()
    for path in sorted((commands.metu / "Positive").iterdir())[:PREDICTED]:
        (tiles / path.name).symlink_to(path.resolve())
    rates, rest = [], []
    for _ in range(turns):
        done = commands.run("predict", checkpoint, str(tiles))
        log = (done.folder / "run.log").read_text(encoding="utf-8").splitlines()
        [began] = (_logged_at(line) for line in log if "engine:" in line)
        between = _logged_at(log[-1]) - began
        rates.append(PREDICTED / between)
        rest.append(done.seconds - between)
    backend = re.search(r"engine: ([^(]*)", "\n".join(log))
    assert backend is not None
    return f"{median(rates):,.0f} tiles/s ({backend[1].strip()}); start and end {median(rest):.1f} s"


def _logged_at(line: str) -> float:
    return datetime.strptime(line[:23], "%Y-%m-%d %H:%M:%S,%f").astimezone().timestamp()
