"""What a report says of its data: splits, leaks, twins, and what was left out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.data.discovery.left_out import LeftOut, describe_left_out
from crack_lightning.data.table import EXCLUDED
from crack_lightning.report.render.document import Pictures, Section, Table
from crack_lightning.report.sections.verdict import in_brackets, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

_SPLITS = {"train": "training", "val": "validation", "test": "test", "unused": "unused"}


def data_section(contents: Mapping[str, Any]) -> Section:
    """Lay out who was in which split, and what may flatter."""
    data, names = contents["data"], contents["class_names"]
    rows = [
        [_SPLITS[split], *map(number, row["classes"].values()), number(row["tiles"]), number(row["groups"])]
        for split, row in data["splits"].items()
    ]
    head = ["split", *names, "all tiles", "groups"]
    sources = ", ".join(f"{name} ({tiles:,} tiles)" for name, tiles in data["sources"].items())
    leaks = [_leak_sentence(data), _twins_sentence(contents) if len(rows) > 1 else ""]
    lines = [f"Source: {sources}.", *leaks, _left_out_sentence(data), *_skipped_lines(contents["provenance"])]
    return Section(
        "Data",
        [
            Table(head, rows, "l" + "r" * (len(head) - 1)),
            *(line for line in lines if line),
            Pictures(["example_tiles.png", "augmentations.png"]),
        ],
    )


def _left_out_sentence(data: Mapping[str, Any]) -> str:
    sentence = describe_left_out([LeftOut(**row) for row in data["left_out"]])
    return f"{sentence}." if sentence else ""


def _leak_sentence(data: Mapping[str, Any]) -> str:
    shared, unknown = data["groups_in_several_splits"], data["tiles_without_group"]
    tiles = sum(row["tiles"] for row in data["splits"].values())
    if unknown == tiles:
        return (
            "Groups are unknown: tiles of one photo may stand in several splits, and the figures may flatter."
        )
    told = (
        f"{shared:,} {'group stands' if shared == 1 else 'groups stand'} in several splits"
        if shared
        else "No group stands in two splits"
    )
    rest = f"; of {unknown:,} tiles the group is unknown" if unknown else ""
    recovered = data["tiles_of_inferred_photos"]
    guess = f" The photos of {recovered:,} tiles were found by edges that fit and by names in order."
    return f"{told}{rest}.{guess if recovered else ''}"


def _twins_sentence(contents: Mapping[str, Any]) -> str:
    twins = contents["near_duplicates"]
    if not twins["leaked_pairs"]:
        what = "No identical file and no twin" if twins["searched"] else "No identical file"
        return f"{what} stands on two sides (leaked pairs: 0)."
    told = f"Leaked pairs, identical files or twins on two sides: {twins['leaked_pairs']:,}."
    if not (tiles := twins["test_tiles_with_near_duplicate_in_train"]):
        return told
    others = twins["accuracy_without_near_duplicates"]
    limits = in_brackets(
        contents["uncertainty"]["intervals"].get("accuracy_without_near_duplicates"), percent
    )
    rest = (
        "no test tile is without" if others is None else f"accuracy on the others {percent(others)}{limits}"
    )
    return f"{told} {tiles:,} test tiles have one in training; {rest}."


def _skipped_lines(provenance: Mapping[str, Any]) -> list[str]:
    left_out = provenance.get("skipped") or []
    skipped = [row for row in left_out if row["reason"] != EXCLUDED]
    excluded = len(left_out) - len(skipped)
    told = [f"Left out by {EXCLUDED}: {excluded:,} tiles, named in report.json."] if excluded else []
    if not skipped:
        return told
    named = "; ".join(f"{row['path']} ({row['reason']})" for row in skipped[:10])
    more = f"; and {len(skipped) - 10:,} more, in report.json" if len(skipped) > 10 else ""
    return [*told, f"Left out because unreadable, {len(skipped):,} in all: {named}{more}."]
