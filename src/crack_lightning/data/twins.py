"""Twins: tiles that show the same spot, saved again, recoloured, mirrored, moved or scaled a little."""

from __future__ import annotations

import math
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import cache, partial
from itertools import product
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from threadpoolctl import threadpool_limits

from crack_lightning.data.progress import with_bar
from crack_lightning.data.spectra import departures, noise, spectra

if TYPE_CHECKING:
    from numpy.typing import NDArray

TWINS_VERSION = 6
"""Raise this whenever other pairs are found: surveys in the cache are then made anew."""

PREVIEW_PX = 64
LEAST_LIKENESS = 0.85
"""Aligned correlation of the fine structure from which two tiles are twins."""

_LEAST_SPECTRUM = 0.86
_COARSE_SIDE, _LEAST_COARSE, _ALIKE_AS_IT_LIES = 8, 0.4, 0.92
_REACH_PX = 5
_BLOCK, _OTHERS = 1024, 4096
_CHUNK = 128
_BAND_PX = (0.8, 3.0)
_CLIP = 2.0
_SCALES = (1.0, 0.985, 1.015, 0.97, 1.03, 0.955, 1.045)
_OFFSETS_PX = (0.0, 0.5)
_HOPELESS = 0.6
_TURNS = (0, 1, 4, 5)  # a half turn, which does not change a spectrum, makes the other four of them
_HALF_TURN = 3
_NUM_NOISE = 300


def preview(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return what twins are sought on.

    Args:
        image: RGB values, uint8 ``(H, W, 3)``.

    Returns:
        Grey values, uint8 ``(64, 64)``, each the mean of the pixels that it stands for.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.resize(grey, (PREVIEW_PX, PREVIEW_PX), interpolation=cv2.INTER_AREA), np.uint8)


def twin_pairs(
    previews: NDArray[np.uint8], *, num_workers: int = 2, show_progress: bool = False
) -> NDArray[np.int64]:
    """Find pairs of tiles that show the same spot.

    Two tiles, one of them mirrored or turned by quarters if need be, are compared where the spectra of their
    fine structure are alike, which no shift changes, and their coarse pictures are not unlike, or where these
    are alike as they lie; they are twins where their fine structure itself is alike, by ``LEAST_LIKENESS`` at
    the best of seven scales within 4.5 % and of all shifts within 5 of 64 pixels, in halves. Brightness and
    contrast do not matter. Cracks of the same course are alike until the concrete beside them is looked at.

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
        fine = np.concatenate(list(pool.map(_fine_structures, pictures)))
        pairs = _candidates(previews, fine, pool)
        chunks = [pairs[start : start + _CHUNK] for start in range(0, len(pairs), _CHUNK)]
        found = pool.map(partial(_alike_of, fine=fine), chunks)
        title = "Comparing look-alikes" if show_progress else None
        pairs = np.concatenate([np.empty((0, 3), np.int64), *with_bar(found, title, total=len(chunks))])
    return np.unique(pairs[:, :2], axis=0)


def _turned(pictures: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Mirror and turn pictures ``(…, S, S)`` into one of the square's eight orientations; 0 leaves them."""
    if orientation & 4:
        pictures = np.swapaxes(pictures, -1, -2)
    return pictures[..., :: -1 if orientation & 2 else 1, :: -1 if orientation & 1 else 1]


