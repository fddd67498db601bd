"""Grid adjacency: rows of tiles of one photo, by the order of file names and correlation along seams."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.ndimage import rank_filter, uniform_filter1d

from crack_lightning.data.grouping.edge_matching import BOTTOM, LEFT, RIGHT, TOP, edge_profiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_WIDTHS = range(3, 65)
_NEAR = 7
_CLEAR = 0.5
_LEAST_Z = 5.0


def grid_adjacent_pairs(edges: NDArray[np.uint8], folders: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return pairs of tiles that were adjacent in a photo cut row by row (or column by column).

    Where names follow the order of cutting, a tile lies above the one that comes one row length later. A
    single pair of edges is weak evidence; the mean correlation along the whole seam between two rows is
    strong, and drops where a photo ends.

    Args:
        edges: Of N tiles, uint8 ``(N, 4, EDGE_SAMPLES)``.
        folders: Rows of each folder in the order of their names, int64 ``(M,)`` each.

    Returns:
        Row numbers of neighbours within such rows of tiles and across their seams, int64 ``(P, 2)``.
    """
    pairs = [np.empty((0, 2), np.int64)]
    profiles = edge_profiles(edges)
    for rows in folders:
        left, right, top, bottom = (profiles[side][rows] for side in (LEFT, RIGHT, TOP, BOTTOM))
        for width in _WIDTHS:
            pairs.append(rows[_grid_links(right, left, bottom, top, width=width)])
            pairs.append(rows[_grid_links(bottom, top, right, left, width=width)])
    return np.concatenate(pairs)


def _grid_links(
    end: NDArray[np.float32],
    begin: NDArray[np.float32],
    foot: NDArray[np.float32],
    head: NDArray[np.float32],
    *,
    width: int,
) -> NDArray[np.int64]:
    """Return positions of neighbours in photos of ``width`` tiles a row, int64 ``(P, 2)``.

    Args:
        end: Profile of the edge towards the next tile of the row, float32 ``(M, E)``.
        begin: Profile of the edge towards the previous tile, float32 ``(M, E)``.
        foot: Profile of the edge towards the next row, float32 ``(M, E)``.
        head: Profile of the edge towards the previous row, float32 ``(M, E)``.
        width: Tiles a row.
    """
    if len(end) < 2 * width:
        return np.empty((0, 2), np.int64)
    seam = sliding_window_view(_correlate(foot, head, width), width).mean(axis=1)
    least = _chance_level(foot, head, width, number=width)
    if seam.max() <= least:
        return np.empty((0, 2), np.int64)
    beside, least_beside = _correlate(end, begin, 1), _chance_level(end, begin, 1, number=width - 1)
    first = _rows_of_tiles(beside, width, least=least_beside)
    first = first[np.isin(first + width, first)]
    usual = rank_filter(seam[first], rank=2, size=_NEAR, mode="nearest")
    first = first[seam[first] > np.maximum(least, _CLEAR * usual)]
    across = first[:, None] + np.arange(width)
    along = np.union1d(first, first + width)[:, None] + np.arange(width - 1)
    links = [(across.ravel(), width), (along.ravel(), 1)]
    return np.concatenate([np.stack([place, place + step], axis=1) for place, step in links])


def _correlate(one: NDArray[np.float32], other: NDArray[np.float32], step: int) -> NDArray[np.float32]:
    """Correlate each profile of ``one`` with that of ``other`` ``step`` positions later, ``(M - step,)``."""
    return np.asarray(np.einsum("me,me->m", one[:-step], other[step:]), np.float32)


def _chance_level(one: NDArray[np.float32], other: NDArray[np.float32], step: int, *, number: int) -> float:
    """Return the significance threshold of a mean of ``number`` correlations, from pairs one step off."""
    return float(_LEAST_Z * _correlate(one, other, step + 1).std() / np.sqrt(number))


def _rows_of_tiles(beside: NDArray[np.float32], width: int, *, least: float) -> NDArray[np.int64]:
    """Return the first positions of rows of ``width`` tiles: neighbours match inside a row, not at its ends.

    Args:
        beside: Correlation of each of M positions with the next, float32 ``(M - 1,)``. It is averaged over
            positions one row apart, as all rows of a photo are equally long.
        width: Tiles a row.
        least: Smallest mean correlation inside a row.
    """
    before = np.pad(beside, 1)  # nothing lies beside the first and the last
    folded = np.pad(before, (0, -len(before) % width)).reshape(-1, width)
    folded = uniform_filter1d(folded, _NEAR, axis=0, mode="nearest").ravel()[: len(before)]
    row = sliding_window_view(folded, width + 1)
    ends, inner = row[:, [0, -1]].max(axis=1), row[:, 1:-1]
    clear = (ends < inner.min(axis=1)) & (ends < _CLEAR * inner.mean(axis=1)) & (inner.mean(axis=1) > least)
    return np.flatnonzero(clear)
