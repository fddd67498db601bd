"""Painted tiles stay with the tiles below them, in their groups and in their splits."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.data.concat import concat
from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.io.mask_files import read_mask
from crack_lightning.data.scan.prepare import with_splits
from crack_lightning.data.splits.painted import split_painted
from crack_lightning.data.synthesis.painted_tiles import ensure_groups, load
from crack_lightning.data.table import TileTable
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

SIZE = 64


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> TileTable:
    root = tmp_path_factory.mktemp("base")
    digests = []
    for number in range(40):
        rng = np.random.default_rng(number)
        grey = cv2.resize(rng.integers(120, 200, (9, 9, 3), np.uint8), (SIZE, SIZE))
        data = cv2.imencode(".png", grey)[1].tobytes()
        (root / f"{number:02d}.png").write_bytes(data)
        digests.append(hashlib.sha256(data).hexdigest())
    rows = np.arange(40)
    table = TileTable(
        root=root,
        class_names=("broken", "fine"),
        positive_class="broken",
        path=np.array([f"{row:02d}.png" for row in rows]),
        label=rows % 2,
        group=np.where(rows < 30, np.char.add("photo ", (rows // 3).astype(str)), ""),
        source=np.full(40, "real"),
        split=np.full(40, ""),
        sha256=np.array(digests),
    )
    return ensure_groups(table, table.label == 1)


def painted(
    base: TileTable, cache: Path, *, num_tiles: int = 60, seed: int = 0, workers: int = 2
) -> TileTable:
    tiles = load(base, seed=seed, num_tiles=num_tiles, num_workers=workers, cache=cache, show_progress=False)
    return replace(tiles, source=np.full(len(tiles), "painted"))


@pytest.fixture(scope="module")
def tiles(base: TileTable, tmp_path_factory: pytest.TempPathFactory) -> TileTable:
    return painted(base, tmp_path_factory.mktemp("cache"))


def test_half_are_cracked_with_a_mask_of_their_own_size_and_a_width(tiles: TileTable) -> None:
    cracked = tiles.label == tiles.positive_index
    assert tiles.class_names == ("broken", "fine")
    assert cracked.sum() == 30
    np.testing.assert_array_equal(cracked, tiles.extra["mask"] != "")
    np.testing.assert_array_equal(cracked, np.isfinite(tiles.extra["crack_width_px"].astype(float)))
    for row in np.flatnonzero(cracked)[:5]:
        mask = read_mask(tiles.root / str(tiles.extra["mask"][row])).values
        assert mask.shape == decode_image(tiles.root / tiles.path[row]).shape[:2]
        assert set(np.unique(mask)) == {0, 255}


def test_only_intact_tiles_are_painted_on_each_with_and_without_a_crack(
    base: TileTable, tiles: TileTable
) -> None:
    row_of = {digest: row for row, digest in enumerate(base.sha256)}
    below = np.array([row_of[digest] for digest in tiles.extra["painted_on"]])
    assert (base.label[below] == 1).all()
    np.testing.assert_array_equal(tiles.group, base.group[below])
    assert (tiles.group != "").all()
    for row in np.unique(below):
        labels = tiles.label[below == row]
        assert (labels == 0).sum() == (labels == 1).sum()


def test_more_threads_and_other_file_names_paint_the_same(
    base: TileTable, tiles: TileTable, tmp_path: Path
) -> None:
    shuffled = base.select(np.random.default_rng(1).permutation(len(base)))
    again = painted(shuffled, tmp_path, workers=1)
    np.testing.assert_array_equal(again.sha256, tiles.sha256)
    np.testing.assert_array_equal(again.group, tiles.group)
    assert (painted(base, tmp_path, seed=1).sha256 != tiles.sha256).any()


def test_painting_needs_two_classes_and_an_intact_tile(base: TileTable, tmp_path: Path) -> None:
    three = replace(base, class_names=("broken", "fine", "wet"))
    with pytest.raises(DataError, match="got broken, fine, wet"):
        painted(three, tmp_path)
    with pytest.raises(DataError, match="no intact tile under"):
        painted(base.select(base.label == 0), tmp_path)


HOW: dict[str, Any] = {"seed": 0, "fractions": (0.5, 0.25, 0.25), "tolerance": 0.2}


@pytest.mark.parametrize("strategy", ["grouped", "random"])
def test_a_painted_tile_is_where_the_tile_below_it_is(
    base: TileTable, tiles: TileTable, strategy: str
) -> None:
    done = split_painted(concat([base, tiles]), strategy=strategy, **HOW)
    real = done.source == "real"
    of_digest = dict(zip(done.sha256[real], done.split[real], strict=True))
    assert [of_digest[digest] for digest in done.extra["painted_on"][~real]] == done.split[~real].tolist()
    assert set(done.split) == {"train", "val", "test"}


@pytest.mark.parametrize("sides", [{"test_sources": ["real"]}, {"train_sources": ["painted"]}])
def test_a_source_that_may_not_be_on_a_side_is_left_out_there(
    base: TileTable, tiles: TileTable, sides: dict[str, list[str]]
) -> None:
    both = concat([base, tiles])
    whole, done = split_painted(both, **HOW), split_painted(both, **HOW, **sides)
    out = (
        (done.source == "painted") & (whole.split == "test")
        if "test_sources" in sides
        else (done.source == "real") & (whole.split != "test")
    )
    np.testing.assert_array_equal(done.split, np.where(out, "", whole.split))


def test_training_on_painted_tiles_alone_tests_on_tiles_that_they_were_not_painted_on(
    base: TileTable, tiles: TileTable
) -> None:
    sides = {"train_sources": ["painted"], "test_sources": ["real"]}
    done = split_painted(concat([base, tiles]), **HOW, **sides)
    on = done.source == "painted"
    assert set(done.split[on]) == {"train", "val", ""}
    assert set(done.split[~on]) == {"test", ""}
    tested = set(done.sha256[done.split == "test"])
    assert tested
    assert not tested & set(done.extra["painted_on"][done.split != ""])
    assert not set(done.group[done.split == "test"]) & set(done.group[np.isin(done.split, ["train", "val"])])


def test_a_split_with_tiles_left_out_is_followed_again(
    base: TileTable, tiles: TileTable, tmp_path: Path
) -> None:
    both, kept = concat([base, tiles]), tmp_path / "splits.csv"
    first = with_splits(both, file=None, splits_path=kept, test_sources=["real"], **HOW)
    again = with_splits(both, file=None, splits_path=kept, test_sources=["real"], **HOW)
    assert (first.split == "").any()
    np.testing.assert_array_equal(again.split, first.split)
