"""Near-duplicate search by normalised cross-correlation of fine structure.

Near-duplicates show the same spot, re-encoded, recoloured, mirrored, or slightly shifted or scaled.
"""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from crack_lightning.data.grouping.candidates import MAX_CANDIDATES, exhaustive_candidates, limit_candidates
from crack_lightning.data.grouping.copies import MAX_COMPLETE_SET, Copies
from crack_lightning.data.grouping.descriptors import Descriptors, coarse_images
from crack_lightning.data.grouping.fine_structure import (
    INNER,
    aligned_correlation,
    fine_structures,
    has_detail,
    turned,
)
from crack_lightning.data.grouping.linkage import bounded_single_linkage, components
from crack_lightning.data.grouping.nearest_neighbours import MAX_NEIGHBOURS, neighbour_candidates
from crack_lightning.data.grouping.spectral import spectra
from crack_lightning.data.scan.progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

NEAR_DUPLICATES_VERSION = 8
"""Raise it whenever the pairs change, to invalidate cached scans."""

PREVIEW_PX = 64
MIN_CORRELATION = 0.85
"""Smallest aligned correlation of the fine structure of near-duplicates."""
MAX_EXHAUSTIVE = 50_000
"""Largest number of different tiles of which all pairs are compared; of more, nearest neighbours are."""
MAX_WEAK_SET, STRONG_CORRELATION = 1_000, 0.95
"""Of more tiles, sets over this size grow only by pairs that correlate so strongly."""

_CHUNK = 128


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
    previews: NDArray[np.uint8],
    *,
    num_workers: int = 2,
    show_progress: bool = False,
    max_exhaustive: int = MAX_EXHAUSTIVE,
) -> NDArray[np.int64]:
    """Return pairs of tiles that show the same spot.

    Two tiles, in any of the square's eight orientations, are candidates if the shift-invariant spectra of
    their fine structure are similar and their coarse images not dissimilar, or if the coarse images are very
    similar. They are near-duplicates if the normalised cross-correlation of their fine structure reaches
    ``MIN_CORRELATION`` at the best of seven scales within 4.5 % and of all shifts within 5 of 64 pixels, in
    steps of a half. Brightness and contrast have no influence; equally shaped cracks differ in the concrete
    beside them.

    Tiles with too little detail have no near-duplicates; equal previews are compared once. Neither copies of
    a tile nor frames of a fixed camera make time and memory quadratic: a tile that is connected to a set of
    over ``MAX_COMPLETE_SET`` is not compared with the rest of it. Above ``max_exhaustive`` different tiles,
    candidates are approximate nearest neighbours, in nearly linear time. As more pairs are then similar by
    chance, only pairs of at least ``STRONG_CORRELATION`` make a set exceed ``MAX_WEAK_SET``; weaker ones fill
    sets up to that size, the strongest first.

    Args:
        previews: Of N tiles, uint8 ``(N, 64, 64)``; may be memory-mapped, as they are read in parts.
        num_workers: Threads; the pairs do not depend on it.
        show_progress: Whether to draw progress bars on standard error.
        max_exhaustive: Largest number of different tiles of which all pairs are compared.

    Returns:
        Row numbers, ascending in each pair and from pair to pair, int64 ``(P, 2)``.
    """
    if not len(previews):
        return np.empty((0, 2), np.int64)
    # NumPy's BLAS threads and those of the pool would wait for each other: twice the time
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(max(1, num_workers)) as pool:
        copies = Copies.of(previews, pool)
        search = _Search.among(previews, copies.first, pool, max_exhaustive, show_progress=show_progress)
        pairs = search.near_duplicates()
        if len(copies.first) > max_exhaustive:
            pairs = search.bounded(search.connected(pairs))
    detailed = np.asarray(search.descriptors.spectrum.any(axis=(1, 2)), np.bool_)
    return copies.expand(pairs[:, :2], detailed=detailed)


