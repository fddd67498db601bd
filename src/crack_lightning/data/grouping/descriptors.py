"""Descriptors by which the near-duplicate search compares tiles before it aligns them."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crack_lightning.data.grouping.fine_structure import fine_structures, turned
from crack_lightning.data.grouping.spectral import SPECTRUM_SIDE, noise, spectra, spectral_deviations

if TYPE_CHECKING:
    from numpy.typing import NDArray

COARSE_SIDE = 8
TURNS = (0, 1, 4, 5)
"""Orientations in which spectra differ; the other four follow by a half turn, which leaves a spectrum."""
ORIENTATIONS = range(8)
HALF_TURN = 3

_NUM_NOISE = 300


class Descriptors(NamedTuple):
    """Descriptors of N tiles; zeros for a tile that is similar to none.

    Attributes:
        spectrum: Spectra of the fine structure, float32 ``(N, 11, 11)``.
        coarse: The images at 8 x 8, of mean 0 and length 1, float32 ``(N, 8, 8)``.
    """

    spectrum: NDArray[np.float32]
    coarse: NDArray[np.float32]

    @classmethod
    def empty(cls, number: int) -> Descriptors:
        """Allocate the descriptors of ``number`` tiles."""
        return cls(
            np.zeros((number, SPECTRUM_SIDE, SPECTRUM_SIDE), np.float32),
            np.zeros((number, COARSE_SIDE, COARSE_SIDE), np.float32),
        )

    def select(self, rows: NDArray[np.int64] | slice) -> Descriptors:
        """Return the descriptors of some tiles."""
        return Descriptors(self.spectrum[rows], self.coarse[rows])

    def spectral_vectors(self, turn: int) -> NDArray[np.float32]:
        """Return spectral deviations of turned tiles, to compare by dot product, ``(N, 66)``."""
        return spectral_deviations(turned(self.spectrum, turn), _usual_spectrum())

    def coarse_vectors(self, orientation: int) -> NDArray[np.float32]:
        """Return the coarse images of turned tiles; dot products compare them, ``(N, 64)``."""
        return np.ascontiguousarray(turned(self.coarse, orientation)).reshape(-1, COARSE_SIDE**2)


def coarse_images(previews: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return N square previews at 8 x 8, of mean 0 and length 1 (0 where they are flat), ``(N, 8, 8)``."""
    step = previews.shape[1] // COARSE_SIDE
    cells = previews.reshape(len(previews), COARSE_SIDE, step, COARSE_SIDE, step)
    vectors = cells.mean(axis=(2, 4), dtype=np.float32).reshape(len(previews), COARSE_SIDE**2)
    vectors -= vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-3)
    return np.asarray(unit.reshape(len(previews), COARSE_SIDE, COARSE_SIDE), np.float32)


@cache
def _usual_spectrum() -> NDArray[np.float32]:
    """Return the mean spectrum of a rough surface's fine structure, equal in all orientations."""
    mean = spectra(fine_structures(noise(64, _NUM_NOISE))).mean(axis=0)
    return np.asarray(np.mean([turned(mean, turn) for turn in TURNS], axis=0), np.float32)
