"""The end of a run on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from crack_lightning.report.verdict import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def closing_table(contents: Mapping[str, Any], *, report_path: Path) -> Group:
    """Build what the console shows last: a row a class, the verdict, and where the report is.

    Args:
        contents: The mapping in ``report.json``.
        report_path: The report to open.
    """
    table = Table(title=Text(contents["title"]), title_justify="left")
    table.add_column("class")
    for column in ("precision", "recall", "F1", "tiles"):
        table.add_column(column, justify="right")
    for name, row in contents["classes"].items():
        table.add_row(
            Text(name), *(percent(row[key]) for key in ("precision", "recall", "f1")), number(row["support"])
        )
    macro = contents["macro"]
    table.add_section()
    table.add_row(
        "macro", *(percent(macro[key]) for key in ("precision", "recall", "f1")), number(macro["support"])
    )
    lines = [contents["verdict"], *contents["cautions"], f"Report: {report_path}"]
    return Group(table, *(Text(line, overflow="fold") for line in lines))
