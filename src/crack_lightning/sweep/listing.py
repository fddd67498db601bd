"""A comparison in the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def comparison_table(contents: Mapping[str, Any], *, page: Path) -> Group:
    """Build what the console shows of a comparison: a row a run, the best first, and where the page is."""
    table = Table(title=Text(contents["title"]), title_justify="left")
    for name in ("run", *contents["differing"]):
        table.add_column(name, overflow="fold")
    for name in ("accuracy", "95 % interval", "p to the best", "seconds"):
        table.add_column(name, justify="right")
    told = {row["run"]: row for row in contents["tests"]}
    for row in contents["runs"]:
        test = told.get(row["run"], {})
        low, high = row["interval"]["low"], row["interval"]["high"]
        table.add_row(
            row["run"],
            *(str(value) for value in row["settings"].values()),
            f"{row['metrics']['accuracy']:.2%}",
            f"{low:.2%} to {high:.2%}",
            f"{test['p_adjusted']:.3f}" if "p_adjusted" in test else "-",
            f"{row['seconds']:.0f}",
        )
    return Group(table, Text(f"Comparison: {page}", overflow="fold"))
