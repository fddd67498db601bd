"""How often a90/95 lies above the true a90, on simulated hits and misses: ``python benchmarks/detection.py``.

400 experiments a cell, whose curve is known; bounds by the modified root and by the plain likelihood ratio of
MIL-HDBK-1823A; then photos of 8 cracks of one width, some easier than others, with the bound over photos.
Experiments without a curve are drawn anew and counted. The table goes to ``benchmarks/results/detection.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit

from crack_lightning.evaluation.detection import TARGET, bound_by_photos
from crack_lightning.evaluation.hit_miss import fit_curve, roots, upper_bound

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

RESULTS = Path(__file__).parent / "results"
NORMAL = 1.6448536
LOW, HIGH = float(np.log(0.7)), float(np.log(12))
CRACKS, CURVES, EXPERIMENTS = (60, 100, 200, 400), ((2.0, 3.0), (2.0, 6.0), (1.0, 4.0), (4.0, 4.0)), 400
PHOTOS, SPREADS, A_PHOTO = (40, 80, 160), (0.0, 1.0, 2.0), 8


def main() -> None:
    """Simulate every cell and print the tables."""
    lines = [
        "| cracks | a50 | slope | above a90 | by the plain ratio | no curve |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for cracks in CRACKS:
        for a50, slope in CURVES:
            lines.append(alone(cracks, a50, slope))
            print(lines[-1], flush=True)
    lines += [
        "",
        "| photos of 8 cracks | spread of log odds | above a90, over photos | as if alone | no curve |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for photos in PHOTOS:
        for spread in SPREADS:
            lines.append(together(photos, spread))
            print(lines[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "detection.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def alone(cracks: int, a50: float, slope: float) -> str:
    """Simulate a cell of cracks that are found one independently of another."""
    rng = np.random.default_rng([cracks, int(a50), int(slope)])
    truth = float(np.log(a50) + TARGET / slope)
    above, plain, done, without = 0, 0, 0, 0
    while done < EXPERIMENTS:
        x = rng.uniform(LOW, HIGH, cracks)
        hit = rng.random(cracks) < expit(slope * (x - np.log(a50)))
        if not rising(x, hit):
            without += 1
            continue
        curve = fit_curve(x, hit)
        bound = upper_bound(x, hit, curve, logit_of_hit=TARGET, reach=float(np.log(50)))
        above += bound is None or bound > truth
        plain += roots(x, hit, curve, at=truth, value=TARGET).plain < NORMAL
        done += 1
    return f"| {cracks} | {a50:g} | {slope:g} | {above / done:.1%} | {plain / done:.1%} | {without} |"


def rising(x: Floats, hit: NDArray[np.bool_]) -> bool:
    """Say whether hits and misses overlap and have a curve that rises."""
    return bool(hit.any() and not hit.all() and x[~hit].max() > x[hit].min() and fit_curve(x, hit).slope > 0)


def together(photos: int, spread: float) -> str:
    """Simulate a cell of cracks of which those of one photo are found more or less easily."""
    rng = np.random.default_rng([photos, int(spread)])
    ease = np.linspace(-8, 8, 2001) * max(spread, 1e-9)
    weights = stats.norm.pdf(ease / max(spread, 1e-9))
    truth = brentq(lambda x: np.average(expit(4 * x + ease), weights=weights) - 0.9, 0, 10)
    group = np.repeat(np.arange(photos), A_PHOTO)
    above, alone_above, done, without = 0, 0, 0, 0
    while done < EXPERIMENTS:
        x = (rng.uniform(LOW, HIGH, photos) - np.log(2))[group]
        hit = rng.random(len(group)) < expit(4 * x + (spread * rng.standard_normal(photos))[group])
        if not rising(x, hit):
            without += 1
            continue
        curve = fit_curve(x, hit)
        bound = upper_bound(x, hit, curve, logit_of_hit=TARGET, reach=float(np.log(50)))
        alone_above += bound is None or bound > truth
        sampled = bound_by_photos(x, hit, group, curve)
        above += bound is None or sampled is None or max(bound, sampled) > truth
        done += 1
    return f"| {photos} | {spread:g} | {above / done:.1%} | {alone_above / done:.1%} | {without} |"


if __name__ == "__main__":
    main()
