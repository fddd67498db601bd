"""Candidate pairs of the near-duplicate search among very many tiles, by approximate nearest neighbours."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crack_lightning.data.grouping.candidates import (
    LEAST_SPECTRUM,
    SIMILAR_COARSE,
    Candidates,
    may_be_near_duplicates,
)
from crack_lightning.data.grouping.descriptors import HALF_TURN, ORIENTATIONS, TURNS, Descriptors

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    Rows = NDArray[np.int64] | slice

NEIGHBOURS = 16
"""Number of nearest neighbours of a tile in each orientation, by each descriptor."""
MAX_NEIGHBOURS = 8
"""Number of the first and of the most similar of those earlier tiles with which a tile is compared."""

_TILES_PER_LIST = 256
_MAX_SCANNED = 32 * _TILES_PER_LIST  # bounds the time where thousands of tiles share a list
_SAMPLES_PER_LIST, _ROUNDS = 24, 6
_BLOCK = 1024
_INVERSE = np.array([0, 1, 2, 3, 4, 6, 5, 7])
"""The orientation that undoes each of the eight."""


class _Descriptor(NamedTuple):
    """A kind of descriptor to search by.

    Attributes:
        vectors: Returns the vectors of turned tiles.
        least: Smallest similarity of candidates.
        orientations: Orientations to search, grouped by equal vectors.
        probes: Number of lists to search.
    """

    vectors: Callable[[Descriptors, int], NDArray[np.float32]]
    least: float
    orientations: list[tuple[int, ...]]
    probes: int


_BY_SPECTRUM = _Descriptor(
    Descriptors.spectral_vectors, LEAST_SPECTRUM, [(turn, turn ^ HALF_TURN) for turn in TURNS], probes=8
)
_BY_COARSE_IMAGE = _Descriptor(
    Descriptors.coarse_vectors, SIMILAR_COARSE, [(turn,) for turn in ORIENTATIONS], probes=4
)


def neighbour_candidates(descriptors: Descriptors, pool: Executor) -> Candidates:
    """Return the candidates among the nearest neighbours of each tile.

    An inverted file of each descriptor (FAISS: Douze et al., "The Faiss library", 2024) is queried with every
    tile in all orientations, so that a pair can be found from either side. Blocks are fixed, and each is
    computed on one thread: the result does not depend on the number of threads.

    Args:
        descriptors: Of N tiles.
        pool: Threads.
    """
    found = [_search(descriptors, kind, pool) for kind in (_BY_SPECTRUM, _BY_COARSE_IMAGE)]
    pairs, similarity = Candidates.concatenate(found)
    key = (pairs[:, 0] * len(descriptors.coarse) + pairs[:, 1]) * len(_INVERSE) + pairs[:, 2]
    once = np.unique(key, return_index=True)[1]
    return Candidates(pairs[once], similarity[once])


def _search(descriptors: Descriptors, kind: _Descriptor, pool: Executor) -> Candidates:
    logging.getLogger("faiss").setLevel(logging.WARNING)  # it announces its instruction set
    import faiss

    number = len(descriptors.coarse)
    # in a thread of the pool: FAISS may share OpenMP with torch, whose number of threads is the main thread's
    index = pool.submit(
        _inverted_file, lambda rows: kind.vectors(descriptors.select(rows), 0), number
    ).result()
    settings = faiss.SearchParametersIVF(nprobe=kind.probes, max_codes=_MAX_SCANNED)  # type: ignore[call-arg]

    def of_block(start: int, orientations: tuple[int, ...]) -> Candidates:
        faiss.omp_set_num_threads(1)
        queries = kind.vectors(descriptors.select(slice(start, start + _BLOCK)), orientations[0])
        similarity, neighbours = index.search(queries, NEIGHBOURS, params=settings)
        place, rank = np.nonzero(similarity > kind.least)
        row, neighbour = place + start, neighbours[place, rank]
        row, neighbour = row[row != neighbour], neighbour[row != neighbour]
        return Candidates.concatenate(
            [_candidates_of(descriptors, neighbour, row, orientation) for orientation in orientations]
        )

    starts = range(0, number, _BLOCK)
    return Candidates.concatenate(
        [
            part
            for orientations in kind.orientations
            for part in pool.map(partial(of_block, orientations=orientations), starts)
        ]
    )


def _inverted_file(vectors_of: Callable[[Rows], NDArray[np.float32]], number: int) -> Any:
    """Return an index of N vectors ``(N, D)``; lists of nearby vectors by k-means on a sample of them."""
    import faiss

    faiss.omp_set_num_threads(1)
    lists = max(1, number // _TILES_PER_LIST)
    size = min(number, lists * _SAMPLES_PER_LIST)
    sample = vectors_of(np.sort(np.random.default_rng(0).choice(number, size, replace=False)))
    index = faiss.IndexIVFFlat(
        faiss.IndexFlatIP(sample.shape[1]), sample.shape[1], lists, faiss.METRIC_INNER_PRODUCT
    )
    index.cp.niter, index.cp.min_points_per_centroid = _ROUNDS, 1
    index.train(sample)
    for start in range(0, number, _BLOCK):
        index.add(vectors_of(slice(start, start + _BLOCK)))
    return index


def _candidates_of(
    descriptors: Descriptors, one: NDArray[np.int64], other: NDArray[np.int64], orientation: int
) -> Candidates:
    """Return the candidates among pairs of rows ``(P,)``, the second of them turned, in order of rows."""
    first, second = descriptors.select(one), descriptors.select(other)
    spectral, coarse = (
        np.einsum("pd,pd->p", vectors(first, 0), vectors(second, orientation))
        for vectors in (Descriptors.spectral_vectors, Descriptors.coarse_vectors)
    )
    selected = may_be_near_duplicates(spectral, coarse)
    one, other = one[selected], other[selected]
    turns = np.where(one < other, orientation, _INVERSE[orientation])
    pairs = np.stack([np.minimum(one, other), np.maximum(one, other), turns], axis=1)
    return Candidates(pairs, np.asarray((spectral + coarse)[selected], np.float32))
