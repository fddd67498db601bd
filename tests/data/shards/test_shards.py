"""Shards hold what was known of the tiles, in plain tars, photos whole and splits apart."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest

from crack_lightning.data.io.decoding import decode_image, picture_header
from crack_lightning.data.shards.plan import plan_shards
from crack_lightning.data.shards.reading import read_shards, shard_paths
from crack_lightning.data.sources.shards import ShardsSettings
from crack_lightning.runtime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.data.table import TileTable


def test_every_column_and_every_file_come_out_as_they_went_in(
    table: TileTable, written: Callable[..., Path]
) -> None:
    folder = written()
    again = read_shards(folder)
    assert (again.class_names, again.positive_class) == (table.class_names, table.positive_class)
    assert again.columns().keys() == table.columns().keys() | {"name"}
    np.testing.assert_array_equal(again.name, table.path)
    for name in table.columns().keys() - {"path", "mask"}:
        np.testing.assert_array_equal(again.columns()[name], table.columns()[name], err_msg=name)
    for name in ("path", "mask"):
        for before, after in zip(table.columns()[name], again.columns()[name], strict=True):
            assert bool(before) == bool(after)
            if before:
                np.testing.assert_array_equal(
                    decode_image(folder / str(after)), decode_image(table.root / str(before))
                )
                assert picture_header(folder / str(after)) == picture_header(table.root / str(before))
    assert shard_paths(folder) == [folder / path for path in again.path.tolist()]
    assert shard_paths(table.root) is None


def test_a_shard_is_a_plain_tar_of_the_same_bytes(table: TileTable, written: Callable[..., Path]) -> None:
    folder = written()
    found = {}
    for tar in folder.rglob("*.tar"):
        with tarfile.open(tar, encoding="utf-8", errors="surrogateescape") as opened:
            for member in opened:
                content = opened.extractfile(member)
                assert content is not None
                found[f"{tar.relative_to(folder).as_posix()}/{member.name}"] = content.read()
    again = read_shards(folder)
    files = dict(zip(again.path.tolist(), table.path.tolist(), strict=True))
    masks = dict(zip(again.extra["mask"].tolist(), table.extra["mask"].tolist(), strict=True))
    expected = {new: (table.root / old).read_bytes() for new, old in (files | masks).items() if new}
    assert found == expected


def test_photos_are_whole_and_splits_apart(table: TileTable, written: Callable[..., Path]) -> None:
    again = read_shards(written(tiles_per_shard=7))
    shard = np.array([path.rpartition(".tar/")[0].partition(".tar/")[0] for path in again.path.tolist()])
    assert {str(name).partition("/")[0] for name in shard[again.split == "val"]} == {"val"}
    for group in set(table.group.tolist()):
        assert len(set(shard[again.group == group])) == 1
    assert max(np.unique(shard, return_counts=True)[1]) <= 7
    assert len(set(shard)) > 3


def test_a_photo_larger_than_a_shard_has_its_own_and_tiles_without_photo_fill_theirs(
    table: TileTable,
) -> None:
    group = np.array(["wide"] * 12 + [""] * 18)
    split = np.full(30, "train")
    sizes = [
        len(shard.rows) for shard in plan_shards(replace(table, group=group, split=split), tiles_per_shard=5)
    ]
    assert sizes == [12, 5, 5, 5, 3]


def test_tiles_without_splits_are_for_each_run_to_split(
    table: TileTable, written: Callable[..., Path]
) -> None:
    folder = written(replace(table, split=np.full(len(table), "")))
    assert {path.parent.name for path in folder.rglob("*.tar")} == {"unsplit"}
    assert set(read_shards(folder).split) == {""}


def test_shards_of_shards_hold_the_same_tiles(table: TileTable, written: Callable[..., Path]) -> None:
    first = written()
    moved = first.rename(first.parent / "first.tar")  # a folder that only looks like a tar
    again = read_shards(written(read_shards(moved), tiles_per_shard=4))
    np.testing.assert_array_equal(again.sha256, table.sha256)
    np.testing.assert_array_equal(again.name, table.path)
    path = again.root / str(again.path[5])
    np.testing.assert_array_equal(decode_image(path), decode_image(table.root / str(table.path[5])))


def test_a_folder_that_holds_no_shards_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.root: expected a folder with shards, got none"):
        ShardsSettings().folder("shards")
    with pytest.raises(DataError, match=r"has no shards\.json; expected a folder of crack-lightning shards"):
        read_shards(tmp_path)
