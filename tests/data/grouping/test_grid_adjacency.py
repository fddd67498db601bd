"""Rows of tiles are joined along their seams where names are in order, photo by photo, and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from crack_lightning.data.grouping.edge_matching import EDGE_SAMPLES, edges
from crack_lightning.data.grouping.grid_adjacency import grid_adjacent_pairs
from crack_lightning.data.synthesis.scene import draw_photo
from tests.data.pictures import saved_as_jpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

TILE_PX, ROWS, COLUMNS, PHOTOS, WALLS = 112, 6, 9, 3, 4


class Cut(NamedTuple):
    """Tiles in the order in which they were cut: the photo of each, its place in it and its edges."""

    photo: NDArray[np.int64]
    row: NDArray[np.int64]
    column: NDArray[np.int64]
    edges: NDArray[np.uint8]

    def select(self, rows: NDArray[np.int64]) -> Cut:
        return Cut(self.photo[rows], self.row[rows], self.column[rows], self.edges[rows])


@pytest.fixture(scope="module")
def tiles() -> Cut:
    """Tiles of three photos, one above the other, of each of four walls, row by row."""
    height, gap = ROWS * TILE_PX, 40
    rows = []
    for wall in range(WALLS):
        rng = np.random.default_rng([31, wall])
        drawn = draw_photo(rng, PHOTOS * (height + gap), COLUMNS * TILE_PX).image
        for photo, row, column in np.ndindex(PHOTOS, ROWS, COLUMNS):
            y, x = photo * (height + gap) + row * TILE_PX, column * TILE_PX
            tile = saved_as_jpeg(drawn[y : y + TILE_PX, x : x + TILE_PX])
            rows.append((PHOTOS * wall + photo, row, column, edges(tile)))
    photo_of, row_of, column_of, edges_of = (np.array(values) for values in zip(*rows, strict=True))
    return Cut(photo_of, row_of, column_of, edges_of)


def together(cut: Cut) -> NDArray[np.int64]:
    """Number the sets of tiles that seams join in one folder."""
    number = len(cut.photo)
    one, other = grid_adjacent_pairs(cut.edges, [np.arange(number)]).T
    graph = coo_array((np.ones(len(one)), (one, other)), shape=(number, number))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def precision_and_recall(found: NDArray[np.int64], photo: NDArray[np.int64]) -> tuple[float, float]:
    """Of all pairs of two tiles: found to be of one photo, and in one photo."""
    said, real = found[:, None] == found, photo[:, None] == photo
    both, number = (said & real).sum() - len(found), len(found)
    return both / max(said.sum() - number, 1), both / (real.sum() - number)


@pytest.mark.parametrize("by_column", [False, True])
def test_photos_cut_row_by_row_or_column_by_column_are_put_together(tiles: Cut, *, by_column: bool) -> None:
    if by_column:
        tiles = tiles.select(np.lexsort((tiles.row, tiles.column, tiles.photo)))
    precision, recall = precision_and_recall(together(tiles), tiles.photo)
    assert precision == 1
    assert recall > 0.8


def test_every_pair_touched_in_its_photo(tiles: Cut) -> None:
    one, other = (
        tiles.select(rows) for rows in grid_adjacent_pairs(tiles.edges, [np.arange(len(tiles.photo))]).T
    )
    assert (one.photo == other.photo).all()
    steps = np.stack([other.row - one.row, other.column - one.column], axis=1)
    assert set(map(tuple, steps.tolist())) == {(0, 1), (1, 0)}


def test_photos_of_two_widths_in_one_folder_are_not_joined(tiles: Cut) -> None:
    mixed = tiles.select(np.flatnonzero((tiles.photo >= PHOTOS) | (tiles.column < COLUMNS - 2)))
    precision, recall = precision_and_recall(together(mixed), mixed.photo)
    assert precision == 1
    assert recall > 0.7


@pytest.mark.parametrize("lost", [0, 40, 70, 100, 200])
def test_tiles_that_are_not_there_join_no_photos(tiles: Cut, lost: int) -> None:
    others = tiles.select(np.delete(np.arange(len(tiles.photo)), np.arange(lost, lost + 4)))
    precision, recall = precision_and_recall(together(others), others.photo)
    assert precision == 1
    assert recall > 0.7


def test_shuffled_names_have_no_seams(tiles: Cut) -> None:
    order = np.random.default_rng(0).permutation(len(tiles.photo))
    assert grid_adjacent_pairs(tiles.edges[order], [np.arange(len(order))]).shape == (0, 2)


def test_seams_lie_within_a_folder(tiles: Cut) -> None:
    number = len(tiles.photo)
    folders = [np.arange(0, number, 2), np.arange(1, number, 2)]
    pairs = grid_adjacent_pairs(tiles.edges, folders)
    assert (pairs[:, 0] % 2 == pairs[:, 1] % 2).all()


@pytest.mark.parametrize("number", [0, 1, 9, 300])
def test_flat_tiles_have_no_seams(number: int) -> None:
    flat = np.full((number, 4, EDGE_SAMPLES), 90, np.uint8)
    assert grid_adjacent_pairs(flat, [np.arange(number)]).shape == (0, 2)
