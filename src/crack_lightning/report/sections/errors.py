"""Missed cracks, false alarms, and the slices of the test tiles with most errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Code, Gallery, Section, ShownTile, Table
from crack_lightning.report.render.formatting import limits, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from crack_lightning.report.render.document import Block

    Tiles = Sequence[Mapping[str, Any]]

_SLICES = {
    "group": "Errors by group, those with most errors",
    "source": "Errors by source",
    "brightness": "Errors by brightness, from 0 (black) to 1",
    "sharpness": "Errors by sharpness, the blurred tiles first",
    "crack_width": "Missed cracks by crack width",
    "distractor": "False alarms by distractor",
}
_WITH_TABLE = ("group", "source", "brightness", "sharpness")
_GROUP_NOTE = "Groups have no interval: each is a single sample, and these were selected for their errors."
_LEAST_CONFIDENT = (
    "The tiles nearest to the threshold: a small change of image or threshold changes the prediction."
)
_HOW = "Look at these tiles: wrong labels, unusual surfaces or one photo with many errors are easy to see."


def missed_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on missed tiles of the positive class, the most confident errors first."""
    name, title = contents["positive_class"], "Missed cracks (false negatives)"
    if name is None:
        return Section(title, [])
    tiles, total = contents["classes"][name]["support"], contents["metrics"]["false_negatives"]
    missed = [row for row in contents["most_confident_errors"] if row["label"] == name]
    count = f"{total:,} of {tiles:,} {name} tiles were missed." if tiles else f"No {name} tile was tested."
    return Section(
        title, [_with_number_shown(count, missed, total), *_gallery_and_table(missed)], _HOW * bool(missed)
    )


def false_alarms_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on false alarms, the most confident first, with their rate by distractor."""
    name, title = contents["positive_class"], "False alarms (false positives)"
    if name is None:
        return Section(title, [])
    tiles = contents["metrics"]["tiles"] - contents["classes"][name]["support"]
    total = contents["metrics"]["false_positives"]
    alarms = [row for row in contents["most_confident_errors"] if row["predicted"] == name]
    count = (
        f"{total:,} of {tiles:,} other tiles raised a false alarm." if tiles else "No other tile was tested."
    )
    blocks = [_with_number_shown(count, alarms, total), *_gallery_and_table(alarms)]
    return Section(
        title, [*blocks, *_distractor_blocks(contents["false_alarms_by_distractor"])], _HOW * bool(alarms)
    )


def errors_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on all other errors and on the least confident predictions."""
    name, total = contents["positive_class"], contents["metrics"]["errors"]
    others = [
        row
        for row in contents["most_confident_errors"]
        if name is None or name not in (row["label"], row["predicted"])
    ]
    blocks: list[Block] = _gallery_and_table(others)
    if name is None:
        count = f"{total:,} of {contents['metrics']['tiles']:,} tiles are predicted wrongly."
        blocks = [_with_number_shown(count, others, total), *blocks]
    least_confident = [shown_tile(row) for row in contents["least_confident"]]
    if others or name is None:
        blocks.append(Gallery("The least confident predictions", least_confident))
        return Section("Errors" if name is None else "Other errors", blocks, _HOW)
    return Section("Least confident predictions", [Gallery("", least_confident)], _LEAST_CONFIDENT)


def _with_number_shown(count: str, rows: Tiles, total: int) -> str:
    return f"{count} Shown: the {len(rows)} most confident." if 0 < len(rows) < total else count


def _gallery_and_table(rows: Tiles) -> list[Block]:
    if not rows:
        return []
    cells = [
        [Code(row["path"]), row["group"] or "-", row["label"], row["predicted"], number(row["probability"])]
        for row in rows
    ]
    head = ["tile", "group", "label", "prediction", "probability"]
    return [Gallery("", [shown_tile(row) for row in rows]), Table(head, cells, "llllr")]


def shown_tile(row: Mapping[str, Any], *, explained: bool = False) -> ShownTile:
    """Return a tile for a gallery, captioned with its prediction and probability."""
    caption = f"predicted as {row['predicted']}, {row['probability']:.3f}"
    return ShownTile(row["path"], row["label"], caption, explained)


def _distractor_blocks(rows: Tiles | None) -> list[Block]:
    cells = [
        [
            row["distractor"],
            number(row["tiles"]),
            number(row["false_positives"]),
            percent(row["rate"]),
            limits(row["interval"], percent),
        ]
        for row in rows or ()
    ]
    head = ["distractor", "tiles", "false alarms", "rate", "95 % CI"]
    note = "A tile with several distractors counts under each."
    return [Table(head, cells, "lrrrr"), note] if cells else []


def slices_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on error slices; crack width and distractor have tables in other sections."""
    blocks: list[Block] = []
    for key, title in _SLICES.items():
        rows = contents["error_slices"][key] or []
        if key in _WITH_TABLE and rows:
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
            blocks.append(Table([key, "tiles", "errors", "error rate", "95 % CI"], cells, "lrrrr"))
            blocks += [_GROUP_NOTE] if key == "group" else []
        shown = [
            ShownTile(tile["path"], tile["label"], f"predicted as {tile['predicted']} ({row['name']})")
            for row in rows
            for tile in row["examples"]
        ]
        blocks += [Gallery(title, shown, folded=True)] if shown else []
    return Section(
        "Error slices",
        blocks,
        "A slice whose interval lies above the error rate of the others shows where the model is weak.",
    )
