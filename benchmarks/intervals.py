"""Coverage of the interval of a proportion on simulated tests: ``python benchmarks/intervals.py``.

Groups of 20 tiles with correlated hits (beta-binomial); 400 experiments per row. The table is written to
``benchmarks/results/intervals.md``.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.evaluation.intervals.groups import proportion_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

RESULTS = Path(__file__).parent / "results"
RECALLS, GROUPS, CORRELATIONS = (0.8, 0.95, 0.99, 0.998), (20, 60, 200), (0.05, 0.2)
TILES, EXPERIMENTS, RESAMPLES = 20, 400, 1000


def main() -> None:
    """Simulate every cell and print the table."""
    head = "| recall | groups | correlation | covers | width | tile bootstrap covers | zero width |"
    lines = [head, "| ---: | ---: | ---: | ---: | ---: | ---: | ---: |"]
    rng = np.random.default_rng(0)
    for correlation in CORRELATIONS:
        for recall in RECALLS:
            for groups in GROUPS:
                lines.append(row(recall, groups, correlation, rng))
                print(lines[-1], flush=True)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "intervals.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def row(recall: float, groups: int, correlation: float, rng: np.random.Generator) -> str:
    """Simulate one cell."""
    covered, plain, width, without = 0, 0, 0.0, 0
    for _ in range(EXPERIMENTS):
        hit, group = drawn(recall, groups, correlation, rng)
        low, high = proportion_interval(hit, group)
        covered += low <= recall <= high
        width += high - low
        resampled = rng.binomial(len(hit), hit.mean(), RESAMPLES) / len(hit)
        low, high = np.quantile(resampled, [0.025, 0.975])
        plain += low <= recall <= high
        without += low == high
    shares = f"{covered / EXPERIMENTS:.1%} | {width / EXPERIMENTS:.4f} | {plain / EXPERIMENTS:.1%}"
    return f"| {recall} | {groups} | {correlation} | {shares} | {without / EXPERIMENTS:.1%} |"


def drawn(
    recall: float, groups: int, correlation: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Draw hits and groups of an experiment."""
    spread = (1 - correlation) / correlation
    chance = rng.beta(recall * spread, (1 - recall) * spread, groups)
    group = np.repeat(np.arange(groups), TILES)
    return rng.random(len(group)) < chance[group], group


if __name__ == "__main__":
    main()
