"""Preparation of a source's tiles: unreadable files, digests, groups and splits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.discovery.listed_paths import own_paths
from crack_lightning.data.grouping.filename_order import consecutive_pairs
from crack_lightning.data.grouping.groups import PhotoClues, merge_groups
from crack_lightning.data.scan.image_stats import MEASURES
from crack_lightning.data.scan.scan import scan_files
from crack_lightning.data.splits.painted import split_painted
from crack_lightning.data.splits.split_files import apply_splits, read_splits
from crack_lightning.data.table import EXCLUDED, SPLITS, TileTable, read_rows
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from crack_lightning.data.scan.scan import ScanResult

STATISTICS = ("brightness", "sharpness")
_NAMED = 5


def without_excluded(table: TileTable, file: Path) -> tuple[TileTable, list[dict[str, str]]]:
    """Exclude the tiles of a list, such as reviewed rows of an audit.

    Args:
        table: Tiles of a source.
        file: A CSV file with a column ``path``, as in ``splits.csv``.

    Returns:
        The other tiles, and ``{"path", "reason"}`` of those left out.

    Raises:
        DataError: If the file cannot be read, has no such column, or names an unknown tile or all tiles.
    """
    rows = read_rows(file, ("path",), key="data.exclude", hint="give a CSV file")
    named = set(own_paths((row["path"] for row in rows), table.path.tolist()).values())
    if unknown := sorted(named - set(table.path.tolist())):
        raise DataError(
            f"data.exclude: '{file}' names {len(unknown)} tiles that are not under '{table.root}', "
            f"'{unknown[0]}' among them; give their paths as in splits.csv."
        )
    out = np.isin(table.path, sorted(named))
    if out.all():
        raise DataError(f"data.exclude: '{file}' names all {len(table)} tiles; leave some in.")
    return table.select(~out), [{"path": str(path), "reason": EXCLUDED} for path in table.path[out]]


def prepare_tiles(
    table: TileTable,
    *,
    on_unreadable: str,
    num_workers: int,
    show_progress: bool,
    cache: Path,
    near_duplicates: bool = False,
    recover_photos: bool = False,
    rescan: bool = False,
) -> tuple[TileTable, list[dict[str, str]]]:
    """Exclude files that do not decode, and add digests, image statistics and groups.

    Args:
        table: Tiles of a source.
        on_unreadable: ``error`` or ``skip``.
        num_workers: Threads that read.
        show_progress: Whether to show a bar.
        cache: The cache folder.
        near_duplicates: Whether to search for near-duplicates and join the groups that share one.
        recover_photos: Whether to recover the photos of tiles whose source does not name them.
        rescan: Whether to read every file again, whatever is remembered of it.

    Returns:
        The tiles that can be decoded, with ``sha256`` and image statistics, and ``{"path", "reason"}`` of
        every other.

    Raises:
        DataError: If a file cannot be decoded and ``on_unreadable`` is ``error``, or none can.
    """
    scan = scan_files(
        table.root,
        table.path,
        rescan=rescan,
        near_duplicates=near_duplicates,
        adjacent=recover_photos,
        num_workers=num_workers,
        show_progress=show_progress,
        cache=cache,
    )
    bad = scan.reason != ""
    skipped = [
        {"path": str(path), "reason": str(reason)}
        for path, reason in zip(table.path[bad], scan.reason[bad], strict=True)
    ]
    if skipped and (on_unreadable == "error" or bad.all()):
        named = "; ".join(f"{item['path']} ({item['reason']})" for item in skipped[:_NAMED])
        more = f"; and {len(skipped) - _NAMED} more" if len(skipped) > _NAMED else ""
        raise DataError(
            f"data.root: {len(skipped)} of {len(table)} files under '{table.root}' cannot be decoded: "
            f"{named}{more}. Repair or remove them, or set data.on_unreadable=skip."
        )
    statistics = {
        name: np.round(scan.appearance[:, MEASURES.index(name)].astype(np.float64), 4) for name in STATISTICS
    }
    described = replace(table, sha256=scan.sha256, extra=table.extra | statistics)
    return with_groups(described, scan).select(~bad), skipped


def with_groups(table: TileTable, scan: ScanResult) -> TileTable:
    """Merge the groups of N tiles by the near-duplicates and adjacent tiles of a scan, where it has them."""
    if scan.near_duplicates is None:
        return table
    if scan.adjacent is None:
        return merge_groups(table, near_duplicates=scan.near_duplicates, clues=None)
    good = np.flatnonzero(scan.reason == "")
    pairs, distance = consecutive_pairs(table.path[good], scan.appearance[good])
    clues = PhotoClues(adjacent=scan.adjacent, continuing=good[pairs], distance=distance)
    return merge_groups(table, near_duplicates=scan.near_duplicates, clues=clues)


def with_splits(table: TileTable, *, file: Path | None, splits_path: Path, **how: Any) -> TileTable:
    """Assign the splits and write ``splits.csv``; for a resumed run, check its tiles and take its splits.

    Args:
        table: Tiles with their digests.
        file: An earlier run's ``splits.csv`` to use instead.
        splits_path: This run's ``splits.csv``, which a resumed run has.
        how: Arguments of :func:`crack_lightning.data.splits.painted.split_painted`.

    Raises:
        DataError: If the tiles are no longer those of ``splits_path``, or not those of ``file``.
    """
    if splits_path.exists():
        return apply_splits(table, read_splits(splits_path, key="resume"), file=splits_path, resumed=True)
    if file is not None:
        table = apply_splits(table, read_splits(file), file=file)
    else:
        table = split_painted(table, **how)
    table.write_csv(splits_path)
    return table


def describe(table: TileTable) -> str:
    """Return one line with the tiles of each split by class."""
    parts = []
    for split in SPLITS:
        labels = table.label[table.split == split]
        counts = np.bincount(labels, minlength=len(table.class_names))
        classes = ", ".join(
            f"{count:,} {name}" for count, name in zip(counts, table.class_names, strict=True)
        )
        parts.append(f"{split} {len(labels):,} ({classes})")
    return "; ".join(parts)
