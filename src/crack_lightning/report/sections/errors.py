"""The tiles that were called wrongly or nearly so, to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Code, Gallery, Section, ShownTile, Table
from crack_lightning.report.sections.verdict import limits, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crack_lightning.report.render.document import Block

_TITLES = {
    "group": "Errors of the groups that have most",
    "source": "Errors by source",
    "brightness": "Errors by brightness, from 0 to 1",
    "sharpness": "Errors by sharpness, the blurred tiles first",
    "crack_width": "Missed, by the width of the crack",
    "distractor": "False alarms, by kind of distractor",
}
_WITH_A_TABLE = ("group", "source", "brightness", "sharpness")
_GROUP_NOTE = (
    "A single group has no interval: it is one sample, and these are shown because they have the most errors."
)


def errors_section(contents: Mapping[str, Any]) -> Section:
    """Show the surest errors of each class and the tiles that were nearest to another call."""
    errors, total = contents["most_confident_errors"], contents["metrics"]["errors"]
    unsure = [
        ShownTile(row["path"], row["label"], f"called {row['predicted']}, {row['probability']:.3f}")
        for row in contents["least_confident"]
    ]
    galleries: list[Block] = [Gallery("The least sure", unsure)] if unsure else []
    if not errors:
        return Section("Worst errors", ["None: every tile was called rightly.", *galleries])
    rows = [
        [
            Code(row["path"]),
            row["group"] or "-",
            row["label"],
            row["predicted"],
            number(row["probability"]),
        ]
        for row in errors
    ]
    head = ["tile", "group", "is", "was called", "with probability"]
    known = (
        f"All {total:,}" if len(errors) == total else f"The surest of each class: {len(errors)} of {total:,}"
    )
    of_class = {
        name: [
            ShownTile(row["path"], name, f"called {row['predicted']}, {row['probability']:.3f}")
            for row in errors
            if row["label"] == name
        ]
        for name in dict.fromkeys(row["label"] for row in errors)
    }
    wrong = [Gallery(f"Tiles of {name} called otherwise", tiles) for name, tiles in of_class.items()]
    return Section("Worst errors", [f"{known}.", *wrong, *galleries, Table(head, rows, "llllr")])


def slices_section(errors_by: Mapping[str, Sequence[Mapping[str, Any]] | None]) -> Section:
    """Show where errors gather; width and distractor have their tables in sections of their own."""
    blocks: list[Block] = []
    for key, title in _TITLES.items():
        rows = errors_by[key] or []
        if key in _WITH_A_TABLE and rows:
            cells = [
                [
                    row["name"],
                    number(row["tiles"]),
                    number(row["errors"]),
                    percent(row["share"]),
                    limits(row["interval"], percent),
                ]
                for row in rows
            ]
            blocks.append(Table([key, "tiles", "errors", "share", "95 % interval"], cells, "lrrrr"))
            blocks += [_GROUP_NOTE] if key == "group" else []
        shown = [
            ShownTile(tile["path"], tile["label"], f"called {tile['predicted']} ({row['name']})")
            for row in rows
            for tile in row["examples"]
        ]
        blocks += [Gallery(title, shown, folded=True)] if shown else []
    return Section("Where errors gather", blocks)
