"""Drawn tiles: as many as asked, cracked where their masks say so, the same for every process."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.data.synthesis import drawn_tiles
from crack_lightning.data.synthesis.distractors import DISTRACTORS
from crack_lightning.data.synthesis.scene import cut_tiles, draw_photo
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

SMALL: dict[str, Any] = {"num_tiles": 12, "tile_px": 96, "photo_tiles": 3}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> TileTable:
    return drawn_tiles.load(seed=0, num_tiles=90, cache=tmp_path_factory.mktemp("cache"))


def pixels(table: TileTable, path: object) -> NDArray[Any]:
    image = cv2.imread(str(table.root / str(path)), cv2.IMREAD_UNCHANGED)
    assert image is not None, path
    return image


def test_half_of_the_tiles_are_cracked_and_there_are_as_many_as_asked(
    table: TileTable, tmp_path: Path
) -> None:
    odd = drawn_tiles.load(seed=0, **SMALL | {"num_tiles": 7}, cache=tmp_path)

    assert (len(table), table.label.sum()) == (90, 45)
    assert (len(odd), odd.label.sum()) == (7, 3)
    assert table.class_names == ("intact", "crack")
    assert table.positive_index == 1


def test_every_file_is_there_with_the_digest_of_the_table(table: TileTable) -> None:
    for path, digest in zip(table.path, table.sha256, strict=True):
        assert hashlib.sha256((table.root / path).read_bytes()).hexdigest() == digest
        assert pixels(table, path).shape == (96, 96, 3)


def test_a_tile_is_cracked_exactly_when_its_mask_and_its_width_say_so(table: TileTable) -> None:
    for row, mask_path in enumerate(table.extra["mask"]):
        mask = pixels(table, mask_path)
        assert mask.shape == (96, 96)
        assert set(np.unique(mask)) <= {0, 255}
        assert (mask.sum() > 0) == (table.label[row] == 1)
        assert np.isnan(table.extra["crack_width_px"][row]) == (table.label[row] == 0)
        assert (table.extra["crack_lines"][row] > 0) == (table.label[row] == 1)
        assert table.label[row] == 0 or np.count_nonzero(mask) >= 14  # no mere corner of a crack


def test_the_width_of_wide_cracks_agrees_with_their_masks(table: TileTable) -> None:
    measured, stated = [], []
    for row in np.flatnonzero(table.extra["crack_width_px"].astype(float) > 3):
        mask = pixels(table, table.extra["mask"][row])
        measured.append(2 * cv2.distanceTransform(mask, cv2.DIST_L2, 5).max() - 1)
        stated.append(float(table.extra["crack_width_px"][row]))
    assert np.corrcoef(measured, stated)[0, 1] > 0.8


def test_tiles_of_one_photo_share_a_group(table: TileTable) -> None:
    for path, group in zip(table.path, table.group, strict=True):
        assert str(path).startswith(f"images/{group}_")
    assert len(set(table.group)) >= 10


def test_distractors_are_named_kinds(table: TileTable) -> None:
    named = {kind for cell in table.extra["distractors"] for kind in str(cell).split("+") if kind}

    assert named <= {kind for kind, one in DISTRACTORS.items() if one.photo_share}
    assert len(named) >= 4


@pytest.mark.parametrize("num_workers", [1, 2])
def test_the_pixels_are_the_same_whatever_the_workers(num_workers: int, tmp_path: Path) -> None:
    here = drawn_tiles.load(seed=3, **SMALL, num_workers=0, cache=tmp_path / "here")
    there = drawn_tiles.load(seed=3, **SMALL, num_workers=num_workers, cache=tmp_path / "there")

    np.testing.assert_array_equal(here.path, there.path)
    np.testing.assert_array_equal(here.sha256, there.sha256)


def test_a_photo_depends_on_the_seed_and_not_on_how_many_tiles_are_asked_for(tmp_path: Path) -> None:
    few = drawn_tiles.load(seed=3, **SMALL, cache=tmp_path)
    many = drawn_tiles.load(seed=3, **SMALL | {"num_tiles": 30}, cache=tmp_path)
    other = drawn_tiles.load(seed=4, **SMALL, cache=tmp_path)

    digests = dict(zip(many.path, many.sha256, strict=True))
    shared = [path for path in few.path if path in digests]
    assert len(shared) >= 6
    assert all(digests[path] == few.sha256[list(few.path).index(path)] for path in shared)
    assert not set(few.sha256) & set(other.sha256)


@pytest.mark.parametrize(
    ("setting", "value"), [("num_tiles", 1), ("tile_px", 8), ("photo_tiles", 0), ("num_workers", -1)]
)
def test_a_number_out_of_range_is_refused_by_name(setting: str, value: int, tmp_path: Path) -> None:
    settings = SMALL | {setting: value}

    with pytest.raises(ConfigError, match=rf"data\.{setting}: .* got {value}\."):
        drawn_tiles.load(seed=0, **settings, cache=tmp_path)


def test_a_large_photo_can_be_drawn_and_cut() -> None:
    photo = draw_photo(np.random.default_rng(1), 700, 1000)

    tiles = list(cut_tiles(photo, tile_px=200))

    assert photo.image.shape == (700, 1000, 3)
    assert len(tiles) <= 15
    assert {tile.position for tile in tiles} <= {(row, column) for row in range(3) for column in range(5)}
