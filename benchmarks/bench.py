"""Speed, scale and memory on METU's tiles: ``python benchmarks/bench.py [loop features reading job scale]``.

    python benchmarks/bench.py loop job --data ../shared/data --turns 5

Each part writes ``results/<part>.md`` beside this file, with the machine. What is compared takes turns, so
that a slow spell of the machine falls on both. With a GPU the training loop runs there.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import features
import job
import loop
import reading
import scale
from commands import Commands
from turns import write_results

PARTS = {
    "loop": loop.measure,
    "features": features.measure,
    "reading": reading.measure,
    "job": job.measure,
    "scale": scale.measure,
}
DATA = Path(__file__).parents[2] / "shared" / "data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--data", type=Path, default=DATA, help="folder that holds metu/ and uav75/")
    parser.add_argument("--turns", type=int, default=5, help="measurements of everything that is compared")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"parts: expected some of {', '.join(PARTS)}, got {', '.join(sorted(unknown))}")
    if not (asked.data / "metu").is_dir():
        parser.error(f"--data: there is no folder '{asked.data / 'metu'}'")
    for name in asked.parts or PARTS:
        with tempfile.TemporaryDirectory() as scratch:
            commands = Commands(asked.data.resolve(), Path(scratch))
            write_results(name, PARTS[name](commands, turns=asked.turns))


if __name__ == "__main__":
    main()
