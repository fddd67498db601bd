"""Thousands of tiles that look alike cost no more than others; margins and plain walls join nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.data.grouping import near_duplicates as module, nearest_neighbours
from crack_lightning.data.grouping.candidates import MAX_CANDIDATES
from crack_lightning.data.grouping.copies import MAX_COMPLETE_SET
from crack_lightning.data.grouping.linkage import components
from crack_lightning.data.grouping.near_duplicates import MAX_EXHAUSTIVE, near_duplicate_pairs, preview
from crack_lightning.data.synthesis.scene import cut_tiles, draw_photo

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Picture = NDArray[np.uint8]


@pytest.fixture(scope="module")
def walls() -> list[Picture]:
    """Previews of a tile each of 24 drawn photos."""
    found = []
    for number in range(24):
        photo = draw_photo(np.random.default_rng([7, number]), 192, 192)
        tile = next(iter(cut_tiles(photo, tile_px=96)))
        pixels = cv2.imdecode(np.frombuffer(tile.jpeg, np.uint8), cv2.IMREAD_COLOR_RGB)
        found.append(preview(np.asarray(pixels, np.uint8)))
    return found


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the pairs that are aligned."""
    numbers: list[int] = []
    plain = module._Search.correlations

    def counting(search: Any, pairs: NDArray[np.int64], **how: float) -> NDArray[np.float32]:
        numbers.append(len(pairs))
        return plain(search, pairs, **how)

    monkeypatch.setattr(module._Search, "correlations", counting)
    return numbers


def noisy(picture: Picture, number: int, *, sigma: float, seed: int = 0) -> Picture:
    noise = np.random.default_rng(seed).normal(0, sigma, (number, *picture.shape))
    return np.asarray(np.rint(picture + noise).clip(0, 255), np.uint8)


def sizes(pairs: NDArray[np.int64], number: int) -> list[int]:
    """Return the sizes of the sets that pairs join ``number`` tiles to, the largest first."""
    return sorted(np.bincount(components(number, pairs)).tolist(), reverse=True)


@pytest.mark.parametrize("max_exhaustive", [MAX_EXHAUSTIVE, 0])
def test_frames_of_a_fixed_camera_become_one_set_in_as_many_comparisons_as_there_are_frames(
    walls: list[Picture], compared: list[int], max_exhaustive: int
) -> None:
    frames = noisy(walls[0], 300, sigma=2)
    assert sizes(near_duplicate_pairs(frames, max_exhaustive=max_exhaustive), 300) == [300]
    assert sum(compared) <= 2 * 300  # of 44,850 pairs


@pytest.mark.parametrize("max_exhaustive", [MAX_EXHAUSTIVE, 0])
def test_two_cameras_and_other_walls_stay_apart(
    walls: list[Picture], compared: list[int], max_exhaustive: int
) -> None:
    tiles = np.concatenate([noisy(walls[0], 120, sigma=2), noisy(walls[1], 120, sigma=2), walls[2:]])
    order = np.random.default_rng(0).permutation(len(tiles))
    pairs = near_duplicate_pairs(tiles[order], max_exhaustive=max_exhaustive)
    assert sizes(pairs, len(tiles)) == [120, 120, *[1] * (len(walls) - 2)]
    assert sum(compared) <= 6 * len(tiles)


def test_thousands_of_frames_in_one_list_of_the_index_become_one_set(
    walls: list[Picture], compared: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest_neighbours, "_MAX_SCANNED", 200)  # each sees a few of the others
    number = 3000
    tiles = np.concatenate([noisy(walls[0], number, sigma=2), walls[1:]])
    pairs = near_duplicate_pairs(tiles, max_exhaustive=100)
    assert sizes(pairs, len(tiles)) == [number, *[1] * (len(walls) - 1)]
    assert sum(compared) <= 4 * number


@pytest.mark.parametrize(("sigma", "largest"), [(2, 60), (20, 20)])
def test_a_set_of_many_tiles_grows_by_strong_pairs_alone(
    walls: list[Picture], sigma: float, largest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WEAK_SET", 20)
    frames = noisy(walls[0], 60, sigma=sigma)
    assert sizes(near_duplicate_pairs(frames), 60)[0] == 60
    bounded = near_duplicate_pairs(frames, max_exhaustive=0)
    assert sizes(bounded, 60)[0] == largest


def test_copies_are_compared_once_and_stay_pairs(walls: list[Picture], compared: list[int]) -> None:
    few, many = 3, 400
    tiles = np.stack([walls[0]] * few + [walls[1]] * many + [noisy(walls[0], 1, sigma=1)[0]])
    pairs = {(int(one), int(other)) for one, other in near_duplicate_pairs(tiles)}
    last = len(tiles) - 1
    assert {(0, 1), (0, 2), (1, 2), (0, last), (1, last), (2, last)} <= pairs
    assert sizes(np.array(sorted(pairs)), len(tiles)) == [many, few + 1]
    assert len(pairs) == 6 + many - 1
    assert sum(compared) <= 8


def test_plain_walls_of_camera_noise_are_compared_with_a_bounded_number_of_others(
    walls: list[Picture], compared: list[int]
) -> None:
    plain = noisy(np.full((64, 64), 150, np.uint8), 300, sigma=1.2)
    again = noisy(walls[3], 1, sigma=1)
    tiles = np.concatenate([plain, walls[3][None], again])
    assert near_duplicate_pairs(tiles).tolist() == [[300, 301]]
    assert sum(compared) <= 2 * MAX_CANDIDATES * len(tiles)


@pytest.mark.parametrize("share", [0.5, 0.8, 0.95])
@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_a_black_margin_at_the_same_place_makes_no_near_duplicates(
    share: float, slope: float, walls: list[Picture]
) -> None:
    y, x = np.mgrid[0:64, 0:64]
    margin = y + slope * x < 64 * share + 32 * slope
    tiles = np.stack([np.where(margin, 0, wall).astype(np.uint8) for wall in walls])
    assert len(near_duplicate_pairs(tiles)) == 0


@pytest.mark.parametrize("kind", ["constant", "gradient", "step"])
def test_a_tile_without_detail_has_no_near_duplicate(kind: str, walls: list[Picture]) -> None:
    ramp = np.arange(64)
    plain = {
        "constant": np.full((64, 64), 7),
        "gradient": np.add.outer(ramp, ramp) + 40,
        "step": np.where(ramp < 40, 0, 200)[None].repeat(64, 0),
    }[kind].astype(np.uint8)
    shaded = [np.clip(wall * 0.2 + plain * 0.8, 0, 255).astype(np.uint8) for wall in walls]
    tiles = np.stack([plain, *walls, *shaded])
    assert not (near_duplicate_pairs(tiles) == 0).any()


def test_half_a_wall_beside_a_margin_is_still_found_again(walls: list[Picture]) -> None:
    margin = np.mgrid[0:64, 0:64][0] < 24
    tiles = np.stack([np.where(margin, 0, wall).astype(np.uint8) for wall in walls[:8]])
    again = np.stack([np.where(margin, 0, noisy(tile, 1, sigma=1.5)[0]).astype(np.uint8) for tile in tiles])
    assert near_duplicate_pairs(np.concatenate([tiles, again])).tolist() == [
        [row, row + 8] for row in range(8)
    ]


def test_every_pair_of_a_set_that_is_not_large_is_given(walls: list[Picture]) -> None:
    number = min(MAX_COMPLETE_SET, MAX_CANDIDATES) // 2
    tiles = noisy(walls[5], number, sigma=1)
    assert len(near_duplicate_pairs(tiles)) == number * (number - 1) // 2
