"""Coverage of a90/95 on simulated hits and misses: ``python benchmarks/detection.py``.

400 experiments per row with a known curve and three distributions of width: log-uniform from 0.7 to 12 px,
uniform from 0.8 to 30 px, and that of ``data=synthetic``. Bounds by the modified root and by the plain
likelihood ratio of MIL-HDBK-1823A; for photos of 8 cracks of one width, which differ in how easily their
cracks are detected, also by photos. Experiments without a curve are repeated and counted. The table is
written to ``benchmarks/results/detection.md``.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy import stats
from scipy.optimize import brentq
from scipy.special import expit

from crack_lightning.data.synthesis.cracks import crack_length_in, crack_width_in, random_cracks
from crack_lightning.data.synthesis.scene import MIN_CRACK_LENGTH_PX
from crack_lightning.evaluation.pod.bounds import roots, upper_bound
from crack_lightning.evaluation.pod.estimate import TARGET, bound_by_photos, rising_curve

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Draw = Callable[[np.random.Generator, int], Floats]

RESULTS = Path(__file__).parent / "results"
NORMAL, REACH, TILE_PX = 1.6448536, float(np.log(50)), 96
CRACKS, CURVES = (60, 100, 200, 400), ((2.0, 3.0), (2.0, 6.0), (1.0, 4.0), (4.0, 4.0))
PHOTOS, SPREADS, A_PHOTO = (40, 160), (0.0, 1.0, 2.0), 8
EXPERIMENTS, MOST = 400, 8000


class Cell(NamedTuple):
    """A simulated kind of test: curve of ``a50`` (px) and ``slope``; ``spread`` over photos in log odds."""

    cracks: int
    photos: int
    spread: float
    a50: float
    slope: float


def main() -> None:
    """Simulate every cell and print the table."""
    heads = "widths", *Cell._fields, "above a90", "by the plain ratio", "by photos", "no curve"
    lines = [f"| {' | '.join(heads)} |", f"| --- {'| ---: ' * (len(heads) - 1)}|"]
    cells = [Cell(cracks, cracks, 0.0, *curve) for cracks, curve in product(CRACKS, CURVES)]
    cells += [Cell(A_PHOTO * photos, photos, spread, 2.0, 4.0) for photos, spread in product(PHOTOS, SPREADS)]
    print("\n".join(lines))
    for (name, draw), cell in product(width_samplers().items(), cells):
        lines.append(row(name, draw, cell))
        print(lines[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "detection.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def width_samplers() -> dict[str, Draw]:
    """Return samplers of N log widths, ``(N,)``, by name of the distribution."""
    drawn = np.log(widths_of_drawn_tiles(np.random.default_rng(0), 3000))
    return {
        "log-uniform": lambda rng, number: rng.uniform(np.log(0.7), np.log(12), number),
        "uniform": lambda rng, number: np.log(rng.uniform(0.8, 30, number)),
        "default run": lambda rng, number: rng.choice(drawn, number),
    }


def widths_of_drawn_tiles(rng: np.random.Generator, number: int) -> Floats:
    """Return widths, in px, of cracked tiles of ``data=synthetic``, without drawing the tiles."""
    widths: list[float] = []
    window = (float(TILE_PX), float(TILE_PX))
    while len(widths) < number:
        cracks = random_cracks(rng, 2 * TILE_PX, 2 * TILE_PX, num_cracks=1)
        tiles = [(*corner, *window) for corner in product((0.0, float(TILE_PX)), repeat=2)]
        cracked = [tile for tile in tiles if crack_length_in(cracks, *tile) >= MIN_CRACK_LENGTH_PX]
        widths += [crack_width_in(cracks, *tile) for tile in cracked]
    return np.array(widths[:number])


def row(name: str, draw: Draw, cell: Cell) -> str:
    """Simulate a cell and return its row."""
    rng = np.random.default_rng([cell.cracks, cell.photos, *map(int, cell[2:])])
    truth, group = true_a90(cell), np.repeat(np.arange(cell.photos), cell.cracks // cell.photos)
    above, plain, by_photos, done, tried = 0, 0, 0, 0, 0
    while done < EXPERIMENTS and tried < MOST:
        x, tried = draw(rng, cell.photos)[group], tried + 1
        ease = (cell.spread * rng.standard_normal(cell.photos))[group]
        hit = rng.random(cell.cracks) < expit(cell.slope * (x - np.log(cell.a50)) + ease)
        curve = rising_curve(x, hit)
        if isinstance(curve, str):
            continue
        bound = upper_bound(x, hit, curve, logit_of_hit=TARGET, reach=REACH)
        above += bound is None or bound > truth
        plain += roots(x, hit, curve, at=truth, value=TARGET).plain < NORMAL
        if cell.photos < cell.cracks:
            sampled = bound_by_photos(x, hit, group, curve, reach=REACH)
            by_photos += bound is None or sampled is None or max(bound, sampled) > truth
        done += 1
    shares = [f"{count / done:.1%}" for count in (above, plain, by_photos)]
    shares[2] = shares[2] if cell.photos < cell.cracks else "-"
    return f"| {' | '.join([name, *(f'{part:g}' for part in cell), *shares, f'{1 - done / tried:.1%}'])} |"


def true_a90(cell: Cell) -> float:
    """Return the log width with a POD of 90 %, averaged over photos."""
    ease = np.linspace(-8, 8, 2001)
    weights = stats.norm.pdf(ease)

    def excess(x: float) -> float:
        chances: NDArray[np.float64] = expit(cell.slope * (x - np.log(cell.a50)) + cell.spread * ease)
        return float(np.average(chances, weights=weights)) - 0.9

    return float(brentq(excess, -10, 10))


if __name__ == "__main__":
    main()