def _fine_structure(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Leave out noise and JPEG's grid on one side, light and shade on the other, and clip what is left.

    What departs from the rest by more than ``_CLIP`` times the usual (1.4826 median absolute values) counts
    no more than that: a crack is not to outweigh all the concrete beside it. The clipped range is 1 to 255.
    """
    values = picture.astype(np.float32)
    fine, wide = (cv2.GaussianBlur(values, (0, 0), sigma) for sigma in _BAND_PX)
    detail = fine - wide
    usual = np.median(np.abs(detail[::2, ::2]))  # a quarter of the values knows it as well
    limit = np.float32(_CLIP * (1.4826 * usual + 0.3))
    return np.asarray(np.rint(128 + np.clip(detail / limit, -1, 1) * 127), np.uint8)


def _fine_structures(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.stack([_fine_structure(picture) for picture in pictures])


def _alike_of(pairs: NDArray[np.int64], *, fine: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return those of some pairs in their orientations, ``(P, 3)``, whose fine structure is alike."""
    return pairs[[_alike(fine[one], _turned(fine[other], turn)) for one, other, turn in pairs.tolist()]]


def _alike(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    """Say whether two tiles correlate enough at some scale and shift; hopeless ones are not aligned."""
    inner = np.ascontiguousarray(other[_REACH_PX:-_REACH_PX, _REACH_PX:-_REACH_PX])
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


def _candidates(previews: NDArray[np.uint8], fine: NDArray[np.uint8], pool: Executor) -> NDArray[np.int64]:
    """Return pairs that may be twins, and the second's orientation, ``(P, 3)``.

    Of a moved tile the spectrum is alike, and the coarse picture not unlike; of a scaled one the coarse
    picture is alike as it lies.
    """
    chunks = [fine[start : start + _CHUNK] for start in range(0, len(fine), _CHUNK)]
    measured, coarse = np.concatenate(list(pool.map(spectra, chunks))), _coarse(previews, _COARSE_SIDE)
    vectors = departures(measured, _usual_spectrum())
    found = [np.empty((0, 3), np.int64)]
    for turn in _TURNS:
        pairs = _alike_rows(
            vectors, departures(_turned(measured, turn), _usual_spectrum()), _LEAST_SPECTRUM, pool
        )
        for orientation in (turn, turn ^ _HALF_TURN):
            near = _correlated(pairs, coarse, orientation)
            found.append(np.column_stack([near, np.full(len(near), orientation)]))
    for orientation in range(2 * len(_TURNS)):
        pairs = _alike_rows(coarse, _reoriented(coarse, orientation), _ALIKE_AS_IT_LIES, pool)
        found.append(np.column_stack([pairs, np.full(len(pairs), orientation)]))
    return np.unique(np.concatenate(found), axis=0)


def _alike_rows(
    one: NDArray[np.float32], other: NDArray[np.float32], least: float, pool: Executor
) -> NDArray[np.int64]:
    """Return the pairs of rows, the first below the second, whose product is over ``least``, ``(P, 2)``."""

    def of_block(place: tuple[int, int]) -> NDArray[np.int64]:
        start, begin = place
        alike = one[start : start + _BLOCK] @ other[begin : begin + _OTHERS].T > least
        first, second = np.divmod(np.flatnonzero(alike), alike.shape[1])
        pairs = np.stack([first + start, second + begin], axis=1)
        return pairs[pairs[:, 0] < pairs[:, 1]]

    number = len(one)
    places = [(start, begin) for start in range(0, number, _BLOCK) for begin in range(start, number, _OTHERS)]
    return np.concatenate([np.empty((0, 2), np.int64), *pool.map(of_block, places)])


def _correlated(pairs: NDArray[np.int64], coarse: NDArray[np.float32], orientation: int) -> NDArray[np.int64]:
    """Return those of some pairs ``(P, 2)`` whose coarse pictures are not unlike, the second one turned."""
    turned = _reoriented(coarse, orientation)
    chunks = np.array_split(pairs, len(pairs) // _OTHERS + 1)
    near = [np.einsum("pk,pk->p", coarse[one], turned[other]) for one, other in (chunk.T for chunk in chunks)]
    return pairs[np.concatenate(near) > _LEAST_COARSE]


@cache
def _usual_spectrum() -> NDArray[np.float32]:
    """Return the spectrum of a rough surface's fine structure, the same in all orientations."""
    mean = spectra(_fine_structures(noise(PREVIEW_PX, _NUM_NOISE))).mean(axis=0)
    return np.asarray(np.mean([_turned(mean, turn) for turn in _TURNS], axis=0), np.float32)


def _reoriented(vectors: NDArray[np.float32], orientation: int) -> NDArray[np.float32]:
    side = math.isqrt(vectors.shape[1])
    turned = _turned(vectors.reshape(-1, side, side), orientation)
    return np.ascontiguousarray(turned.reshape(len(vectors), -1))


def _coarse(previews: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """Return each picture at ``side`` x ``side`` as a vector of mean 0 and length 1 (0 where it is flat)."""
    step = PREVIEW_PX // side
    cells = previews.reshape(len(previews), side, step, side, step).mean(axis=(2, 4), dtype=np.float32)
    vectors = cells.reshape(len(previews), -1)
    vectors -= vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-3), np.float32)
