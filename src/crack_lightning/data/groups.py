"""Which tiles belong together: one photo, one file under two names, one spot saved twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable


def with_twins(table: TileTable, pairs: NDArray[np.int64]) -> TileTable:
    """Name the sets of twins, and let groups that share a twin be one.

    Args:
        table: N tiles, ``sha256`` filled in.
        pairs: Twins by row number, int64 ``(P, 2)``; identical files need not be among them.

    Returns:
        The table with the column ``twins`` in ``extra`` (the first path of the set, str ``(N,)``, empty for
        a tile without a twin) and ``group`` joined: by the group that comes first by name, or for tiles of
        no known photo by the name of their set.
    """
    twins = _components(len(table), [pairs, _same(table.sha256)])
    together = _components(len(table), [pairs, _same(table.sha256), _same(table.group)])
    last = "\uffff"  # sorts after every name
    photo = _named(together, np.where(table.group == "", last, table.group), alone=None)
    group = np.where(photo == last, _named(together, table.path, alone=""), photo)
    return replace(table, group=group, extra=table.extra | {"twins": _named(twins, table.path, alone="")})


def photo_known(table: TileTable) -> NDArray[np.bool_]:
    """Say of each tile whether its group is a photo, not merely a set of twins, bool ``(N,)``."""
    known: NDArray[np.bool_] = table.group != ""
    return known & (table.group != table.extra["twins"]) if "twins" in table.extra else known


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
