"""What is painted is where its mask says, as wide as it says, and looks as the picture does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch

from crack_lightning.data.io.masks import crack_width
from crack_lightning.data.synthesis.concrete import apply_camera, draw_wall
from crack_lightning.data.synthesis.painting import estimate_blur_px, paint_tile
from crack_lightning.data.transforms.paint import paint_batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.data.synthesis.painting import PaintedTile

SIZE = 160


@pytest.fixture(scope="module")
def wall() -> NDArray[np.uint8]:
    rng = np.random.default_rng(0)
    return apply_camera(rng, draw_wall(rng, SIZE, SIZE, light_angle=1.0))


@pytest.fixture(scope="module")
def cracked(wall: NDArray[np.uint8]) -> list[PaintedTile]:
    return [paint_tile(wall, np.random.default_rng(seed), cracked=True) for seed in range(40)]


def change(tile: PaintedTile, wall: NDArray[np.uint8]) -> NDArray[Any]:
    darker: NDArray[Any] = (wall.astype(np.float32) - tile.image).mean(axis=2)
    return darker


def test_a_cracked_tile_has_a_crack_and_an_intact_one_has_none(
    wall: NDArray[np.uint8], cracked: list[PaintedTile]
) -> None:
    intact = [paint_tile(wall, np.random.default_rng(seed), cracked=False) for seed in range(20)]
    assert all(tile.mask.sum() >= 40 and tile.crack_width_px > 0 for tile in cracked)
    assert not any(tile.mask.any() for tile in intact)
    assert all(np.isnan(tile.crack_width_px) for tile in intact)
    assert any((tile.image != wall).any() for tile in intact)
    assert {"joint", "shadow", "stain"} & set("+".join(tile.distractors for tile in intact).split("+"))


def test_cracks_are_darker_than_what_was_there(wall: NDArray[np.uint8], cracked: list[PaintedTile]) -> None:
    alone = [tile for tile in cracked if not tile.distractors]
    darker = [float(change(tile, wall)[tile.mask].mean()) for tile in alone]
    assert len(alone) > 5
    assert np.mean([value > 0 for value in darker]) > 0.9
    assert np.median(darker) > 10


def test_far_from_a_crack_nothing_is_changed(wall: NDArray[np.uint8], cracked: list[PaintedTile]) -> None:
    alone = [tile for tile in cracked if not tile.distractors]
    for tile in alone:
        far = cv2.distanceTransform((~tile.mask).astype(np.uint8), cv2.DIST_L2, 5) > 45
        assert np.abs(change(tile, wall)[far]).max(initial=0) <= 1


def test_widths_run_from_hairlines_to_gaping_and_are_those_of_the_mask(cracked: list[PaintedTile]) -> None:
    told = np.array([tile.crack_width_px for tile in cracked])
    measured = np.array([crack_width(tile.mask) for tile in cracked])
    wide = told > 4
    assert told.min() < 2
    assert told.max() > 9
    assert wide.sum() > 10
    assert np.nanmedian(np.abs(measured[wide] / told[wide] - 1)) < 0.2


def test_the_given_picture_stays_as_it_is_and_the_same_draws_paint_the_same(wall: NDArray[np.uint8]) -> None:
    before = wall.copy()
    first, again = (paint_tile(wall, np.random.default_rng(5), cracked=True) for _ in range(2))
    np.testing.assert_array_equal(wall, before)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.mask, again.mask)


def test_a_blurred_picture_is_told_from_a_sharp_one_and_gets_softer_cracks(wall: NDArray[np.uint8]) -> None:
    noise = np.random.default_rng(0).integers(0, 255, wall.shape, np.uint8)
    sharp = np.asarray(cv2.addWeighted(wall, 0.8, noise, 0.2, 0), np.uint8)
    soft = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 1.5), np.uint8)
    assert estimate_blur_px(sharp) < estimate_blur_px(soft)

    def steepest(picture: NDArray[np.uint8]) -> float:
        tiles = [paint_tile(picture, np.random.default_rng(seed), cracked=True) for seed in range(12)]
        return float(np.median([np.abs(np.diff(change(tile, picture), axis=1)).max() for tile in tiles]))

    assert steepest(sharp) > 1.1 * steepest(soft)


def batch(number: int, wall: NDArray[np.uint8]) -> dict[str, torch.Tensor]:
    images = torch.from_numpy(wall).permute(2, 0, 1)[None].repeat(number, 1, 1, 1)
    return {
        "image": images,
        "target": torch.arange(number) % 2,
        "index": torch.arange(100, 100 + number),
        "mask": torch.zeros(number, 1, SIZE, SIZE, dtype=torch.uint8),
        "mask_known": torch.arange(number) % 2 == 0,
    }


def test_a_share_of_the_intact_tiles_of_a_batch_is_cracked_with_its_masks(wall: NDArray[np.uint8]) -> None:
    given = batch(120, wall)
    painted = paint_batch(given, share=0.4, positive_index=1, seed=3, epoch=0)
    new = (painted["target"] == 1) & (given["target"] == 0)
    assert 60 * 0.25 < int(new.sum()) < 60 * 0.55
    assert painted["mask"][new].flatten(1).any(dim=1).all()
    assert not painted["mask"][~new].any()
    assert (painted["mask_known"] == given["mask_known"]).all()
    changed = (painted["image"] != given["image"]).flatten(1).any(dim=1)
    assert changed[new].all()
    assert not changed[given["target"] == 1].any()
    assert changed[(given["target"] == 0) & ~new].any()
    assert given["target"].sum() == 60


def test_a_tile_is_painted_the_same_alone_and_anew_in_another_epoch(wall: NDArray[np.uint8]) -> None:
    given = batch(12, wall)
    how = {"share": 0.5, "positive_index": 1, "seed": 3}
    whole = paint_batch(given, **how, epoch=1)  # type: ignore[arg-type]
    for row in range(12):
        alone = paint_batch({key: value[row : row + 1] for key, value in given.items()}, **how, epoch=1)  # type: ignore[arg-type]
        assert all(torch.equal(alone[key][0], whole[key][row]) for key in whole)
    assert not torch.equal(paint_batch(given, **how, epoch=2)["image"], whole["image"])  # type: ignore[arg-type]
