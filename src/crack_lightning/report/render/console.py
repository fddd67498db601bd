"""The end of a run on the console."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from crack_lightning.report.sections.verdict import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping


def closing_table(contents: Mapping[str, Any]) -> Group:
    """Build what the console shows of a report: a row a class, and the verdict.

    Args:
        contents: The mapping in ``report.json``.
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
    lines = [contents["verdict"], *contents["cautions"]]
    return Group(table, *(Text(line, overflow="fold") for line in lines))
