"""Shift-invariant spectral descriptors of tiles, for the search of near-duplicates."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SPECTRUM_SIDE = 11
_REACH = 10
_STEP = 2
_SMOOTH = 0.7
_SLOPE = 1.5


def spectra(structures: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the amplitude of each direction and period.

    Args:
        structures: N pictures in grey, centred on 128, uint8 ``(N, S, S)``, ``S`` at least 32.

    Returns:
        Square roots of the amplitudes at every second frequency up to ten periods a picture, slightly
        smoothed, float32 ``(N, 11, 11)``, frequency 0 in the middle. They are invariant to a half turn, and
        equivariant to mirroring and quarter turns.
    """
    middle = structures.shape[-1] // 2
    values = structures - structures.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    amplitude = np.abs(np.fft.fftshift(np.fft.fft2(values * _window(2 * middle)), axes=(1, 2)))
    smooth = _smoothing()
    around = slice(middle - smooth.shape[1] // 2, middle + smooth.shape[1] // 2 + 1)
    return np.asarray(smooth @ np.sqrt(amplitude[:, around, around]) @ smooth.T, np.float32)


def spectral_deviations(measured: NDArray[np.float32], usual: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return normalised deviations of spectra from the common spectrum; dot products compare them.

    Args:
        measured: Spectra of N pictures, float32 ``(N, 11, 11)``.
        usual: The common spectrum, float32 ``(11, 11)``.

    Returns:
        Vectors of mean 0 and length 1, of length 0 where a picture is flat, float32 ``(N, 66)``: the half
        plane of frequencies, as the other half repeats it.
    """
    half = SPECTRUM_SIDE // 2 + 1
    vectors, common = measured[:, :half].reshape(-1, half * SPECTRUM_SIDE), usual[:half].ravel()
    vectors = vectors - vectors.mean(axis=1, keepdims=True) * (common / common.mean())
    vectors -= vectors.mean(axis=1, keepdims=True)
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(np.divide(vectors, length, out=np.zeros_like(vectors), where=length > 1e-3), np.float32)


def noise(side: int, number: int) -> NDArray[np.uint8]:
    """Return noise images with the roughness of concrete: amplitudes proportional to frequency^-1.5.

    The same at every call; uint8 ``(number, side, side)``.
    """
    large = side * 3 // 2  # noise synthesised from a spectrum is periodic, a photo is not
    frequency = np.maximum(np.hypot(np.fft.fftfreq(large)[:, None], np.fft.rfftfreq(large)), 1 / large)
    white = np.random.default_rng(0).standard_normal((number, large, large))
    drawn = np.fft.irfft2(np.fft.rfft2(white) * frequency**-_SLOPE, s=(large, large))[:, :side, :side]
    drawn *= 30 / drawn.std(axis=(1, 2), keepdims=True)
    return np.asarray(np.clip(drawn + 128, 0, 255), np.uint8)


@cache
def _window(side: int) -> NDArray[np.float32]:
    once = np.hanning(side + 2)[1:-1]
    return np.outer(once, once).astype(np.float32)


@cache
def _smoothing() -> NDArray[np.float32]:
    """Return the matrix of Gaussian means about every second frequency, float32 ``(11, 27)``."""
    places = np.arange(-_REACH, _REACH + 1, _STEP)
    taps = np.arange(-_REACH - 3, _REACH + 4)
    weights = np.exp(-((taps - places[:, None]) ** 2) / (2 * _SMOOTH**2))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
