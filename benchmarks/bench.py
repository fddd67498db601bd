"""Speed, scale and memory on METU's tiles: ``python benchmarks/bench.py [part …]``, all parts by default.

    python benchmarks/bench.py loop job --data ../shared/data --turns 5

Each part writes ``results/<part>.md`` beside this file, with the machine. Alternatives are measured in turns,
so that varying speed of the machine affects all alike. With a GPU the training loop runs on it.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import audits
import features
import job
import loop
import many_runs
import near_duplicates
import predictions
import reading
import reports
import scale
from commands import Commands
from turns import write_results

PARTS = {
    "loop": loop.measure,
    "near_duplicates": near_duplicates.measure,
    "features": features.measure,
    "reading": reading.measure,
    "job": job.measure,
    "predictions": predictions.measure,
    "scale": scale.measure,
    "report": reports.measure,
    "compare": many_runs.measure,
    "audits": audits.measure,
}
DATA = Path(__file__).parents[2] / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds metu/ and uav75/")
    parser.add_argument("--turns", type=int, default=5, help="measurements of each alternative")
    options = parser.parse_args()
    if unknown := set(options.parts) - set(PARTS):
        parser.error(f"parts: expected some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    if not (options.data / "metu").is_dir():
        parser.error(f"--data: there is no folder '{options.data / 'metu'}'")
    for name in options.parts or PARTS:
        with tempfile.TemporaryDirectory() as scratch:
            commands = Commands(options.data.resolve(), Path(scratch))
            write_results(name, PARTS[name](commands, turns=options.turns))


if __name__ == "__main__":
    main()
