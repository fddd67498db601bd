"""Groups of tiles that must share a split: one photo, identical files, near-duplicates."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crack_lightning.data.columns import NEAR_DUPLICATES
from crack_lightning.data.grouping.filename_order import enclosed_name_pairs
from crack_lightning.data.grouping.linkage import bounded_single_linkage, components
from crack_lightning.data.grouping.near_duplicates import (
    MAX_EXHAUSTIVE,
    MAX_WEAK_SET,
    STRONG_CORRELATION,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

LARGEST_SHARE = 0.05
"""Largest share of all tiles in a group that was recovered from file names."""
MAX_RECOVERED = 100_000
"""Largest number of tiles whose photos are recovered: every edge is compared with every other."""


class PhotoClues(NamedTuple):
    """Evidence that tiles were cut from one photo.

    Attributes:
        adjacent: Pairs of adjacent tiles, int64 ``(P, 2)``.
        continuing: Pairs of neighbouring names with similar image statistics, int64 ``(Q, 2)``.
        distance: Distance of the image statistics of each such pair, float ``(Q,)``.
    """

    adjacent: NDArray[np.int64]
    continuing: NDArray[np.int64]
    distance: NDArray[np.float32]


def large_set_rules(number: int) -> list[str]:
    """Return the rules by which groups of so many tiles are bounded, a sentence each, for reports."""
    by_near_duplicates = (
        f"Among more than {MAX_EXHAUSTIVE:,} tiles near-duplicates are searched among nearest neighbours, "
        f"sets of more than {MAX_WEAK_SET:,} are joined only by pairs that correlate by "
        f"{STRONG_CORRELATION} or more, and near-duplicates join photos only to groups of at most "
        f"{LARGEST_SHARE:.0%} of the tiles."
    )
    by_photo = (
        f"Photos that the source does not name are not recovered from more than {MAX_RECOVERED:,} tiles; "
        "data.group_pattern names them."
    )
    return [by_near_duplicates] * (number > MAX_EXHAUSTIVE) + [by_photo] * (number > MAX_RECOVERED)


def merge_groups(
    table: TileTable, *, near_duplicates: NDArray[np.int64], clues: PhotoClues | None
) -> TileTable:
    """Merge tiles into groups that share a photo, a near-duplicate, an edge, or consecutive names.

    Adjacency is strong evidence: tiles that have it, and tiles whose names lie between those of such a photo
    (:func:`~crack_lightning.data.grouping.filename_order.enclosed_name_pairs`), are not linked by consecutive
    names. Those links may chain: no group that they form may exceed ``LARGEST_SHARE`` of the tiles
    (:func:`~crack_lightning.data.grouping.linkage.bounded_single_linkage`). Above ``MAX_EXHAUSTIVE`` tiles,
    where more pairs are similar by chance, near-duplicate links are bounded likewise.

    Args:
        table: N tiles, ``sha256`` filled in.
        near_duplicates: Pairs by row, int64 ``(P, 2)``; identical files need not be among them.
        clues: Evidence of photos that the source does not name; ``None`` to recover none.

    Returns:
        The table with merged ``group`` (its first photo name in sorted order, else first tile name) and two
        columns in ``extra``: ``near_duplicates``, the first name in each tile's set of near-duplicates, and
        ``group_from``, the origin of the group: ``source``, ``recovery`` (from pixels and names) or
        ``near_duplicates``; each str ``(N,)``, empty for a tile without a group.
    """
    number, equal = len(table), _equal_name_pairs(table.sha256)
    certain = components(number, np.concatenate([equal, _equal_name_pairs(table.group)]))
    limit = number if number <= MAX_EXHAUSTIVE else int(LARGEST_SHARE * number)
    certain = joined = bounded_single_linkage(
        certain, near_duplicates, np.zeros(len(near_duplicates), np.float32), limit=limit
    )
    of_source = np.isin(certain, certain[table.group != ""])
    if clues is not None:
        joined = _recovered(table, certain, clues, of_source)
        of_source = np.isin(joined, joined[of_source])
    sets = np.unique(np.stack([joined, certain]), axis=1)[0]
    recovered = (np.bincount(sets)[joined] > 1) & ~of_source
    last = "\uffff"  # sorts after every name
    photo = _first_names(joined, np.where(table.group == "", last, table.group), alone=None)
    group = np.where(photo == last, _first_names(joined, table.name, alone=""), photo)
    origin = np.select([of_source, recovered, group != ""], ["source", "recovery", NEAR_DUPLICATES], "")
    same = components(number, np.concatenate([near_duplicates, equal]))
    named = _first_names(same, table.name, alone="")
    return replace(table, group=group, extra=table.extra | {NEAR_DUPLICATES: named, "group_from": origin})


def _recovered(
    table: TileTable, certain: NDArray[np.int64], clues: PhotoClues, of_source: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Return photo numbers of N tiles from certain links and clues, int64 ``(N,)``."""
    adjacent = clues.adjacent[~of_source[clues.adjacent].all(axis=1)]
    known = np.concatenate([_equal_pairs(certain), adjacent])
    photo = components(len(table), known)
    alone = len(table) + np.arange(len(table))
    photo = np.where(np.isin(photo, photo[adjacent]), photo, alone)
    enclosed = enclosed_name_pairs(table.path, photo)
    enclosed = enclosed[~of_source[enclosed].any(axis=1)]
    certain = components(len(table), np.concatenate([known, enclosed]))
    placed = of_source | np.isin(certain, certain[adjacent])
    free = ~placed[clues.continuing].any(axis=1)
    limit = int(LARGEST_SHARE * len(table))
    return bounded_single_linkage(certain, clues.continuing[free], clues.distance[free], limit=limit)


