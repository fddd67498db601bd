"""False positive rate of paired tests of equally good models: ``python benchmarks/model_comparison.py``.

Both models predict 90 % of the tiles correctly, with errors correlated within photos (beta-binomial).
2,000 trials per row, by the sign-flip test over photos, as in a comparison of runs, and by McNemar's exact
test over tiles. In the last rows the errors of one model only are correlated, so that the models are not
exactly exchangeable. The table is written to ``benchmarks/results/model_comparison.md``.
"""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from scipy import stats

from crack_lightning.evaluation.paired_tests import sign_flip_p_value

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Sizes = NDArray[np.int64]

RESULTS = Path(__file__).parent / "results"
PHOTOS, RIGHT, TRIALS, LEVEL = (10, 40, 200), 0.9, 2000, 0.05
CORRELATIONS = {"the same": (0.14, 0.14), "none": (0.0, 0.0), "of one model alone": (0.3, 0.0)}


def main() -> None:
    """Simulate every cell and print the table."""
    lines = [
        "| photos | tiles of each | correlation within photos | by whole photos | by tiles (McNemar) |",
        "| ---: | --- | --- | ---: | ---: |",
    ]
    print("\n".join(lines))
    for correlation, photos in product(CORRELATIONS, PHOTOS):
        for name, sizes in sizes_of(photos).items():
            lines.append(row(name, sizes, correlation))
            print(lines[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "model_comparison.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def sizes_of(photos: int) -> dict[str, Sizes]:
    """Return the numbers of tiles of photos, by name."""
    unequal = np.random.default_rng(photos).integers(1, 8, photos) ** 3
    return {"30": np.full(photos, 30), "1 to 343": unequal, "1": np.ones(photos, np.int64)}


def row(name: str, sizes: Sizes, correlation: str) -> str:
    """Simulate one cell."""
    rng = np.random.default_rng(len(sizes))
    photo = np.repeat(np.arange(len(sizes)), sizes)
    by_photos, by_tiles = 0, 0
    for _ in range(TRIALS):
        one, other = (errors(rng, photo, within) for within in CORRELATIONS[correlation])
        gain = np.bincount(photo, other.astype(np.int64) - one).astype(np.int64)
        by_photos += sign_flip_p_value(gain) < LEVEL
        apart = int((one != other).sum())
        by_tiles += apart > 0 and stats.binomtest(int((one & ~other).sum()), apart).pvalue < LEVEL
    shares = f"{by_photos / TRIALS:.1%} | {by_tiles / TRIALS:.1%}"
    return f"| {len(sizes)} | {name} | {correlation} | {shares} |"


def errors(rng: np.random.Generator, photo: Sizes, correlation: float) -> NDArray[np.bool_]:
    """Draw the errors of a model, bool ``(N,)``."""
    if correlation == 0:
        return rng.random(len(photo)) < 1 - RIGHT
    spread = (1 - correlation) / correlation
    chance = rng.beta((1 - RIGHT) * spread, RIGHT * spread, int(photo[-1]) + 1)
    return rng.random(len(photo)) < chance[photo]


if __name__ == "__main__":
    main()
