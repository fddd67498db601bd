"""Coverage of all intervals and size of the paired test: ``python benchmarks/simulations.py``.

Runs the four simulations (about an hour on two cores; ``--summary`` reads their last tables) and summarises
each column over its rows in ``benchmarks/results/simulations.md``.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np

FOLDER = Path(__file__).parent
RESULTS = FOLDER / "results"
SCRIPTS = ("intervals", "interval_kinds", "detection", "model_comparison")
SHARE = re.compile(r"(\d+\.\d)%")


class Column(NamedTuple):
    """A column of a table: script, heading, meaning, nominal value in %, and a filter of its rows."""

    script: str
    head: str
    meaning: str
    target: int
    where: str = ""
    photos: str = ""  # "alone": one crack a photo, "shared": several


COLUMNS = (
    Column("intervals", "covers", "proportion, 95 % interval over groups", 95),
    Column("intervals", "tile bootstrap covers", "for comparison: bootstrap of single tiles", 95),
    *(
        Column("detection", head, f"{meaning}, {widths} widths", 95, widths, photos)
        for widths in ("log-uniform", "uniform", "default run")
        for head, meaning, photos in (
            ("above a90", "a90/95, independent cracks", "alone"),
            ("by photos", "a90/95 by photos, 8 cracks each", "shared"),
            ("above a90", "for comparison: a90/95 of independent cracks, 8 a photo", "shared"),
        )
    ),
    *(
        Column("model_comparison", head, f"{meaning}, errors correlated: {within}", 5, within)
        for within in ("the same", "none", "of one model alone")
        for head, meaning in (
            ("by whole photos", "paired sign-flip test of photos rejects"),
            ("by tiles (McNemar)", "for comparison: McNemar's test of tiles rejects"),
        )
    ),
)


def main() -> None:
    """Simulate, and print the summary."""
    if "--summary" not in sys.argv[1:]:
        for script in SCRIPTS:
            subprocess.run([sys.executable, str(FOLDER / f"{script}.py")], check=True)
    rows = [(column.meaning, column.target, shares_of(column)) for column in COLUMNS]
    kinds = [(row[0], 95, shares(row[1:])) for row in table("interval_kinds")[1:]]
    lines = ["| figure | kinds of tests | nominal | lowest | median | highest |", f"| --- |{' ---: |' * 5}"]
    lines += [
        f"| {meaning} | {len(found)} | {target} % | {found.min():.1f} % | {np.median(found):.1f} % "
        f"| {found.max():.1f} % |"
        for meaning, target, found in [*kinds, *rows]
        if len(found)
    ]
    print("\n".join(lines))
    (RESULTS / "simulations.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(script: str) -> list[list[str]]:
    """Return the rows of a simulation's table, the heading first."""
    lines = (RESULTS / f"{script}.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [rows[0], *rows[2:]]


def shares_of(column: Column) -> np.ndarray:
    """Return the percentages in a column, from the rows that it selects."""
    head, *rows = table(column.script)
    at = head.index(column.head)
    if column.where:
        rows = [row for row in rows if column.where in row]
    if column.photos:
        shared = head.index("by photos")
        rows = [row for row in rows if (row[shared] == "-") == (column.photos == "alone")]
    return shares([row[at] for row in rows])


def shares(cells: list[str]) -> np.ndarray:
    """Return the shares at the start of cells, in %."""
    return np.array([float(found[1]) for found in map(SHARE.match, cells) if found])


if __name__ == "__main__":
    main()
