"""Candidate pairs of the near-duplicate search, a limited number for each tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crack_lightning.data.grouping.descriptors import HALF_TURN, ORIENTATIONS, TURNS, Descriptors

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

MAX_CANDIDATES = 32
"""Among all pairs, a tile is compared with so many of the first and of the most similar earlier tiles."""
LEAST_SPECTRUM = 0.86
LEAST_COARSE, SIMILAR_COARSE = 0.4, 0.92

_BLOCK, _OTHERS = 1024, 4096


class Candidates(NamedTuple):
    """Pairs of rows with the second's orientation, int64 ``(P, 3)``, and similarity, float32 ``(P,)``."""

    pairs: NDArray[np.int64]
    similarity: NDArray[np.float32]

    @classmethod
    def concatenate(cls, parts: list[Candidates]) -> Candidates:
        """Join lists of candidates, or none."""
        return cls(
            np.concatenate([np.empty((0, 3), np.int64), *(part.pairs for part in parts)]),
            np.concatenate([np.empty(0, np.float32), *(part.similarity for part in parts)]),
        )


def may_be_near_duplicates(spectral: NDArray[np.float32], coarse: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return which pairs are candidates, given the similarities of their descriptors.

    A shifted tile has a similar spectrum and a roughly similar coarse image; a scaled one has a very similar
    coarse image.
    """
    return (coarse > SIMILAR_COARSE) | ((spectral > LEAST_SPECTRUM) & (coarse > LEAST_COARSE))


def exhaustive_candidates(descriptors: Descriptors, pool: Executor) -> Candidates:
    """Return the candidates among all pairs of tiles.

    If thousands of tiles are similar (a fixed camera, a plain wall), each is compared with the first ones,
    to connect them all, and with the most similar ones.

    Args:
        descriptors: Of N tiles.
        pool: Threads.
    """
    spectrum = {turn: descriptors.spectral_vectors(turn) for turn in TURNS}
    coarse = {orientation: descriptors.coarse_vectors(orientation) for orientation in ORIENTATIONS}

    def of_block(block: tuple[int, int]) -> Candidates:
        """Return the candidate pairs of ``_OTHERS`` rows with ``_BLOCK`` rows."""
        start, begin = block
        first, second = slice(start, start + _OTHERS), slice(begin, begin + _BLOCK)
        parts = []
        for turn in TURNS:
            spectral = spectrum[0][first] @ spectrum[turn][second].T
            for orientation in (turn, turn ^ HALF_TURN):
                similarity = coarse[0][first] @ coarse[orientation][second].T
                mask = may_be_near_duplicates(spectral, similarity)
                if start + _OTHERS > begin:
                    rows = np.arange(start, start + len(mask))
                    mask &= rows[:, None] < np.arange(begin, begin + mask.shape[1])
                similarity += spectral
                _cap_columns(mask, similarity)
                one, other = np.nonzero(mask)
                pairs = np.stack([one + start, other + begin, np.full(len(one), orientation)], axis=1)
                parts.append(Candidates(pairs, similarity[one, other]))
        return Candidates.concatenate(parts)

    blocks = [
        (start, begin)
        for begin in range(0, len(descriptors.coarse), _BLOCK)
        for start in range(0, begin + _BLOCK, _OTHERS)
    ]
    return Candidates.concatenate(list(pool.map(of_block, blocks)))


def limit_candidates(candidates: Candidates, *, most: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep the first ``most`` and the most similar ``most`` pairs of each second row.

    Returns:
        The pairs with orientations, int64 ``(P, 3)``, sorted by the second row; and each pair's rank among
        those of its second row, int64 ``(P,)``.
    """
    first, second, orientation = candidates.pairs.T
    by_row = np.lexsort((orientation, first, second))
    by_similarity = np.lexsort((orientation, first, -candidates.similarity, second))
    place, rank = (_place_of(second, order) for order in (by_row, by_similarity))
    selected = by_row[(np.minimum(place, rank) < most)[by_row]]
    return candidates.pairs[selected], _place_of(second[selected], np.arange(len(selected)))


def _cap_columns(mask: NDArray[np.bool_], similarity: NDArray[np.float32]) -> None:
    """Limit each column to the first and the most similar rows, to bound the memory of a block."""
    for column in np.flatnonzero(mask.sum(axis=0) > 2 * MAX_CANDIDATES):
        rows = np.flatnonzero(mask[:, column])
        most_similar = rows[np.argsort(-similarity[rows, column], kind="stable")[:MAX_CANDIDATES]]
        mask[:, column] = False
        mask[rows[:MAX_CANDIDATES], column] = True
        mask[most_similar, column] = True


def _place_of(second: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return each pair's rank among those of its second row, for an order sorted by second row."""
    ordered = second[order]
    begins = np.searchsorted(ordered, ordered)
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order)) - begins
    return place
