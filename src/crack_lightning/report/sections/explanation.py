"""Where the model looks, for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Gallery, Section, ShownTile, Table
from crack_lightning.report.sections.verdict import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crack_lightning.report.render.document import Block


def explanation_section(
    explained: Mapping[str, Any] | None, localisation: Mapping[str, Any] | None
) -> Section:
    """Show example tiles with their maps, and how well the maps find the crack."""
    if not explained:
        return Section("Where it looks", [])
    blocks: list[Block] = [
        f"Evidence by {explained['method']}, orange where it is strong; each map by its own highest value."
    ]
    if localisation:
        blocks += _skill_blocks(localisation)
    blocks += [
        Gallery(
            title,
            [
                ShownTile(
                    row["path"], row["label"], f"called {row['predicted']}, {row['probability']:.3f}", True
                )
                for row in rows
            ],
        )
        for title, rows in explained["examples"].items()
    ]
    return Section("Where it looks", blocks)


def _skill_blocks(localisation: Mapping[str, Any]) -> list[Block]:
    energy, pointing = localisation["energy"], localisation["pointing"]
    told = (
        f"On cracked test tiles with masks {percent(energy['score'])} of the evidence lies within 8 px of "
        f"the crack ({percent(energy['random'])} by chance), and its highest point on "
        f"{percent(pointing['score'])} of the tiles. Skill is 0 for chance and 1 for the best that a map of "
        "this resolution can do."
    )
    rows = [["all", *_skills(localisation)]]
    rows += [[_branches(row), *_skills(row)] for row in localisation["by_lines"] or ()]
    head = [
        "cracks",
        "tiles",
        "skill of the evidence",
        "95 % interval",
        "of its highest point",
        "95 % interval",
    ]
    return [told, Table(head, rows, "lrrrrr")]


def _skills(row: Mapping[str, Any]) -> list[str]:
    cells = [number(row["tiles"])]
    for name in ("energy", "pointing"):
        interval = row[name]["interval"]
        limits = f"{interval['low']:.2f} to {interval['high']:.2f}" if interval else "-"
        cells += ["-" if row[name]["skill"] is None else f"{row[name]['skill']:.2f}", limits]
    return cells


def _branches(row: Mapping[str, Any]) -> str:
    """Name a number of lines by the branches: a crack of one line has none."""
    branches = row["lines"] - 1
    more = " or more" if row["or_more"] else ""
    return f"{branches or 'no'}{more} branch{'' if branches == 1 and not more else 'es'}"
