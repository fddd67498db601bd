"""Matching of tile edges, which recovers adjacent tiles of a photo."""

from __future__ import annotations

from concurrent.futures import Executor, ThreadPoolExecutor
from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.sparse import csr_array
from threadpoolctl import threadpool_limits

if TYPE_CHECKING:
    from numpy.typing import NDArray

ADJACENCY_VERSION = 4
"""Raise it whenever the pairs change, here or by grid adjacency, to invalidate cached scans."""

EDGE_SAMPLES = 112
LEFT, RIGHT, TOP, BOTTOM = range(4)
_SMOOTH = (49, 8.0)
_CLIP = 1.5
_LEAST = 0.3
_BLOCK = 128


def edges(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return the outermost pixels of a tile.

    Args:
        image: RGB values, uint8 ``(H, W, 3)``.

    Returns:
        Grey values along the left and right edges from the top, and the top and bottom ones from the left,
        uint8 ``(4, EDGE_SAMPLES)``.
    """
    lines = [image[:, 0], image[:, -1], image[0], image[-1]]
    size = (EDGE_SAMPLES, 1)
    sampled = [cv2.resize(line[None], size, interpolation=cv2.INTER_AREA) for line in lines]
    return np.asarray(cv2.cvtColor(np.concatenate(sampled), cv2.COLOR_RGB2GRAY), np.uint8)


def adjacent_pairs(edges: NDArray[np.uint8], *, num_workers: int = 2) -> NDArray[np.int64]:
    """Return pairs of tiles that were adjacent in their photo.

    Each tile's best match on each side is found by correlation of high-pass filtered edges. A match counts
    only as a side of a square of four tiles: two paths of two matches lead from a tile to the opposite
    corner, and each path must have a mutual match. A wrong square needs several coincidences.

    Args:
        edges: Of N tiles, uint8 ``(N, 4, EDGE_SAMPLES)``.
        num_workers: Threads.

    Returns:
        Row numbers, int64 ``(P, 2)``: the right or lower tile of each pair is the second.
    """
    if not len(edges):
        return np.empty((0, 2), np.int64)
    profiles = edge_profiles(edges)
    # NumPy's BLAS threads and those of the pool would wait for each other
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(max(1, num_workers)) as pool:
        beside, sure_beside = _best_matches(profiles[RIGHT], profiles[LEFT], pool)
        below, sure_below = _best_matches(profiles[BOTTOM], profiles[TOP], pool)
    by_the_right = sure_beside @ below + beside @ sure_below
    by_the_bottom = sure_below @ beside + below @ sure_beside
    corners = by_the_right * by_the_bottom  # from a tile to the opposite corner of its square
    closed = (
        beside * (corners @ below.T + below.T @ corners),
        below * (corners @ beside.T + beside.T @ corners),
    )
    return np.concatenate([np.stack(links.nonzero(), axis=1) for links in closed]).astype(np.int64)


def edge_profiles(edges: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """Return high-pass filtered, clipped edges of each side as vectors of length 1.

    Args:
        edges: Of N tiles, uint8 ``(N, 4, EDGE_SAMPLES)``.

    Returns:
        One array per side ``LEFT, RIGHT, TOP, BOTTOM``, float32 ``(N, EDGE_SAMPLES)``.
    """
    if not len(edges):
        return [np.empty((0, EDGE_SAMPLES), np.float32)] * 4
    return [_profile(edges[:, side]) for side in range(4)]


def _profile(lines: NDArray[np.uint8]) -> NDArray[np.float32]:
    values = lines.astype(np.float32)
    size, sigma = _SMOOTH
    values -= cv2.GaussianBlur(values, (size, 1), sigma)
    limit = _CLIP * (1.4826 * np.median(np.abs(values), axis=1, keepdims=True) + 0.5)
    values = np.clip(values, -limit, limit)
    values -= values.mean(axis=1, keepdims=True)
    length = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(np.divide(values, length, out=np.zeros_like(values), where=length > 1e-3), np.float32)


def _best_matches(
    one: NDArray[np.float32], other: NDArray[np.float32], pool: Executor
) -> tuple[csr_array, csr_array]:
    """Link each row of ``one`` to its best match in ``other`` and vice versa.

    Returns:
        All such links, and the mutual ones, each ``(N, N)``.
    """
    forward, back = _nearest(one, other, pool), _nearest(other, one, pool).T
    return forward + back, forward * back


def _nearest(one: NDArray[np.float32], other: NDArray[np.float32], pool: Executor) -> csr_array:
    """Link each row of ``one`` to its best match in ``other`` except itself, ``(N, N)``."""

    def of_block(start: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        alike = one[start : start + _BLOCK] @ other.T
        rows = np.arange(len(alike))
        alike[rows, start + rows] = -1
        place = alike.argmax(axis=1)
        return place, alike[rows, place]

    number = len(one)
    place, score = map(np.concatenate, zip(*pool.map(of_block, range(0, number, _BLOCK)), strict=True))
    good = np.flatnonzero(score >= _LEAST)
    return csr_array((np.ones(len(good), np.float32), (good, place[good])), shape=(number, number))
