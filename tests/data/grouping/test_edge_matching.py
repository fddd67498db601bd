"""Tiles that lay side by side are found by what their edges show, and others are not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from crack_lightning.data.grouping.edge_matching import EDGE_SAMPLES, adjacent_pairs, edges
from crack_lightning.data.synthesis.scene import draw_photo
from tests.data.pictures import saved_as_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Place = tuple[int, int, int, int]

TILE_PX, ROWS, COLUMNS = 112, 4, 5


@pytest.fixture(scope="module")
def tiles() -> tuple[list[Place], NDArray[np.uint8]]:
    """Tiles of three photos each of four walls, shuffled: wall, photo, row and column, and their edges."""
    places: list[Place] = []
    found = []
    height, gap = ROWS * TILE_PX, 40
    for wall in range(4):
        drawn = draw_photo(np.random.default_rng([21, wall]), 3 * (height + gap), COLUMNS * TILE_PX).image
        for photo in range(3):
            top = photo * (height + gap)
            for row in range(ROWS):
                for column in range(COLUMNS):
                    y, x = top + row * TILE_PX, column * TILE_PX
                    places.append((wall, photo, row, column))
                    found.append(edges(saved_as_jpeg(drawn[y : y + TILE_PX, x : x + TILE_PX])))
    order = np.random.default_rng(0).permutation(len(places))
    return [places[number] for number in order], np.stack(found)[order]


def test_neighbours_are_found_and_no_others(tiles: tuple[list[Place], NDArray[np.uint8]]) -> None:
    places, lines = tiles
    found = {(places[one], places[other]) for one, other in adjacent_pairs(lines)}
    right = {((w, p, y, x), (w, p, y, x + 1)) for w, p, y, x in places if x + 1 < COLUMNS}
    right |= {((w, p, y, x), (w, p, y + 1, x)) for w, p, y, x in places if y + 1 < ROWS}
    assert found <= right
    assert len(found) > 0.7 * len(right)


def test_edges_are_read_from_the_top_and_from_the_left() -> None:
    ramp = np.arange(EDGE_SAMPLES, dtype=np.uint8)
    image = np.zeros((EDGE_SAMPLES, EDGE_SAMPLES), np.uint8)
    image[:, 0], image[:, -1], image[0], image[-1] = ramp, ramp[::-1], ramp, ramp[::-1]
    left, right, top, bottom = edges(np.stack([image] * 3, axis=2))
    inner = slice(1, -1)
    np.testing.assert_array_equal(left[inner], ramp[inner])
    np.testing.assert_array_equal(right[inner], ramp[::-1][inner])
    np.testing.assert_array_equal(top[inner], ramp[inner])
    np.testing.assert_array_equal(bottom[inner], ramp[::-1][inner])


@pytest.mark.parametrize("number", [0, 1, 9])
def test_flat_tiles_touch_nothing(number: int) -> None:
    assert adjacent_pairs(np.full((number, 4, EDGE_SAMPLES), 90, np.uint8)).shape == (0, 2)
