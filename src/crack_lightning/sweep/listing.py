"""A comparison in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_APART = 4


def comparison_table(contents: Mapping[str, Any], *, page: Path) -> Group:
    """Build what the console shows of a comparison: a row a run, the best first, and where the page is."""
    table = Table(title=Text(contents["title"]), title_justify="left")
    shown = contents["differing"] if len(contents["differing"]) <= _APART else []
    for name in ("run", *shown):
        table.add_column(name, overflow="fold")
    for name in ("accuracy", "95 % interval", "p to the best", "seconds", "parameters", "tiles/s"):
        table.add_column(name, justify="right", overflow="fold")
    told = {row["run"]: row for row in contents["tests"]}
    for part in (contents["pooled"], contents["runs"]):
        for row in part:
            table.add_row(*_cells(row, shown, told.get(row["run"], {})))
        table.add_section()
    return Group(table, Text(f"Comparison: {page}", overflow="fold"))


def _cells(row: Mapping[str, Any], shown: Sequence[str], test: Mapping[str, Any]) -> list[Text]:
    limits, speed = row["intervals"]["accuracy"], row["tiles_per_second"]
    cells = [
        row["run"],
        *(str(row["settings"][key]) for key in shown),
        f"{row['metrics']['accuracy']:.2%}",
        f"{limits['low']:.2%} to {limits['high']:.2%}",
        f"{test['p_adjusted']:.3f}" if "p_adjusted" in test else "-",
        f"{row['seconds']:.0f}",
        f"{row['parameters']:,}",
        "-" if speed is None else f"{speed:,.0f}",
    ]
    return [Text(cell) for cell in cells]
