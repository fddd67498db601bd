"""Near-duplicate search by normalised cross-correlation of fine structure.

Near-duplicates show the same spot, re-encoded, recoloured, mirrored, or slightly shifted or scaled.
"""

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
"""Raise it whenever the pairs change, to invalidate cached scans."""

PREVIEW_PX = 64
MIN_CORRELATION = 0.85
"""Smallest aligned correlation of the fine structure of near-duplicates."""
MAX_COMPLETE_SET = 32
"""Largest set of near-duplicates whose pairs are all returned; of a larger one pairs that connect it are."""

_INNER = slice(5, -5)
"""Part of a preview's side that is compared, for shifts within 5 px."""
_CHUNK = 128
_SCALES = (1.0, 0.985, 1.015, 0.97, 1.03, 0.955, 1.045)
_OFFSETS_PX = (0.0, 0.5)
_MIN_UNALIGNED = 0.6


def preview(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the thumbnail of a tile for the search.

    Args:
        image: RGB values, uint8 ``(H, W, 3)``.

    Returns:
        Grey values, uint8 ``(64, 64)``, each the mean of the pixels that it covers.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (PREVIEW_PX, PREVIEW_PX), interpolation=cv2.INTER_AREA), np.uint8)


def near_duplicate_pairs(
    previews: NDArray[np.uint8], *, num_workers: int = 2, show_progress: bool = False
) -> NDArray[np.int64]:
    """Return pairs of tiles that show the same spot.

    Two tiles, in any of the square's eight orientations, are candidates if the shift-invariant spectra of
    their fine structure are similar and their coarse images not dissimilar, or if the coarse images are very
    similar. They are near-duplicates if the normalised cross-correlation of their fine structure reaches
    ``MIN_CORRELATION`` at the best of seven scales within 4.5 % and of all shifts within 5 of 64 pixels, in
    steps of a half. Brightness and contrast have no influence; cracks of the same course differ in the
    concrete beside them.

    Tiles with too little detail have no near-duplicates; equal previews are compared once. Neither copies of
    a tile nor frames of a fixed camera make time and memory quadratic: a tile that is connected to a set of
    over ``MAX_COMPLETE_SET`` is not compared with the rest of it.

    Args:
        previews: Of N tiles, uint8 ``(N, 64, 64)``.
        num_workers: Threads.
        show_progress: Whether to draw a progress bar on standard error.

    Returns:
        Row numbers, ascending in each pair and from pair to pair, int64 ``(P, 2)``.
    """
    if not len(previews):
        return np.empty((0, 2), np.int64)
    # NumPy's BLAS threads and those of the pool would wait for each other: twice the time
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(max(1, num_workers)) as pool:
        pictures = [previews[start : start + _CHUNK] for start in range(0, len(previews), _CHUNK)]
        fine = np.concatenate(list(pool.map(fine_structures, pictures)))
        copies = _copy_sets(previews, np.flatnonzero(has_detail(fine[:, _INNER, _INNER])))
        first = np.array([rows[0] for rows in copies], np.int64)
        pairs_of_sets = _compare_candidates(previews[first], fine[first], pool, show_progress=show_progress)
    return _expand_copies(pairs_of_sets, copies)


def _copy_sets(previews: NDArray[np.uint8], rows: NDArray[np.int64]) -> list[list[int]]:
    """Return sets of rows with equal previews, in order of their first rows."""
    sets: dict[bytes, list[int]] = {}
    for row in rows.tolist():
        sets.setdefault(previews[row].tobytes(), []).append(row)
    return list(sets.values())


def _expand_copies(pairs_of_sets: NDArray[np.int64], copies: list[list[int]]) -> NDArray[np.int64]:
    """Return the pairs of rows within sets of copies, and between pairs of sets ``(P, 2)``."""
    pairs: list[tuple[int, int]] = []
    for one, other in [*((number, number) for number in range(len(copies))), *pairs_of_sets.tolist()]:
        both = product(copies[one], copies[other])
        if len(copies[one]) + len(copies[other]) > MAX_COMPLETE_SET:
            both = product(copies[one][:1], copies[other])
        pairs += [(min(pair), max(pair)) for pair in both if pair[0] != pair[1]]
    return np.unique(np.array(pairs, np.int64).reshape(-1, 2), axis=0)


def _compare_candidates(
    previews: NDArray[np.uint8], fine: NDArray[np.uint8], pool: Executor, *, show_progress: bool
) -> NDArray[np.int64]:
    """Return the pairs of different previews that are near-duplicates, ``(P, 2)``."""
    if not len(previews):
        return np.empty((0, 2), np.int64)
    pairs, place = candidate_pairs(previews, fine, pool)
    title = "Comparing candidates" if show_progress else None
    rounds = int(place.max(initial=0)).bit_length() + 1
    duplicates = np.empty((0, 3), np.int64)
    for number in progress_bar(range(rounds), title, total=rounds):
        due = pairs[(place >= 2**number // 2) & (place < 2**number)]
        due = due[~_in_one_large_set(due, duplicates, len(previews))]
        chunks = [due[start : start + _CHUNK] for start in range(0, len(due), _CHUNK)]
        duplicates = np.concatenate([duplicates, *pool.map(partial(_near_duplicates_of, fine=fine), chunks)])
    return np.unique(duplicates[:, :2], axis=0)


def _in_one_large_set(
    pairs: NDArray[np.int64], duplicates: NDArray[np.int64], number: int
) -> NDArray[np.bool_]:
    """Return which pairs are already within one set of over ``MAX_COMPLETE_SET`` tiles, bool ``(P,)``."""
    graph = coo_array(
        (np.ones(len(duplicates), np.bool_), (duplicates[:, 0], duplicates[:, 1])), shape=(number, number)
    )
    member_of = connected_components(graph, directed=False)[1]
    one, other = member_of[pairs[:, 0]], member_of[pairs[:, 1]]
    return np.asarray((one == other) & (np.bincount(member_of)[one] > MAX_COMPLETE_SET), np.bool_)


def _near_duplicates_of(pairs: NDArray[np.int64], *, fine: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the near-duplicates among pairs with orientations, ``(P, 3)``."""
    return pairs[
        [_is_near_duplicate(fine[one], turned(fine[other], turn)) for one, other, turn in pairs.tolist()]
    ]


def _is_near_duplicate(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Return whether two tiles correlate at any scale and shift; stop early if unaligned ones hardly do."""
    inner = np.ascontiguousarray(other[_INNER, _INNER])
    middle = (one.shape[0] - 1) / 2
    for scale, x, y in product(_SCALES, _OFFSETS_PX, _OFFSETS_PX):
        is_unaligned = (scale, x, y) == (1, 0, 0)
        matrix = np.array([[scale, 0, middle * (1 - scale) + x], [0, scale, middle * (1 - scale) + y]])
        moved = one if is_unaligned else cv2.warpAffine(one, matrix, one.shape, borderMode=cv2.BORDER_REFLECT)
        correlation = cv2.matchTemplate(moved, inner, cv2.TM_CCOEFF_NORMED).max()
        if correlation >= MIN_CORRELATION:
            return True
        if is_unaligned and correlation < _MIN_UNALIGNED:
            return False
    return False
