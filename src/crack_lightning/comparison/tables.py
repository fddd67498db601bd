"""Console tables of a comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from crack_lightning.comparison.by_source import SOURCE_METRICS
from crack_lightning.comparison.comparison import comparison_title
from crack_lightning.comparison.reference_tests import BEST_TESTED, MANY_RUNS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_SETTINGS, _MAX_REASONS = 4, 10


def comparison_table(contents: Mapping[str, Any]) -> Group:
    """Build the console output of a comparison: one row per run, and notes on the tests."""
    table = Table(title=Text(comparison_title(contents["runs"])), title_justify="left")
    shown = contents["differing"] if len(contents["differing"]) <= _MAX_SETTINGS else []
    for name in ("run", *shown):
        table.add_column(name, overflow="fold")
    for name in ("accuracy", "95 % CI", "adjusted p", "seconds", "parameters", "tiles/s"):
        table.add_column(name, justify="right", overflow="fold")
    tests = {row["run"]: row for row in contents["tests"]}
    for part in (contents["pooled"], contents["runs"]):
        for row in part[: _first(part)]:
            table.add_row(*_cells(row, shown, tests.get(row["run"], {})))
        table.add_section()
    notes = {f"Reference: {contents['reference']['run']}, chosen by {contents['chosen_by']}.": None}
    notes |= dict.fromkeys(filter(None, [contents["tested_by"], _not_shown(contents["runs"])]))
    notes |= {f"{row['untested']}.": None for row in contents["tests"] if "untested" in row}
    return Group(table, *map(Text, notes), *without_result(contents), *by_source(contents["transfer"]))


def _first(rows: Sequence[Any]) -> int:
    """Return the number of rows that the console shows."""
    return len(rows) if len(rows) <= MANY_RUNS else BEST_TESTED


def _not_shown(rows: Sequence[Any]) -> str:
    if _first(rows) == len(rows):
        return ""
    return (
        f"Shown: the first {_first(rows)} of {len(rows):,} runs by test accuracy; comparison.html and "
        "comparison.csv have all."
    )


def without_result(contents: Mapping[str, Any]) -> list[Text]:
    """List folders without a finished run and the reasons; count those beyond ``_MAX_REASONS``."""
    rows = contents["without"]
    lines = [f"  {row['run']}: {row['status']}" for row in rows[:_MAX_REASONS]]
    if len(rows) > len(lines):
        lines.append(f"  and {len(rows) - len(lines):,} more, which comparison.html names")
    return [Text("\n".join([f"Without a result, and not compared: {len(rows):,}", *lines]))] if rows else []


def by_source(transfer: Mapping[str, Any]) -> list[Table]:
    """Build the table of metrics by test source; none with one source, or with many runs."""
    if not transfer["rows"] or len(transfer["rows"]) > MANY_RUNS:
        return []
    table = Table(title=Text("Metrics by test source"), title_justify="left")
    shown = transfer["varied"] if len(transfer["varied"]) <= _MAX_SETTINGS else []
    for name in ("run", *shown, "trained on", "tested on"):
        table.add_column(name, overflow="fold")
    for name in ("tiles", *(metric.label for metric in SOURCE_METRICS.values())):
        table.add_column(name, justify="right", overflow="fold")
    for row in transfer["rows"]:
        cells = [row["run"], *(str(row["settings"][key]) for key in shown), row["trained_on"]]
        for source, tested in row["tested"].items():
            figures = [
                format_interval(tested[name], share=metric.percent) for name, metric in SOURCE_METRICS.items()
            ]
            table.add_row(*map(Text, [*cells, source, f"{tested['tiles']:,}", *figures]))
        table.add_section()
    return [table]


def format_interval(figure: Mapping[str, Any], *, share: bool) -> str:
    """Format a value with its interval: a share in per cent, else a number.

    >>> format_interval({"value": 0.9, "low": 0.851, "high": 0.95}, share=True)
    '90.00 % (85.10 to 95.00)'
    >>> format_interval({"value": 0.9, "low": None, "high": None}, share=False)
    '0.9000'
    """
    value, low, high = figure["value"], figure["low"], figure["high"]
    if value is None:
        return "-"
    factor, form, unit = (100, ".2f", " %") if share else (1, ".4f", "")
    known = low is not None and high is not None
    limits = f" ({factor * low:{form}} to {factor * high:{form}})" if known else ""
    return f"{factor * value:{form}}{unit}{limits}"


def _cells(row: Mapping[str, Any], shown: Sequence[str], test: Mapping[str, Any]) -> list[Text]:
    limits, speed = row["intervals"].get("accuracy"), row["tiles_per_second"]
    cells = [
        row["run"],
        *(str(row["settings"][key]) for key in shown),
        f"{row['metrics']['accuracy']:.2%}",
        f"{limits['low']:.2%} to {limits['high']:.2%}" if limits else "-",
        f"{test['p_adjusted']:.3f}" if "p_adjusted" in test else "-",
        f"{row['seconds']:.0f}",
        f"{row['parameters']:,}",
        "-" if speed is None else f"{speed:,.0f}",
    ]
    return [Text(cell) for cell in cells]
