"""Pairs of tiles that may be twins, so many for each tile as can be compared."""

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

MOST_CANDIDATES = 32
"""Of each tile, how many of the first and how many of the likest of those before it are compared with it."""

_LEAST_SPECTRUM = 0.86
_COARSE_SIDE, _LEAST_COARSE, _ALIKE_AS_IT_LIES = 8, 0.4, 0.92
_BLOCK, _OTHERS = 1024, 4096
_CHUNK = 128
_TURNS = (0, 1, 4, 5)  # a half turn, which does not change a spectrum, makes the other four of them
_HALF_TURN = 3
_NUM_NOISE = 300


class _Signatures(NamedTuple):
    """What is compared of N tiles, by orientation: vectors of length 1.

    Attributes:
        spectrum: Departures from the usual spectrum, float32 ``(N, 66)``, of the first of each two turns.
        coarse: The picture at 8 x 8, float32 ``(N, 64)``.
    """

    spectrum: dict[int, NDArray[np.float32]]
    coarse: dict[int, NDArray[np.float32]]


class _Found(NamedTuple):
    """Pairs of rows and the second's orientation, int64 ``(P, 3)``, and how alike, float32 ``(P,)``."""

    pairs: NDArray[np.int64]
    likeness: NDArray[np.float32]


def candidate_pairs(
    previews: NDArray[np.uint8], fine: NDArray[np.uint8], pool: Executor
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return pairs that may be near-duplicates.

    Of a moved tile the spectrum is alike, and the coarse picture not unlike; of a scaled one the coarse
    picture is alike as it lies. Where thousands of tiles are alike (a fixed camera, a plain wall), a tile is
    compared with the first of them, which join them all, and with its likest.

    Args:
        previews: Of N tiles, uint8 ``(N, 64, 64)``.
        fine: Their fine structures, of the same shape.
        pool: Threads.

    Returns:
        Row numbers, the first below the second, and the second's orientation, int64 ``(P, 3)``, in the order
        of the second; and each pair's place among those of its second row, int64 ``(P,)``.
    """
    signatures = _signatures(previews, fine, pool)
    places = [
        (start, begin)
        for begin in range(0, len(previews), _BLOCK)
        for start in range(0, begin + _BLOCK, _OTHERS)
    ]
    found = list(pool.map(lambda place: _of_block(signatures, *place), places))
    pairs = np.concatenate([np.empty((0, 3), np.int64), *(part.pairs for part in found)])
    likeness = np.concatenate([np.empty(0, np.float32), *(part.likeness for part in found)])
    return _capped(_Found(pairs, likeness))


def _signatures(previews: NDArray[np.uint8], fine: NDArray[np.uint8], pool: Executor) -> _Signatures:
    chunks = [fine[start : start + _CHUNK] for start in range(0, len(fine), _CHUNK)]
    measured, coarse = np.concatenate(list(pool.map(spectra, chunks))), _coarse(previews, _COARSE_SIDE)
    usual = _usual_spectrum()
    return _Signatures(
        spectrum={turn: spectral_deviations(turned(measured, turn), usual) for turn in _TURNS},
        coarse={orientation: _reoriented(coarse, orientation) for orientation in range(2 * len(_TURNS))},
    )


def _of_block(signatures: _Signatures, start: int, begin: int) -> _Found:
    """Return the candidates among ``_OTHERS`` first rows and ``_BLOCK`` second ones."""
    first, second = slice(start, start + _OTHERS), slice(begin, begin + _BLOCK)
    found = []
    for turn in _TURNS:
        spectral = signatures.spectrum[0][first] @ signatures.spectrum[turn][second].T
        for orientation in (turn, turn ^ _HALF_TURN):
            coarse = signatures.coarse[0][first] @ signatures.coarse[orientation][second].T
            mask = (coarse > _ALIKE_AS_IT_LIES) | ((spectral > _LEAST_SPECTRUM) & (coarse > _LEAST_COARSE))
            if start + _OTHERS > begin:
                mask &= np.arange(start, start + len(mask))[:, None] < np.arange(begin, begin + mask.shape[1])
            likeness = np.add(coarse, spectral, out=coarse)
            _cap_columns(mask, likeness)
            one, other = np.nonzero(mask)
            pairs = np.stack([one + start, other + begin, np.full(len(one), orientation)], axis=1)
            found.append(_Found(pairs, likeness[one, other]))
    return _Found(
        np.concatenate([part.pairs for part in found]), np.concatenate([part.likeness for part in found])
    )


def _cap_columns(mask: NDArray[np.bool_], likeness: NDArray[np.float32]) -> None:
    """Leave in each crowded column the first and the likest rows, so that no block fills the memory."""
    for column in np.flatnonzero(mask.sum(axis=0) > 2 * MOST_CANDIDATES):
        rows = np.flatnonzero(mask[:, column])
        likest = rows[np.argsort(-likeness[rows, column], kind="stable")[:MOST_CANDIDATES]]
        mask[:, column] = False
        mask[rows[:MOST_CANDIDATES], column] = True
        mask[likest, column] = True


def _capped(found: _Found) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Leave the first and the likest of each second row; number what is left of it."""
    first, second, orientation = found.pairs.T
    by_row = np.lexsort((orientation, first, second))
    by_likeness = np.lexsort((orientation, first, -found.likeness, second))
    place, rank = (_place_of(second, order) for order in (by_row, by_likeness))
    selected = by_row[(np.minimum(place, rank) < MOST_CANDIDATES)[by_row]]
    return found.pairs[selected], _place_of(second[selected], np.arange(len(selected)))


def _place_of(second: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where each pair comes among those of its second row, for an order that keeps these together."""
    ordered = second[order]
    begins = np.searchsorted(ordered, ordered)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - begins
    return place


@cache
def _usual_spectrum() -> NDArray[np.float32]:
    """Return the spectrum of a rough surface's fine structure, the same in all orientations."""
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
