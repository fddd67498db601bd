"""Splits of an earlier run, matched by name and digest, independent of the tiles' folder."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crack_lightning.data.discovery.listed_paths import own_paths
from crack_lightning.data.splits.assign import check_classes
from crack_lightning.data.table import SPLITS, read_rows
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from crack_lightning.data.table import TileTable

_log = logging.getLogger(__name__)


class SplitRow(NamedTuple):
    """A tile of a ``splits.csv``.

    Attributes:
        name: Its path relative to the root of its source.
        sha256: Digest of its file; empty where unknown.
        split: Its split; empty for a tile that was left out.
    """

    name: str
    sha256: str
    split: str


def read_splits(path: Path, *, key: str = "data.split.file") -> list[SplitRow]:
    """Read the split of each tile from a ``splits.csv``.

    Args:
        path: A file with at least the columns ``path`` and ``split``.
        key: The configuration's key, for the errors.

    Raises:
        DataError: If the file cannot be read, lacks a column, or names a split that does not exist.
    """
    rows = read_rows(path, ("path", "split"), key=key, hint="give a splits.csv of a run")
    for row in rows:
        if row["split"] not in (*SPLITS, ""):
            raise DataError(
                f"{key}: '{path}' puts '{row['path']}' in '{row['split']}'; expected train, val or test."
            )
    return [SplitRow(row.get("name") or row["path"], row.get("sha256", ""), row["split"]) for row in rows]


def apply_splits(
    table: TileTable, rows: Sequence[SplitRow], *, file: Path, resumed: bool = False
) -> TileTable:
    """Apply the splits of an earlier run.

    Tiles are matched by name and bytes, else by bytes, else by name; so the data may have moved, been renamed
    or been made anew on another machine.

    Args:
        table: N tiles with their digests.
        rows: From :func:`read_splits`.
        file: Where they were read, for the errors.
        resumed: Whether that run is resumed, so that other bytes are refused.

    Returns:
        The same tiles with ``split`` filled.

    Raises:
        DataError: If a tile is missing in the file or on disk, a split lacks a class, or the tiles of a
            resumed run have other bytes.
    """
    row_of = _matched(table, rows)
    names, digests = table.name.tolist(), table.sha256.tolist()
    changed = [
        names[tile]
        for tile, row in row_of.items()
        if rows[row].sha256 and digests[tile] not in ("", rows[row].sha256)
    ]
    if changed:
        _name_changed(table, changed, resumed=resumed)
    _check_same([name for tile, name in enumerate(names) if tile not in row_of], f"are not in '{file}'")
    followed = set(row_of.values())
    lacking = [row.name for number, row in enumerate(rows) if number not in followed]
    _check_same(lacking, f"are in '{file}', but not under '{table.root}'")
    done = replace(table, split=np.array([rows[row_of[tile]].split for tile in range(len(table))], "U5"))
    check_classes(done)
    return done


def _matched(table: TileTable, rows: Sequence[SplitRow]) -> dict[int, int]:
    """Return the matching row of each tile that has one."""
    names, digests = table.name.tolist(), table.sha256.tolist()
    own = own_paths([row.name for row in rows], names)
    listed_names, listed_digests = [own[row.name] for row in rows], [row.sha256 for row in rows]
    row_of: dict[int, int] = {}
    _match_by(_joint_keys(digests, names), _joint_keys(listed_digests, listed_names), row_of)
    _match_by(digests, listed_digests, row_of)
    _match_by(names, listed_names, row_of)
    return row_of


def _joint_keys(digests: list[str], names: list[str]) -> list[str]:
    return [f"{digest} {name}" if digest else "" for digest, name in zip(digests, names, strict=True)]


def _match_by(of_tile: list[str], of_row: list[str], row_of: dict[int, int]) -> None:
    """Match tiles and rows of equal keys that are not matched yet, in order; an empty key matches none."""
    taken = set(row_of.values())
    free = defaultdict(list)
    for row in reversed(range(len(of_row))):
        if row not in taken:
            free[of_row[row]].append(row)
    for tile, key in enumerate(of_tile):
        if tile not in row_of and key and free[key]:
            row_of[tile] = free[key].pop()


def _name_changed(table: TileTable, changed: list[str], *, resumed: bool) -> None:
    if resumed:
        raise DataError(
            f"resume: {len(changed)} tiles under '{table.root}' are not the files that the run began with: "
            f"{_some(changed)}. Give the images of that run, as in data.root=<folder>, or start a new run."
        )
    _log.warning(
        "data.split.file: %d tiles have other bytes than in that run and are followed by their names: %s",
        len(changed),
        _some(changed),
    )


def _check_same(missing: list[str], where: str) -> None:
    if missing:
        raise DataError(
            f"data.split.file: {len(missing)} tiles {where}: {_some(sorted(missing))}. "
            "Use the images of that run, or leave data.split.file out."
        )


def _some(names: list[str]) -> str:
    return ", ".join(f"'{name}'" for name in names[:3]) + (" …" if len(names) > 3 else "")