class _Search(NamedTuple):
    """Search among M different tiles; a pair is two rows and the second's orientation, ``(P, 3)``.

    Attributes:
        descriptors: Of the tiles.
        structures: Returns fine structures by row, uint8 ``(R, 64, 64)``.
        pool: Threads.
        max_exhaustive: Largest number of tiles of which all pairs are compared.
        show_progress: Whether to draw progress bars.
    """

    descriptors: Descriptors
    structures: Callable[[NDArray[np.int64]], NDArray[np.uint8]]
    pool: Executor
    max_exhaustive: int
    show_progress: bool

    @classmethod
    def among(
        cls,
        previews: NDArray[np.uint8],
        rows: NDArray[np.int64],
        pool: Executor,
        max_exhaustive: int,
        *,
        show_progress: bool,
    ) -> _Search:
        """Describe given rows; over ``max_exhaustive``, fine structures are recomputed when needed."""
        descriptors = Descriptors.empty(len(rows))
        kept = np.empty((len(rows), *previews.shape[1:]), np.uint8) if len(rows) <= max_exhaustive else None

        def describe(start: int) -> None:
            part = slice(start, start + _CHUNK)
            pictures = previews[rows[part]]
            fine = fine_structures(pictures)
            detailed = has_detail(fine[:, INNER, INNER])
            descriptors.spectrum[part][detailed] = spectra(fine[detailed])
            descriptors.coarse[part][detailed] = coarse_images(pictures[detailed])
            if kept is not None:
                kept[part] = fine

        starts = range(0, len(rows), _CHUNK)
        title = "Describing tiles" if show_progress else None
        for _ in progress_bar(pool.map(describe, starts), title, total=len(starts)):
            pass

        def structures(some: NDArray[np.int64]) -> NDArray[np.uint8]:
            return fine_structures(previews[rows[some]]) if kept is None else kept[some]

        return cls(descriptors, structures, pool, max_exhaustive, show_progress)

    def near_duplicates(self) -> NDArray[np.int64]:
        """Return the near-duplicates."""
        number = len(self.descriptors.coarse)
        if number <= self.max_exhaustive:
            candidates, most = exhaustive_candidates(self.descriptors, self.pool), MAX_CANDIDATES
        else:
            candidates, most = neighbour_candidates(self.descriptors, self.pool), MAX_NEIGHBOURS
        pairs, place = limit_candidates(candidates, most=most)
        title = "Comparing candidates" if self.show_progress else None
        rounds = int(place.max(initial=0)).bit_length() + 1
        duplicates = np.empty((0, 3), np.int64)
        for power in progress_bar(range(rounds), title, total=rounds):
            due = pairs[(place >= 2**power // 2) & (place < 2**power)]
            member_of = components(number, duplicates)
            large = np.bincount(member_of, minlength=1) > MAX_COMPLETE_SET
            one, other = member_of[due[:, 0]], member_of[due[:, 1]]
            due = due[(one != other) | ~large[one]]
            is_near = self.correlations(due, enough=MIN_CORRELATION) >= MIN_CORRELATION
            duplicates = np.concatenate([duplicates, due[is_near]])
        once = np.unique(duplicates[:, 0] * number + duplicates[:, 1], return_index=True)[1]
        return duplicates[once]

    def correlations(self, pairs: NDArray[np.int64], *, enough: float) -> NDArray[np.float32]:
        """Return the aligned correlation of pairs, float32 ``(P,)``."""

        def of_chunk(start: int) -> list[float]:
            chunk = pairs[start : start + _CHUNK]
            rows, place = np.unique(chunk[:, :2], return_inverse=True)
            fine = self.structures(rows)
            return [
                aligned_correlation(fine[one], turned(fine[other], turn), enough=enough)
                for (one, other), turn in zip(place.tolist(), chunk[:, 2].tolist(), strict=True)
            ]

        parts = list(self.pool.map(of_chunk, range(0, len(pairs), _CHUNK)))
        return np.array([value for part in parts for value in part], np.float32)

    def connected(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Add pairs between sets of over ``MAX_NEIGHBOURS`` tiles, whose neighbours may all be inside."""
        member_of = components(len(self.descriptors.coarse), pairs)
        _, first, size = np.unique(member_of, return_index=True, return_counts=True)
        rows = np.sort(first[size > MAX_NEIGHBOURS])
        if not len(rows):
            return pairs
        some = self._replace(
            descriptors=self.descriptors.select(rows), structures=lambda part: self.structures(rows[part])
        )
        found = some.near_duplicates()
        found[:, :2] = rows[found[:, :2]]
        return np.concatenate([pairs, found])

    def bounded(self, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
        """Drop weak pairs, the weakest first, whose merged set would exceed ``MAX_WEAK_SET`` tiles."""
        number = len(self.descriptors.coarse)
        member_of = components(number, pairs)
        in_large = (np.bincount(member_of) > MAX_WEAK_SET)[member_of[pairs[:, 0]]]
        correlation = np.ones(len(pairs), np.float32)
        correlation[in_large] = self.correlations(pairs[in_large], enough=STRONG_CORRELATION)
        strong = correlation >= STRONG_CORRELATION
        set_of = bounded_single_linkage(
            components(number, pairs[strong]), pairs[~strong, :2], -correlation[~strong], limit=MAX_WEAK_SET
        )
        return np.asarray(pairs[set_of[pairs[:, 0]] == set_of[pairs[:, 1]]], np.int64)
