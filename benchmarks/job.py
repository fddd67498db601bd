"""Jobs on METU: a linear probe from start to report, and a sweep of fifty."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
from altered import write_whole_size
from commands import median_of

from crack_lightning.runtime.hardware import available_cores

if TYPE_CHECKING:
    from commands import Commands, Done

PROBE = ("model=efficientnet_lite0", "model.weights=imagenet", "recipe=probe")
HEADS, WHOLE = 50, 40_000


def measure(commands: Commands, *, turns: int) -> str:
    """Measure the jobs; return medians over the turns."""
    cold = []
    for _ in range(turns):
        shutil.rmtree(commands.cache, ignore_errors=True)
        cold.append(commands.run("train", *PROBE, *commands.on_metu))
    warm = [commands.run("train", *PROBE, *commands.on_metu) for _ in range(turns)]
    strengths = ",".join(f"{value:.3g}" for value in np.geomspace(1e-5, 1, HEADS))
    swept = commands.run(
        "train", "-m", *PROBE, *commands.on_metu, f"recipe.l2={strengths}", "sweep.jobs=auto"
    )
    tiles = write_whole_size(
        commands.metu, commands.scratch / "whole", num_tiles=WHOLE, threads=available_cores()
    )
    shutil.rmtree(commands.cache)
    whole = commands.run("train", *PROBE, "data=metu", f"data.root={tiles}")
    accuracy = cold[-1].report["metrics"]["accuracy"]
    rows = {
        "probe, nothing in the cache": f"{median_of(cold)}; test accuracy {accuracy:.4f}",
        "its phases": phases(cold[-1]),
        "probe, all in the cache": median_of(warm),
        "its phases again": phases(warm[-1]),
        f"probe of {WHOLE:,} tiles (METU's and altered copies), nothing in the cache": (
            f"{whole.seconds:.1f} s, {whole.mib:,.0f} MiB"
        ),
        "its phases too": phases(whole),
        f"sweep of {HEADS} probes, one job per core, reports included": f"{swept.seconds:.0f} s",
    }
    lines = [f"| {what} | {figure} |" for what, figure in rows.items()]
    return "\n".join([f"Medians of {turns}.", "", "| job | figure |", "|---|---|", *lines])


def phases(done: Done) -> str:
    """Return the seconds of each phase of a run, and of the rest, mostly imports and the report."""
    seconds = done.report["timing"]["seconds"]
    rest = done.seconds - sum(seconds.values())
    return ", ".join(f"{name} {value:.1f} s" for name, value in {**seconds, "rest": rest}.items())
