from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.data.synthesis.concrete import (
    apply_camera,
    apply_uneven_light,
    attenuate,
    draw_wall,
    octave_noise,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@pytest.mark.parametrize("size", [(60, 200), (227, 227)])
def test_noise_has_no_mean_and_about_unit_deviation(size: tuple[int, int]) -> None:
    noise = octave_noise(np.random.default_rng(0), *size, coarsest_px=16, finest_px=2, persistence=0.7)

    assert noise.shape == size
    assert abs(noise.mean()) < 0.2
    assert 0.6 < noise.std() < 1.2


def test_stretched_noise_changes_faster_across_than_along() -> None:
    noise = octave_noise(
        np.random.default_rng(0), 300, 300, coarsest_px=16, finest_px=4, persistence=0.7, stretch=8
    )

    assert np.abs(np.diff(noise, axis=1)).mean() > 3 * np.abs(np.diff(noise, axis=0)).mean()


def test_dimming_multiplies_every_channel() -> None:
    rng = np.random.default_rng(0)
    image, share = rng.random((20, 30, 3), np.float32), rng.random((20, 30), np.float32)

    np.testing.assert_allclose(attenuate(image, share), image * share[..., None], rtol=1e-6)


def test_walls_differ_in_tone_and_texture_from_seed_to_seed() -> None:
    walls = [draw_wall(np.random.default_rng(seed), 120, 120, light_angle=0.0) for seed in range(12)]

    assert np.std([wall.mean() for wall in walls]) > 0.05
    assert min(wall.std() for wall in walls) > 0.005
    assert all(wall.min() > 0 for wall in walls)


def test_light_changes_a_wall_slowly_and_leaves_the_given_one_alone() -> None:
    wall = np.full((300, 300, 3), 0.5, np.float32)

    lit = apply_uneven_light(np.random.default_rng(0), wall)

    assert (wall == np.float32(0.5)).all()
    assert lit.std() > 0.001
    assert np.abs(np.diff(lit, axis=0)).max() < 0.01


def test_a_photograph_keeps_the_level_of_a_flat_wall_and_adds_noise() -> None:
    for seed in range(8):
        picture = apply_camera(np.random.default_rng(seed), np.full((200, 200, 3), 0.5, np.float32))

        assert picture.dtype == np.uint8
        assert picture.mean() == pytest.approx(127.5, abs=3)
        assert picture.std() > 0.3


def test_the_same_seed_gives_the_same_picture_on_one_thread_and_on_two() -> None:
    def picture(threads: int) -> NDArray[Any]:
        before = cv2.getNumThreads()
        cv2.setNumThreads(threads)
        try:
            rng = np.random.default_rng(5)
            return apply_camera(rng, apply_uneven_light(rng, draw_wall(rng, 300, 400, light_angle=1.0)))
        finally:
            cv2.setNumThreads(before)

    np.testing.assert_array_equal(picture(1), picture(2))
