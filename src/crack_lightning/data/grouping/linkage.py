"""Sets of tiles that pairs link: connected components, and single linkage with a bound."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from numpy.typing import NDArray


def components(number: int, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of the connected component of each of N rows, int64 ``(N,)``.

    Args:
        number: N.
        pairs: Row numbers, int64 ``(P, 2)``.
    """
    graph = coo_array((np.ones(len(pairs), np.bool_), tuple(pairs[:, :2].T)), shape=(number, number))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def bounded_single_linkage(
    unit: NDArray[np.int64], pairs: NDArray[np.int64], distance: NDArray[np.float32], *, limit: int
) -> NDArray[np.int64]:
    """Merge units by their nearest pairs first, skipping merges of over ``limit`` rows.

    This is single linkage by Kruskal's algorithm (Gower and Ross, "Minimum Spanning Trees and Single Linkage
    Cluster Analysis", 1969) with a bound; a unit is never divided.

    Args:
        unit: Unit of each of N rows, numbered from 0, int64 ``(N,)``.
        pairs: Row numbers, int64 ``(P, 2)``.
        distance: Of each pair, float32 ``(P,)``; equal ones are merged in the order given.
        limit: Largest number of rows of a merged set.

    Returns:
        Number of each row's set, int64 ``(N,)``.
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
    roots = np.array([root(node) for node in range(len(parent))], np.int64)[unit]
    return np.asarray(np.unique(roots, return_inverse=True)[1], np.int64)
