"""Section on explanations of predictions: evidence maps and their localisation skill."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Gallery, Section, Table
from crack_lightning.report.render.formatting import number, percent
from crack_lightning.report.sections.errors import shown_tile

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crack_lightning.report.render.document import Block


def explanation_section(contents: Mapping[str, Any]) -> Section:
    """Return the section with evidence maps of example tiles and their localisation skill."""
    explained, localisation = contents["explanation"], contents["localisation"]
    if not explained:
        return Section("Explanations", [])
    blocks: list[Block] = [f"Method: {explained['method']}. Each map is scaled to its maximum."]
    if localisation:
        blocks += _skill_blocks(localisation)
    blocks += [
        Gallery(title, [shown_tile(row, explained=True) for row in rows])
        for title, rows in explained["examples"].items()
    ]
    return Section(
        "Explanations",
        blocks,
        "Orange marks where the model found evidence: on a crack it should lie on the crack, and not on dirt "
        "beside it.",
    )


def _skill_blocks(localisation: Mapping[str, Any]) -> list[Block]:
    energy, pointing = localisation["energy"], localisation["pointing"]
    text = (
        f"Localisation on cracked test tiles with masks: {percent(energy['score'])} of the evidence lies "
        f"within 8 px of the crack ({percent(energy['random'])} for a random map), and its maximum on "
        f"{percent(pointing['score'])} of the tiles. Skill is 0 for a random map and 1 for the best map of "
        "this resolution."
    )
    rows = [["all", *_skills(localisation)]]
    rows += [[_branches(row), *_skills(row)] for row in localisation["by_lines"] or ()]
    head = ["cracks", "tiles", "skill, energy", "95 % CI", "skill, maximum", "95 % CI"]
    return [text, Table(head, rows, "lrrrrr")]


def _skills(row: Mapping[str, Any]) -> list[str]:
    cells = [number(row["tiles"])]
    for name in ("energy", "pointing"):
        interval = row[name]["interval"]
        limits = f"{interval['low']:.2f} to {interval['high']:.2f}" if interval else "-"
        cells += ["-" if row[name]["skill"] is None else f"{row[name]['skill']:.2f}", limits]
    return cells


def _branches(row: Mapping[str, Any]) -> str:
    """Return the number of branches of cracks as text; a crack of one line has no branch."""
    branches = row["lines"] - 1
    more = " or more" if row["or_more"] else ""
    return f"{branches or 'no'}{more} branch{'' if branches == 1 and not more else 'es'}"
