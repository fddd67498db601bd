"""A spectrum says what a picture is made of, wherever on it that is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from crack_lightning.data.grouping.spectral import SPECTRUM_SIDE, noise, spectra, spectral_deviations

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 64
EVEN = np.ones((SPECTRUM_SIDE, SPECTRUM_SIDE), np.float32)


def spectrum(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(spectra(picture[None])[0], np.float32)


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    first, second = spectral_deviations(np.stack([spectrum(one), spectrum(other)]), EVEN)
    return float(first @ second)


@pytest.mark.parametrize(("down", "right"), [(0, 4), (6, 0), (8, 2), (4, -6)])
def test_a_grating_is_strongest_at_its_own_frequency(down: int, right: int) -> None:
    y, x = np.mgrid[:SIDE, :SIDE] / SIDE
    grating = np.rint(128 + 100 * np.cos(2 * np.pi * (down * y + right * x))).astype(np.uint8)
    middle = SPECTRUM_SIDE // 2
    strongest = np.argwhere(spectrum(grating) > 0.99 * spectrum(grating).max())
    wanted = [[middle + sign * down // 2, middle + sign * right // 2] for sign in (-1, 1)]
    assert sorted(strongest.tolist()) == sorted(wanted)


def test_a_half_turn_changes_nothing_and_other_turns_turn_it() -> None:
    (picture,) = noise(SIDE, 1)
    measured = spectrum(picture)
    np.testing.assert_allclose(spectrum(picture[::-1, ::-1]), measured, rtol=1e-3)
    np.testing.assert_allclose(spectrum(np.rot90(picture)), np.rot90(measured), rtol=1e-3)
    np.testing.assert_allclose(spectrum(picture[:, ::-1]), measured[:, ::-1], rtol=1e-3)


def test_a_moved_picture_stays_more_like_itself_than_any_other_is() -> None:
    wide = noise(SIDE + 6, 40)
    here, moved = wide[:, :SIDE, :SIDE], wide[:, 6:, 6:]
    likenesses = np.array([[likeness(one, other) for other in moved] for one in here])
    assert (likenesses.argmax(axis=1) == np.arange(len(here))).all()


def test_a_flat_picture_departs_from_nothing() -> None:
    flat = spectrum(np.full((SIDE, SIDE), 128, np.uint8))
    assert not spectral_deviations(flat[None], EVEN).any()


def test_noise_is_as_rough_as_it_says() -> None:
    amplitude = np.abs(np.fft.rfft(noise(SIDE, 200).astype(np.float64) - 128, axis=2)[:, :, 2:12]) ** 2
    frequency = np.arange(2, 12)
    slope = np.polyfit(np.log(frequency), np.log(amplitude.mean(axis=(0, 1))), 1)[0]
    assert (
        -2.5 < slope < -1.5
    )  # along one line power falls by one power less than over the plane, 2 * 1.5 - 1
