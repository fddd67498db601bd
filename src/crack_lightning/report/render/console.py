"""The console output at the end of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from crack_lightning.evaluation.metrics.registry import call_metrics
from crack_lightning.report.render.formatting import number
from crack_lightning.report.sections.metrics import write_of

if TYPE_CHECKING:
    from collections.abc import Mapping


def closing_table(contents: Mapping[str, Any]) -> Group:
    """Build the console output of a report: one row per class, and the verdict.

    Args:
        contents: The contents of the report.
    """
    table = Table(title=Text(contents["title"]), title_justify="left")
    shown = [metric for metric in call_metrics() if metric.scope == "class"]
    table.add_column("class")
    for column in (*(metric.label for metric in shown), "tiles"):
        table.add_column(column, justify="right")
    for name, row in (*contents["classes"].items(), ("macro average", contents["macro"])):
        if row is contents["macro"]:
            table.add_section()
        cells = [write_of(metric)(row[metric.name]) for metric in shown]
        table.add_row(Text(name), *cells, number(row["support"]))
    lines = [contents["verdict"], *contents["warnings"]]
    return Group(table, *(Text(line, overflow="fold") for line in lines))