def has_known_photo(table: TileTable) -> NDArray[np.bool_]:
    """Return whether each tile's group is a photo and not only a set of near-duplicates, bool ``(N,)``."""
    grouped: NDArray[np.bool_] = table.group != ""
    origin = table.extra.get("group_from")
    return grouped if origin is None else grouped & (origin != NEAR_DUPLICATES)


def leaked_pairs(table: TileTable) -> int:
    """Return the number of pairs of identical files or near-duplicates in different splits."""
    keys = _content_keys(table)
    decided = (keys != "") & (table.split != "")
    keys_and_splits = np.char.add(np.char.add(keys[decided], "\0"), table.split[decided])
    return _num_equal_pairs(keys[decided]) - _num_equal_pairs(keys_and_splits)


def has_near_duplicate_in(table: TileTable, split: str) -> NDArray[np.bool_]:
    """Return whether an identical file or a near-duplicate of each tile is in a split, bool ``(N,)``."""
    keys = _content_keys(table)
    there = np.unique(keys[table.split == split])
    return np.asarray(np.isin(keys, there[there != ""]) & (table.split != split), np.bool_)


def _content_keys(table: TileTable) -> NDArray[np.str_]:
    """Return the key of each tile's content: its set of near-duplicates, else its digest, else empty."""
    near_duplicates = table.extra.get(NEAR_DUPLICATES, np.full(len(table), ""))
    return np.where(near_duplicates == "", table.sha256, near_duplicates).astype(np.str_)


def _equal_name_pairs(names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return a chain of pairs through the rows of each name, empty names left out, int64 ``(P, 2)``."""
    pairs = _equal_pairs(names)
    return np.asarray(pairs[names[pairs[:, 0]] != ""], np.int64)


def _equal_pairs(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return a chain of pairs through the rows of each value, int64 ``(P, 2)``."""
    order = np.argsort(values, kind="stable")
    pairs = np.stack([order[:-1], order[1:]], axis=1)
    return np.asarray(pairs[values[order[:-1]] == values[order[1:]]], np.int64)


def _first_names(
    component: NDArray[np.int64], names: NDArray[np.str_], *, alone: str | None
) -> NDArray[np.str_]:
    """Return the first name in each row's component; ``alone``, if given, for a component of one row."""
    order = np.lexsort((names, component))
    first = order[np.unique(component[order], return_index=True)[1]]
    named = names[first][component]
    if alone is None:
        return named
    return np.where(np.bincount(component)[component] > 1, named, alone)


def _num_equal_pairs(keys: NDArray[np.str_]) -> int:
    counts = np.unique(keys, return_counts=True)[1]
    return int((counts * (counts - 1) // 2).sum())
