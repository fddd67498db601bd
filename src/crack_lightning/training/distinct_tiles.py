"""Distinct tiles of a set: byte-identical copies share computed features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class DistinctTiles:
    """The first tile of each set of byte-identical ones, whose features all share.

    Attributes:
        rows: The first row of each digest, ascending, int64 ``(M,)``.
        place_of: By row, the place in ``rows`` of the tile with the same digest, int64 ``(N,)``; -1 for rows
            that were not given.
    """

    rows: NDArray[np.int64]
    place_of: NDArray[np.int64]

    @classmethod
    def of(cls, sha256: NDArray[np.str_], rows: NDArray[np.int64]) -> DistinctTiles:
        """Return the distinct tiles among ascending rows, by the digests of all N tiles."""
        assert (sha256[rows] != "").all(), "tiles without a digest"
        _, first, digest_of = np.unique(sha256[rows], return_index=True, return_inverse=True)
        order = np.argsort(first)  # the order of the table, in which neighbours are read
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        place_of = np.full(len(sha256), -1, np.int64)
        place_of[rows] = rank[digest_of]
        return cls(rows=rows[first[order]], place_of=place_of)

    def places(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of rows in ``self.rows``, int64 ``(M,)``."""
        places = self.place_of[rows]
        assert (places >= 0).all(), "tiles without features"
        return places
