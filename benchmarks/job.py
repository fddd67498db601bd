"""Jobs on METU: a linear probe from start to report, and a sweep of fifty."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
from commands import median_of

if TYPE_CHECKING:
    from commands import Commands

PROBE = ("model=efficientnet_lite0", "model.weights=imagenet", "recipe=probe")
HEADS = 50


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
    rows = {
        "grouping of METU's tiles, nothing in the cache": f"{grouping:.1f} s",
        "probe, features not in the cache": f"{median_of(cold)}; test accuracy {accuracy:.4f}",
        "probe, features in the cache": median_of(warm),
        f"sweep of {HEADS} probes, one job per core, reports included": f"{swept.seconds:.0f} s",
    }
    lines = [f"| {what} | {figure} |" for what, figure in rows.items()]
    return "\n".join([f"Medians of {turns}.", "", "| job | figure |", "|---|---|", *lines])
