"""Which tiles belong together: one photo, one file under two names, one spot saved twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crack_lightning.data.sequence import enclosed_pairs

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

LARGEST_SHARE = 0.05
"""Of all tiles, what a group may hold at the most that was guessed from names."""


class PhotoClues(NamedTuple):
    """What tells which of N tiles were cut from one photo.

    Attributes:
        touching: Pairs that lay side by side, int64 ``(P, 2)``.
        continuing: Pairs of neighbouring names that look alike, int64 ``(Q, 2)``.
        distance: How much the looks of each continuing pair differ, float ``(Q,)``.
    """

    touching: NDArray[np.int64]
    continuing: NDArray[np.int64]
    distance: NDArray[np.float32]


def joined_groups(table: TileTable, *, twins: NDArray[np.int64], clues: PhotoClues | None) -> TileTable:
    """Let tiles be one group that share a photo, a twin or an edge, or continue each other in the names.

    A tile that touches another is placed by that alone, and so is one whose name lies between those of such a
    photo (:func:`~crack_lightning.data.sequence.enclosed_pairs`). What else continues in the names is a guess
    that may chain: no such group may pass ``LARGEST_SHARE`` of the tiles (:func:`_bounded_single_linkage`).

    Args:
        table: N tiles, ``sha256`` filled in.
        twins: Pairs by row number, int64 ``(P, 2)``; identical files need not be among them.
        clues: To photos that the source does not know; ``None`` to recover none.

    Returns:
        The table with ``group`` joined (named after the photo that comes first by name, else after the first
        tile) and two columns in ``extra``: ``twins``, the first name in each tile's set of twins, and
        ``group_from``, how its group is known: by the ``source``, by ``recovery`` from pixels and names, or
        by ``twins``; each str ``(N,)``, empty for a tile that is alone.
    """
    same = [twins, _same(table.sha256)]
    known = joined = _components(len(table), [*same, _same(table.group)])
    of_source = np.isin(known, known[table.group != ""])
    if clues is not None:
        joined = _recovered(table, [*same, _same(table.group)], clues, of_source)
        of_source = np.isin(joined, joined[of_source])
    sets = np.unique(np.stack([joined, known]), axis=1)[0]
    recovered = (np.bincount(sets)[joined] > 1) & ~of_source
    last = "\uffff"  # sorts after every name
    photo = _named(joined, np.where(table.group == "", last, table.group), alone=None)
    group = np.where(photo == last, _named(joined, table.name, alone=""), photo)
    origin = np.select([of_source, recovered, group != ""], ["source", "recovery", "twins"], "")
    named = _named(_components(len(table), same), table.name, alone="")
    return replace(table, group=group, extra=table.extra | {"twins": named, "group_from": origin})


def _recovered(
    table: TileTable, edges: list[NDArray[np.int64]], clues: PhotoClues, of_source: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Number the photos of N tiles by what is known and by clues, int64 ``(N,)``."""
    touching = clues.touching[~of_source[clues.touching].all(axis=1)]
    photo = _components(len(table), [*edges, touching])
    alone = len(table) + np.arange(len(table))
    photo = np.where(np.isin(photo, photo[touching]), photo, alone)
    enclosed = enclosed_pairs(table.path, photo)
    enclosed = enclosed[~of_source[enclosed].any(axis=1)]
    certain = _components(len(table), [*edges, touching, enclosed])
    placed = of_source | np.isin(certain, certain[touching])
    free = ~placed[clues.continuing].any(axis=1)
    limit = int(LARGEST_SHARE * len(table))
    return _bounded_single_linkage(certain, clues.continuing[free], clues.distance[free], limit=limit)


def photo_known(table: TileTable) -> NDArray[np.bool_]:
    """Say of each tile whether its group is a photo, not merely a set of twins, bool ``(N,)``."""
    known: NDArray[np.bool_] = table.group != ""
    return known & (table.extra["group_from"] != "twins") if "group_from" in table.extra else known


def leaked_pairs(table: TileTable) -> int:
    """Count pairs of identical files or twins on two sides of a split, each pair of a set of twins once."""
    keys = _content(table)
    decided = (keys != "") & (table.split != "")
    of_set = _counts(keys[decided])
    of_side = _counts(np.char.add(np.char.add(keys[decided], "\0"), table.split[decided]))
    return int(_pairs_within(of_set) - _pairs_within(of_side))


def has_twin_in(table: TileTable, split: str) -> NDArray[np.bool_]:
    """Say of each tile whether an identical file or a twin is in a split, bool ``(N,)``."""
    keys = _content(table)
    there = np.unique(keys[table.split == split])
    return np.asarray(np.isin(keys, there[there != ""]) & (table.split != split), np.bool_)


def _content(table: TileTable) -> NDArray[np.str_]:
    """Name what each tile shows: its set of twins, else its file's digest; empty where neither is known."""
    twins = table.extra.get("twins", np.full(len(table), ""))
    return np.where(twins == "", table.sha256, twins).astype(np.str_)


def _same(names: NDArray[np.str_]) -> NDArray[np.int64]:
    """Return a chain of pairs through the rows of each name, empty names left out, int64 ``(P, 2)``."""
    order = np.argsort(names, kind="stable")
    one, other = order[:-1], order[1:]
    equal = (names[one] == names[other]) & (names[one] != "")
    return np.stack([one[equal], other[equal]], axis=1).astype(np.int64)


def _components(number: int, edges: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    one, other = np.concatenate(edges).T
    graph = coo_array((np.ones(len(one), np.bool_), (one, other)), shape=(number, number))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def _bounded_single_linkage(
    unit: NDArray[np.int64], pairs: NDArray[np.int64], distance: NDArray[np.float32], *, limit: int
) -> NDArray[np.int64]:
    """Join units by their nearest pairs first, leaving out what would make a set of over ``limit`` tiles.

    That is single linkage by Kruskal's algorithm (Gower and Ross, "Minimum Spanning Trees and Single Linkage
    Cluster Analysis", 1969) with a bound; a unit is never cut.
    """
    parent, size = np.arange(unit.max(initial=-1) + 1).tolist(), np.bincount(unit).tolist()

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = node = parent[parent[node]]
        return node

    for one, other in unit[pairs[np.argsort(distance, kind="stable")]].tolist():
        first, second = root(one), root(other)
        if first != second and size[first] + size[second] <= limit:
            parent[second] = first
            size[first] += size[second]
    roots = np.array([root(node) for node in unit.tolist()], np.int64)
    return np.asarray(np.unique(roots, return_inverse=True)[1], np.int64)


def _named(component: NDArray[np.int64], names: NDArray[np.str_], *, alone: str | None) -> NDArray[np.str_]:
    """Name each component after its first name; components of one row ``alone``, where that is given."""
    order = np.lexsort((names, component))
    first = order[np.unique(component[order], return_index=True)[1]]
    named = names[first][component]
    if alone is None:
        return named
    return np.where(np.bincount(component)[component] > 1, named, alone)


def _counts(keys: NDArray[np.str_]) -> NDArray[np.int64]:
    return np.unique(keys, return_counts=True)[1].astype(np.int64)


def _pairs_within(counts: NDArray[np.int64]) -> int:
    return int((counts * (counts - 1) // 2).sum())
