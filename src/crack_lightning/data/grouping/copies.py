"""Equal previews, which are compared once."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

MAX_COMPLETE_SET = 32
"""Largest set of near-duplicates all pairs of which are returned; a larger one has pairs that connect it."""

_CHUNK = 1024


class Copies(NamedTuple):
    """Sets of rows with equal previews, in the order of their first rows.

    Attributes:
        first: First row of each of M sets, int64 ``(M,)``.
        set_of: Set of each of N rows, int64 ``(N,)``.
    """

    first: NDArray[np.int64]
    set_of: NDArray[np.int64]

    @classmethod
    def of(cls, previews: NDArray[np.uint8], pool: Executor) -> Copies:
        """Find the sets by a digest of each preview, uint8 ``(N, S, S)``."""

        def digests(start: int) -> bytes:
            part = previews[start : start + _CHUNK]
            return b"".join(hashlib.blake2b(preview.tobytes(), digest_size=16).digest() for preview in part)

        digest = np.frombuffer(b"".join(pool.map(digests, range(0, len(previews), _CHUNK))), "V16")
        _, first, set_of = np.unique(digest, return_index=True, return_inverse=True)
        order = np.argsort(first)
        return cls(first[order], np.argsort(order)[set_of])

    def expand(self, pairs: NDArray[np.int64], *, detailed: NDArray[np.bool_]) -> NDArray[np.int64]:
        """Return the pairs of rows within sets and between pairs of sets.

        Args:
            pairs: Pairs of sets, int64 ``(P, 2)``.
            detailed: Whether the rows of each set are near-duplicates of one another, bool ``(M,)``.

        Returns:
            Row numbers, ascending in each pair and from pair to pair, int64 ``(Q, 2)``.
        """
        number = np.bincount(self.set_of)
        begin, order = np.cumsum(number) - number, np.argsort(self.set_of, kind="stable")
        is_plain = (number[pairs] == 1).all(axis=1)
        within = np.flatnonzero((number > 1) & detailed)
        expanded = [self.first[pairs[is_plain]]]
        for one, other in [*((same, same) for same in within.tolist()), *pairs[~is_plain].tolist()]:
            first, second = (order[begin[part] : begin[part] + number[part]] for part in (one, other))
            if number[one] + number[other] > MAX_COMPLETE_SET:
                first = first[:1]
            both = np.stack(np.meshgrid(first, second), axis=2).reshape(-1, 2)
            expanded.append(np.sort(both[both[:, 0] != both[:, 1]], axis=1))
        key = np.unique(np.concatenate(expanded) @ (len(self.set_of), 1))
        return np.stack(np.divmod(key, len(self.set_of)), axis=1)
