"""Photo recovery by the order of file names: consecutive tiles cut from one photo."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.scan.image_stats import background

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REACH = 3
_ALIKE = 0.03
_WINDOW = 51
_IN_ORDER = 0.25
_MOST = 0.5
_REFERENCES = 2000


def folders_in_order(path: NDArray[np.str_]) -> list[NDArray[np.int64]]:
    """Return the rows of each folder in natural order of names, ``tile_2`` before ``tile_10``.

    Args:
        path: Paths of N tiles, with ``/``, str ``(N,)``.

    Returns:
        Row numbers, int64 ``(M,)`` each; every row is in one of them.
    """
    folders: dict[str, list[int]] = {}
    for row, name in enumerate(path.tolist()):
        folders.setdefault(name.rpartition("/")[0], []).append(row)
    return [np.array(sorted(rows, key=lambda row: _natural(str(path[row])))) for rows in folders.values()]


def consecutive_pairs(
    path: NDArray[np.str_], appearance: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return pairs of tiles with neighbouring names and similar image statistics.

    Two tiles at most three names apart are linked where each is among the nearest 3 % of the folder's tiles
    to the other. To exclude chance, a link counts only where a quarter of the fifty names around are linked
    too, that is, where names follow the order of cutting. Folders with shuffled names have no such place.

    Args:
        path: Relative paths of N tiles, str ``(N,)``.
        appearance: Image statistics, see :func:`crack_lightning.data.scan.image_stats.appearance`, float32
            ``(N, F)``.

    Returns:
        Row numbers, int64 ``(P, 2)``, and the distance of each pair's statistics, float32 ``(P,)``.
    """
    statistics = background(appearance)
    linked = [rows[_linked(statistics[rows])] for rows in folders_in_order(path)]
    pairs = np.concatenate([np.empty((0, 2), np.int64), *linked])
    return pairs, np.linalg.norm(statistics[pairs[:, 0]] - statistics[pairs[:, 1]], axis=1)


def enclosed_name_pairs(path: NDArray[np.str_], photo: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return pairs that link the tiles between the first and the last name of a photo.

    Only photos that have most of the names in that range count: there names follow the order of cutting. With
    shuffled names a photo has few of them.

    Args:
        path: Relative paths of N tiles, str ``(N,)``.
        photo: Photo number of each tile, unique where the photo is unknown, int64 ``(N,)``.

    Returns:
        Row numbers of neighbours in such runs, int64 ``(P, 2)``.
    """
    pairs = [np.empty((0, 2), np.int64)]
    for rows in folders_in_order(path):
        _, first, of_photo, number = np.unique(
            photo[rows], return_index=True, return_inverse=True, return_counts=True
        )
        last = np.zeros_like(first)
        np.maximum.at(last, of_photo, np.arange(len(rows)))
        dense = number > _MOST * (last - first + 1)
        opened = np.zeros(len(rows), np.int64)
        np.add.at(opened, first[dense], 1)
        np.add.at(opened, last[dense], -1)
        place = np.flatnonzero(np.cumsum(opened))
        pairs.append(np.stack([rows[place], rows[place + 1]], axis=1))
    return np.concatenate(pairs)


def _natural(name: str) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", name)  # numbers at the odd places; int() reads all that \d matches, not "²"
    return [(int(part), "") if place % 2 else (-1, part) for place, part in enumerate(parts)]


def _linked(statistics: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return linked positions in a sequence of statistics ``(M, D)``, int64 ``(P, 2)``."""
    if len(statistics) < _WINDOW:
        return np.empty((0, 2), np.int64)
    near = _near_distance(statistics)
    pairs = []
    for lag in range(1, _REACH + 1):
        distance = np.linalg.norm(statistics[lag:] - statistics[:-lag], axis=1)
        similar = distance < np.minimum(near[lag:], near[:-lag])
        if lag == 1:
            share = np.convolve(similar, np.ones(_WINDOW) / _WINDOW, mode="same")
            ordered = np.append(share, share[-1]) >= _IN_ORDER
        first = np.flatnonzero(similar & ordered[lag:] & ordered[:-lag])
        pairs.append(np.stack([first, first + lag], axis=1))
    return np.concatenate(pairs)


def _near_distance(statistics: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the distance to the nearest 3 % of all tiles, for statistics ``(M, D)``, ``(M,)``."""
    references = statistics[:: max(1, len(statistics) // _REFERENCES)]
    near, lengths = max(1, int(_ALIKE * len(references))), (references**2).sum(1)
    distances = []
    for start in range(0, len(statistics), _REFERENCES):  # all at once would be 320 MB for 40,000 tiles
        block = statistics[start : start + _REFERENCES]
        squares = (block**2).sum(1)[:, None] + lengths - 2 * block @ references.T
        distances.append(np.sqrt(np.maximum(np.partition(squares, near, axis=1)[:, near], 0)))
    return np.concatenate(distances).astype(np.float32)
