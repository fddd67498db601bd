"""Section on the data: splits, leakage between them, and excluded files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.data.discovery.left_out import LeftOut, describe_left_out
from crack_lightning.data.grouping.groups import large_set_rules
from crack_lightning.data.table import EXCLUDED
from crack_lightning.report.render.document import Pictures, Section, Table
from crack_lightning.report.render.formatting import in_brackets, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPLITS = {"train": "training", "val": "validation", "test": "test", "unused": "unused"}


def data_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on splits, leakage between them, and excluded files."""
    data, names = contents["data"], contents["class_names"]
    rows = [
        [_SPLITS[split], *map(number, row["classes"].values()), number(row["tiles"]), number(row["groups"])]
        for split, row in data["splits"].items()
    ]
    head = ["split", *names, "all tiles", "groups"]
    sources = ", ".join(f"{name} ({tiles:,} tiles)" for name, tiles in data["sources"].items())
    leaks = [_group_sentence(data), _near_duplicate_sentence(contents) if len(rows) > 1 else ""]
    if contents["near_duplicates"]["searched"]:
        leaks += large_set_rules(sum(row["tiles"] for row in data["splits"].values()))
    lines = [
        f"Source: {sources}.",
        *leaks,
        _left_out_sentence(data),
        *_excluded_lines(contents["provenance"]),
    ]
    return Section(
        "Data and leakage",
        [
            Table(head, rows, "l" + "r" * (len(head) - 1)),
            *(line for line in lines if line),
            Pictures(["example_tiles.png", "augmentations.png"]),
        ],
        "A group is one photo or a set of near-duplicates: metrics are honest only if no group has tiles in "
        "two splits.",
    )


def _left_out_sentence(data: Mapping[str, Any]) -> str:
    sentence = describe_left_out([LeftOut(**row) for row in data["left_out"]])
    return f"{sentence}." if sentence else ""


def _group_sentence(data: Mapping[str, Any]) -> str:
    shared, unknown = data["groups_in_several_splits"], data["tiles_without_group"]
    if unknown == sum(row["tiles"] for row in data["splits"].values()):
        return (
            "Groups are unknown: tiles of one photo may be in several splits, and the metrics may be too "
            "optimistic."
        )
    text = f"Groups with tiles in several splits: {shared:,}."
    if unknown:
        text += f" Tiles of unknown group: {unknown:,}."
    if inferred := data["tiles_of_inferred_photos"]:
        text += f" The photos of {inferred:,} tiles were inferred from matching edges and file names."
    return text


def _near_duplicate_sentence(contents: Mapping[str, Any]) -> str:
    found = contents["near_duplicates"]
    kinds = "identical files or near-duplicates" if found["searched"] else "identical files"
    text = f"Leaked pairs ({kinds} in two splits): {found['leaked_pairs']:,}."
    if not (tiles := found["test_tiles_with_near_duplicate_in_train"]):
        return text
    others = found["accuracy_without_near_duplicates"]
    interval = contents["uncertainty"]["intervals"].get("accuracy_without_near_duplicates")
    rest = (
        "there are no others"
        if others is None
        else f"accuracy on the others {percent(others)}{in_brackets(interval, percent)}"
    )
    return f"{text} Test tiles with one in training: {tiles:,}; {rest}."


def _excluded_lines(provenance: Mapping[str, Any]) -> list[str]:
    left_out = provenance.get("excluded_files") or []
    unreadable = [row for row in left_out if row["reason"] != EXCLUDED]
    excluded = len(left_out) - len(unreadable)
    lines = [f"Excluded by {EXCLUDED}: {excluded:,} tiles, listed in report.json."] if excluded else []
    if not unreadable:
        return lines
    named = "; ".join(f"{row['path']} ({row['reason']})" for row in unreadable[:10])
    more = f"; and {len(unreadable) - 10:,} more, in report.json" if len(unreadable) > 10 else ""
    return [*lines, f"Unreadable files left out: {len(unreadable):,}. {named}{more}."]
