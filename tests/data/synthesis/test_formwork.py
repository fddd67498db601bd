from __future__ import annotations

from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from crack_lightning.data.synthesis import formwork
from crack_lightning.data.synthesis.painting import paint_tile
from crack_lightning.data.synthesis.strokes import left_of_line, straight_line

SIZE = 160
Array = NDArray[Any]


def wall() -> Array:
    return np.full((SIZE, SIZE, 3), 0.6, np.float32)


def test_beyond_a_line_is_all_that_lies_on_its_left() -> None:
    line = straight_line(np.random.default_rng(1), wall(), 1.0, tilt=0.5)
    (x0, y0), (x1, y1) = line.points[0], line.points[-1]
    far = left_of_line(line, SIZE, SIZE)
    for y, x in np.random.default_rng(2).integers(0, SIZE, (200, 2)):
        turn = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        assert abs(turn) < 1e-6 or far[y, x] == (turn < 0)


def test_a_rings_edge_is_equally_far_from_its_middle() -> None:
    whole = 0
    for seed in range(30):
        _, edge = formwork.ring(np.random.default_rng(seed), wall(), 0.3)
        rows, columns = np.nonzero(edge > 0.25)
        if not len(rows) or min(rows.min(), columns.min()) == 0 or max(rows.max(), columns.max()) == SIZE - 1:
            continue
        whole += 1
        radius = np.hypot(rows - (rows.min() + rows.max()) / 2, columns - (columns.min() + columns.max()) / 2)
        assert radius.std() < 0.12 * radius.mean() + 0.7
    assert whole >= 5


def test_a_gap_is_darker_than_the_boards_on_either_side() -> None:
    for seed in range(12):
        painted, covered = formwork.gap(np.random.default_rng(seed), wall(), 0.3)
        inside = covered > 0.9
        if inside.sum() > 100:
            assert painted[inside].mean() < painted[covered == 0].mean() - 0.05


def test_a_gaps_middle_is_a_straight_line_across_the_tile() -> None:
    measured = 0
    for seed in range(40):
        _, covered = formwork.gap(np.random.default_rng(seed), wall(), 0.3)
        number, labels = cv2.connectedComponents((covered > 0.5).astype(np.uint8), connectivity=8)
        for label in range(1, number):
            points = np.argwhere(labels == label) - SIZE / 2
            along, across = ((points - points.mean(0)) @ np.linalg.svd(points - points.mean(0))[2].T).T
            if np.ptp(along) < 0.9 * SIZE or across.std() > 8:
                continue  # a piece that the tile's corner cuts off, or two gaps that cross
            measured += 1
            part = np.digitize(along, np.linspace(along.min(), along.max(), 9)[1:-1])
            middle = [across[part == number].mean() for number in range(1, 7)]  # without the cut ends
            assert np.ptp(middle) < 3, seed  # a crack's middle wanders by tens of pixels
    assert measured >= 15


@pytest.mark.parametrize("paint", [formwork.honeycomb, formwork.dabs])
def test_the_wall_stays_as_it_is_where_no_mark_is(paint: Any) -> None:
    for seed in range(8):
        painted, covered = paint(np.random.default_rng(seed), wall(), 0.3)
        np.testing.assert_allclose(painted[covered == 0], 0.6, atol=1e-6)


def test_what_casting_leaves_is_painted_on_tiles_without_becoming_a_crack() -> None:
    image = np.full((SIZE, SIZE, 3), 150, np.uint8)
    kinds: set[str] = set()
    for seed in range(60):
        tile = paint_tile(image, np.random.default_rng(seed), cracked=False)
        assert not tile.mask.any()
        kinds |= set(tile.distractors.split("+"))
    assert {"gap", "ring", "runs", "honeycomb", "dabs"} <= kinds
