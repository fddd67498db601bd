"""Twins: tiles that show the same spot, saved again, recoloured, mirrored, moved or scaled a little."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from threadpoolctl import threadpool_limits

from crack_lightning.data.grouping.candidates import candidate_pairs
from crack_lightning.data.grouping.fine_structure import fine_structures, has_detail, turned
from crack_lightning.data.scan.progress import progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

NEAR_DUPLICATES_VERSION = 7
"""To be raised whenever other pairs are found, which invalidates cached scans."""

PREVIEW_PX = 64
LEAST_LIKENESS = 0.85
"""Aligned correlation of the fine structure from which two tiles are near-duplicates."""
LARGEST_COMPLETE = 32
"""Largest set of near-duplicates whose pairs are all returned; a larger one has enough pairs to join it."""

_INNER = slice(5, -5)
"""What is left of a preview's side for shifts within 5 px."""
_CHUNK = 128
_SCALES = (1.0, 0.985, 1.015, 0.97, 1.03, 0.955, 1.045)
_OFFSETS_PX = (0.0, 0.5)
_HOPELESS = 0.6


def preview(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the thumbnail of a tile that the search compares.

    Args:
        image: RGB values, uint8 ``(H, W, 3)``.

    Returns:
        Grey values, uint8 ``(64, 64)``, each the mean of the pixels that it stands for.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (PREVIEW_PX, PREVIEW_PX), interpolation=cv2.INTER_AREA), np.uint8)


def near_duplicate_pairs(
    previews: NDArray[np.uint8], *, num_workers: int = 2, show_progress: bool = False
) -> NDArray[np.int64]:
    """Find pairs of tiles that show the same spot.

    Two tiles, one of them mirrored or turned by quarters if need be, are compared where the spectra of their
    fine structure are alike, which no shift changes, and their coarse pictures are not unlike, or where these
    are alike as they lie; they are near-duplicates where their fine structure itself is alike, by
    ``LEAST_LIKENESS`` at the best of seven scales within 4.5 % and of all shifts within 5 of 64 pixels, in
    halves. Brightness and contrast do not matter. Cracks of the same course differ in the concrete beside
    them.

    Tiles with too little detail have no near-duplicates; equal previews are compared once. Time and memory
    grow by the square with neither the copies of a tile nor the frames of a fixed camera: what is joined to a
    set of over ``LARGEST_COMPLETE`` is not compared with the rest of it.

    Args:
        previews: Of N tiles, uint8 ``(N, 64, 64)``.
        num_workers: Threads.
        show_progress: Whether to draw a progress bar on standard error.

    Returns:
        Row numbers, ascending in each pair and from pair to pair, int64 ``(P, 2)``.
    """
    if not len(previews):
        return np.empty((0, 2), np.int64)
    # threads of NumPy's own beside these would wait for each other: the search takes twice as long
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(max(1, num_workers)) as pool:
        pictures = [previews[start : start + _CHUNK] for start in range(0, len(previews), _CHUNK)]
        fine = np.concatenate(list(pool.map(fine_structures, pictures)))
        copies = _copies(previews, np.flatnonzero(has_detail(fine[:, _INNER, _INNER])))
        first = np.array([rows[0] for rows in copies], np.int64)
        found = _compared(previews[first], fine[first], pool, show_progress=show_progress)
    return _spread(found, copies)


def _copies(previews: NDArray[np.uint8], rows: NDArray[np.int64]) -> list[list[int]]:
    """Return those of some rows that have the same preview, in sets, by their first rows."""
    sets: dict[bytes, list[int]] = {}
    for row in rows.tolist():
        sets.setdefault(previews[row].tobytes(), []).append(row)
    return list(sets.values())


def _spread(found: NDArray[np.int64], copies: list[list[int]]) -> NDArray[np.int64]:
    """Return the pairs of rows that pairs of sets of copies, ``(P, 2)``, and these sets stand for."""
    pairs: list[tuple[int, int]] = []
    for one, other in [*((number, number) for number in range(len(copies))), *found.tolist()]:
        both = product(copies[one], copies[other])
        if len(copies[one]) + len(copies[other]) > LARGEST_COMPLETE:
            both = product(copies[one][:1], copies[other])
        pairs += [(min(pair), max(pair)) for pair in both if pair[0] != pair[1]]
    return np.unique(np.array(pairs, np.int64).reshape(-1, 2), axis=0)


def _compared(
    previews: NDArray[np.uint8], fine: NDArray[np.uint8], pool: Executor, *, show_progress: bool
) -> NDArray[np.int64]:
    """Return the pairs of different previews that are twins, ``(P, 2)``."""
    if not len(previews):
        return np.empty((0, 2), np.int64)
    pairs, place = candidate_pairs(previews, fine, pool)
    title = "Comparing candidates" if show_progress else None
    rounds = int(place.max(initial=0)).bit_length() + 1
    found = np.empty((0, 3), np.int64)
    for number in progress_bar(range(rounds), title, total=rounds):
        due = pairs[(place >= 2**number // 2) & (place < 2**number)]
        due = due[~_in_one_large_set(due, found, len(previews))]
        chunks = [due[start : start + _CHUNK] for start in range(0, len(due), _CHUNK)]
        found = np.concatenate([found, *pool.map(partial(_alike_of, fine=fine), chunks)])
    return np.unique(found[:, :2], axis=0)


def _in_one_large_set(pairs: NDArray[np.int64], found: NDArray[np.int64], number: int) -> NDArray[np.bool_]:
    """Return which pairs are within a set of over ``LARGEST_COMPLETE`` tiles already, bool ``(P,)``."""
    graph = coo_array((np.ones(len(found), np.bool_), (found[:, 0], found[:, 1])), shape=(number, number))
    member_of = connected_components(graph, directed=False)[1]
    one, other = member_of[pairs[:, 0]], member_of[pairs[:, 1]]
    return np.asarray((one == other) & (np.bincount(member_of)[one] > LARGEST_COMPLETE), np.bool_)


def _alike_of(pairs: NDArray[np.int64], *, fine: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return those of some pairs in their orientations, ``(P, 3)``, whose fine structure is alike."""
    return pairs[[_alike(fine[one], turned(fine[other], turn)) for one, other, turn in pairs.tolist()]]


def _alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Say whether two tiles correlate enough at some scale and shift; hopeless ones are not aligned."""
    inner = np.ascontiguousarray(other[_INNER, _INNER])
    middle = (one.shape[0] - 1) / 2
    for scale, x, y in product(_SCALES, _OFFSETS_PX, _OFFSETS_PX):
        as_it_is = (scale, x, y) == (1, 0, 0)
        matrix = np.array([[scale, 0, middle * (1 - scale) + x], [0, scale, middle * (1 - scale) + y]])
        moved = one if as_it_is else cv2.warpAffine(one, matrix, one.shape, borderMode=cv2.BORDER_REFLECT)
        likeness = cv2.matchTemplate(moved, inner, cv2.TM_CCOEFF_NORMED).max()
        if likeness >= LEAST_LIKENESS:
            return True
        if as_it_is and likeness < _HOPELESS:
            return False
    return False
