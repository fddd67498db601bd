"""Candidate pairs of the near-duplicate search, a limited number for each tile."""

from __future__ import annotations

import math
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crack_lightning.data.grouping.fine_structure import fine_structures, turned
from crack_lightning.data.grouping.spectral import noise, spectra, spectral_deviations

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

MAX_CANDIDATES = 32
"""Number of the first and of the most similar earlier tiles with which each tile is compared."""

_LEAST_SPECTRUM = 0.86
_COARSE_SIDE, _LEAST_COARSE, _SIMILAR_COARSE = 8, 0.4, 0.92
_BLOCK, _OTHERS = 1024, 4096
_CHUNK = 128
_TURNS = (0, 1, 4, 5)  # the other four follow by a half turn, to which spectra are invariant
_HALF_TURN = 3
_NUM_NOISE = 300


class _Signatures(NamedTuple):
    """Descriptors of N tiles by orientation, vectors of length 1.

    Attributes:
        spectrum: Deviations from the mean spectrum, float32 ``(N, 66)``, of the orientations ``_TURNS``.
        coarse: The image at 8 x 8, float32 ``(N, 64)``.
    """

    spectrum: dict[int, NDArray[np.float32]]
    coarse: dict[int, NDArray[np.float32]]


class _Candidates(NamedTuple):
    """Pairs of rows with the second's orientation, int64 ``(P, 3)``, and similarity, float32 ``(P,)``."""

    pairs: NDArray[np.int64]
    similarity: NDArray[np.float32]


def candidate_pairs(
    previews: NDArray[np.uint8], fine: NDArray[np.uint8], pool: Executor
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs that may be near-duplicates.

    A shifted tile has a similar spectrum and a roughly similar coarse image; a scaled one has a very similar
    coarse image. If thousands of tiles are similar (a fixed camera, a plain wall), a tile is compared with
    the first of them, which connect them all, and with the most similar ones.

    Args:
        previews: Of N tiles, uint8 ``(N, 64, 64)``.
        fine: Their fine structures, of the same shape.
        pool: Threads.

    Returns:
        Row numbers, the first smaller than the second, and the second's orientation, int64 ``(P, 3)``, sorted
        by the second; and each pair's rank among those of its second row, int64 ``(P,)``.
    """
    signatures = _signatures(previews, fine, pool)
    blocks = [
        (start, begin)
        for begin in range(0, len(previews), _BLOCK)
        for start in range(0, begin + _BLOCK, _OTHERS)
    ]
    parts = list(pool.map(lambda block: _block_candidates(signatures, *block), blocks))
    pairs = np.concatenate([np.empty((0, 3), np.int64), *(part.pairs for part in parts)])
    similarity = np.concatenate([np.empty(0, np.float32), *(part.similarity for part in parts)])
    return _limit_per_row(_Candidates(pairs, similarity))


def _signatures(previews: NDArray[np.uint8], fine: NDArray[np.uint8], pool: Executor) -> _Signatures:
    chunks = [fine[start : start + _CHUNK] for start in range(0, len(fine), _CHUNK)]
    measured, coarse = np.concatenate(list(pool.map(spectra, chunks))), _coarse(previews, _COARSE_SIDE)
    usual = _usual_spectrum()
    return _Signatures(
        spectrum={turn: spectral_deviations(turned(measured, turn), usual) for turn in _TURNS},
        coarse={orientation: _reoriented(coarse, orientation) for orientation in range(2 * len(_TURNS))},
    )


def _block_candidates(signatures: _Signatures, start: int, begin: int) -> _Candidates:
    """Return the candidates among ``_OTHERS`` first rows and ``_BLOCK`` second ones."""
    first, second = slice(start, start + _OTHERS), slice(begin, begin + _BLOCK)
    parts = []
    for turn in _TURNS:
        spectral = signatures.spectrum[0][first] @ signatures.spectrum[turn][second].T
        for orientation in (turn, turn ^ _HALF_TURN):
            coarse = signatures.coarse[0][first] @ signatures.coarse[orientation][second].T
            mask = (coarse > _SIMILAR_COARSE) | ((spectral > _LEAST_SPECTRUM) & (coarse > _LEAST_COARSE))
            if start + _OTHERS > begin:
                mask &= np.arange(start, start + len(mask))[:, None] < np.arange(begin, begin + mask.shape[1])
            similarity = np.add(coarse, spectral, out=coarse)
            _cap_columns(mask, similarity)
            one, other = np.nonzero(mask)
            pairs = np.stack([one + start, other + begin, np.full(len(one), orientation)], axis=1)
            parts.append(_Candidates(pairs, similarity[one, other]))
    return _Candidates(
        np.concatenate([part.pairs for part in parts]), np.concatenate([part.similarity for part in parts])
    )


def _cap_columns(mask: NDArray[np.bool_], similarity: NDArray[np.float32]) -> None:
    """Limit each column to the first and the most similar rows, to bound the memory of a block."""
    for column in np.flatnonzero(mask.sum(axis=0) > 2 * MAX_CANDIDATES):
        rows = np.flatnonzero(mask[:, column])
        most_similar = rows[np.argsort(-similarity[rows, column], kind="stable")[:MAX_CANDIDATES]]
        mask[:, column] = False
        mask[rows[:MAX_CANDIDATES], column] = True
        mask[most_similar, column] = True


def _limit_per_row(candidates: _Candidates) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Limit each second row to its first and most similar pairs; return these pairs and their ranks."""
    first, second, orientation = candidates.pairs.T
    by_row = np.lexsort((orientation, first, second))
    by_similarity = np.lexsort((orientation, first, -candidates.similarity, second))
    place, rank = (_place_of(second, order) for order in (by_row, by_similarity))
    selected = by_row[(np.minimum(place, rank) < MAX_CANDIDATES)[by_row]]
    return candidates.pairs[selected], _place_of(second[selected], np.arange(len(selected)))


def _place_of(second: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each pair's rank among those of its second row, for an order sorted by second row."""
    ordered = second[order]
    begins = np.searchsorted(ordered, ordered)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - begins
    return place


@cache
def _usual_spectrum() -> NDArray[np.float32]:
    """Return the mean spectrum of a rough surface's fine structure, equal in all orientations."""
    mean = spectra(fine_structures(noise(64, _NUM_NOISE))).mean(axis=0)
    return np.asarray(np.mean([turned(mean, turn) for turn in _TURNS], axis=0), np.float32)


def _reoriented(vectors: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    side = math.isqrt(vectors.shape[1])
    pictures = turned(vectors.reshape(-1, side, side), orientation)
    return np.ascontiguousarray(pictures.reshape(len(vectors), -1))


def _coarse(previews: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Return each picture at ``side`` x ``side`` as a vector of mean 0 and length 1 (0 where it is flat)."""
    step = previews.shape[1] // side
    cells = previews.reshape(len(previews), side, step, side, step).mean(axis=(2, 4), dtype=np.float32)
    vectors = cells.reshape(len(previews), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-3), np.float32)
