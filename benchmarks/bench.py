"""One table of ratios: the training loop, the feature pass and the whole job on METU's tiles.

    python benchmarks/bench.py [--data ../shared/data/metu] [--turns 5]

What is compared takes turns, so that a slow spell of the machine falls on both. Writes ``results/bench.json``
and ``results/bench.md`` beside this file. With a GPU the loop runs there, and two pairs at 224 px are added.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import loop_ratios
import torch
from feature_pass import feature_ratios
from speed import SpeedRows
from turns import HEADING, Ratio, write_results

ROOT = Path(__file__).parents[1]


def main() -> None:
    asked = _arguments()
    with tempfile.TemporaryDirectory() as scratch:
        rows = SpeedRows(asked.data.resolve(), Path(scratch))
        measured = {
            group: loop_ratios.measure(
                variants,
                rows.metu,
                turns=asked.turns,
                options={"steps": asked.steps},
                environment=rows.environment,
            )
            for group, variants in loop_ratios.GROUPS.items()
        }
        ratios = [*loop_ratios.table(measured), *feature_ratios(rows.metu, turns=asked.turns)]
        if torch.cuda.is_available():
            ratios += _on_gpu(rows, turns=asked.turns)
        job = {"cold": rows.a(), "features cached": rows.b()}
    text = "\n".join(
        [
            HEADING,
            *(ratio.as_row() for ratio in ratios),
            "",
            f"Hand-written loop: {loop_ratios.by_hand(measured['by_hand'])}.",
            "",
            f"A step of ours: {loop_ratios.split_step(measured['tensors'])}.",
            "",
            *(f"Whole job, {name}: {told}.  " for name, told in job.items()),
        ]
    )
    record = {
        "asked": {"turns": asked.turns, "steps": asked.steps},
        "loops": measured,
        "ratios": [{**vars(ratio), "median": ratio.median, "each": ratio.each} for ratio in ratios],
        "job": job,
    }
    write_results("bench", record, text)


def _on_gpu(rows: SpeedRows, *, turns: int) -> list[Ratio]:
    """Measure training at 224 px against tensors in the GPU's memory, and compiled against not."""
    options = {"size": 224, "batch": 64, "steps": 20}
    variants = (*loop_ratios.TENSORS, "compiled")
    measured = loop_ratios.measure(
        variants, rows.metu, turns=turns, options=options, environment=rows.environment
    )
    tiles = loop_ratios.ratio(measured, *loop_ratios.TENSORS)
    compiled = loop_ratios.ratio(measured, "compiled", "ours")
    return [
        Ratio("tiles, 224 px, GPU", "tensors in GPU memory", tiles.rates, tiles.over_rates),
        Ratio("compiled, 224 px, GPU", "ours", compiled.rates, compiled.over_rates),
    ]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data", help="has metu/")
    parser.add_argument("--turns", type=int, default=5, help="of everything that is compared")
    parser.add_argument("--steps", type=int, default=10, help="training steps a turn")
    asked = parser.parse_args()
    if not (asked.data / "metu").is_dir():
        parser.error(f"--data: there is no folder '{asked.data / 'metu'}'")
    return asked


if __name__ == "__main__":
    main()
