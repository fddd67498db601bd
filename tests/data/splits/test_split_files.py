"""A splits.csv is followed wherever the tiles lie, whatever their roots and the cache are called now."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from crack_lightning.data.concat import concat, merge
from crack_lightning.data.scan.prepare import with_splits
from crack_lightning.data.splits.assign import split_table
from crack_lightning.data.splits.split_files import SplitRow, apply_splits, read_splits
from crack_lightning.data.table import TileTable
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

NUMBER = 60


def digests(word: str, number: int = NUMBER) -> NDArray[np.str_]:
    return np.array([hashlib.sha256(f"{word} {row}".encode()).hexdigest() for row in range(number)])


def table(root: Path | str, word: str, *, names: NDArray[np.str_] | None = None) -> TileTable:
    rows = np.arange(NUMBER)
    return TileTable(
        root=Path(root),
        class_names=("intact", "crack"),
        positive_class="crack",
        path=np.array([f"{row % 2}/{row:03d}.jpg" for row in rows]) if names is None else names,
        label=rows % 2,
        group=np.full(NUMBER, ""),
        source=np.full(NUMBER, word),
        split=np.full(NUMBER, ""),
        sha256=digests(word),
    )


def mixed(site: str, drone: str, cache: str) -> TileTable:
    """Two sources and painted tiles in the cache, which all lie where they lie."""
    real = merge({"site": table(site, "site"), "drone": table(drone, "drone")})
    painted = table(cache, "painted")
    names = np.char.add("painted:", painted.path)
    return concat([real, replace(painted, extra={"name": names, "painted_on": digests("site")})])


def split_of(tiles: TileTable) -> dict[str, str]:
    return dict(zip(tiles.sha256.tolist(), tiles.split.tolist(), strict=True))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    done = split_table(mixed("/data/site", "/data/drone", "/home/a/.cache/painted/0123"), seed=1)
    done.write_csv(tmp_path / "splits.csv")
    return tmp_path / "splits.csv"


@pytest.mark.parametrize(
    "places",
    [
        ("/data/site", "/data/drone", "/home/a/.cache/painted/0123"),
        ("/mnt/x/site", "/mnt/x/drone", "/var/cache/painted/4567"),
        ("/mnt/old walls", "/elsewhere/of/flights", "/home/b/.cache/painted/89ab"),
    ],
)
def test_data_and_cache_that_moved_are_followed(places: tuple[str, str, str], file: Path) -> None:
    rows = read_splits(file)
    done = apply_splits(mixed(*places), rows, file=file)
    assert split_of(done) == {row.sha256: row.split for row in rows}
    again = with_splits(mixed(*places), file=None, splits_path=file)  # a resumed run
    assert split_of(again) == split_of(done)


def test_sources_and_files_of_other_names_are_followed_by_their_bytes(file: Path) -> None:
    rows = read_splits(file)
    moved = np.array([f"renamed/{row}.jpg" for row in range(NUMBER)])
    tiles = merge({"wall": table("/w", "site", names=moved), "flight": table("/f", "drone")})
    tiles = concat([tiles, table("/p", "painted")])
    order = np.random.default_rng(0).permutation(len(tiles))
    assert split_of(apply_splits(tiles.select(order), rows, file=file)) == {
        row.sha256: row.split for row in rows
    }


def test_bytes_go_before_names_where_names_were_dealt_anew(file: Path) -> None:
    rows = read_splits(file)
    tiles = mixed("/data/site", "/data/drone", "/c")
    shuffled = tiles.with_columns(sha256=np.roll(tiles.sha256, 7))
    assert split_of(apply_splits(shuffled, rows, file=file)) == {row.sha256: row.split for row in rows}


def test_tiles_saved_anew_are_followed_by_their_names_and_named(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = read_splits(file)
    tiles = mixed("/data/site", "/data/drone", "/c")
    anew = tiles.sha256.copy()
    anew[3] = "f" * 64
    done = apply_splits(tiles.with_columns(sha256=anew), rows, file=file)
    assert done.split[3] == next(row.split for row in rows if row.name == tiles.name[3])
    assert "1 tiles have other bytes than in that run" in caplog.text
    assert f"'{tiles.name[3]}'" in caplog.text
    with pytest.raises(DataError, match=r"^resume: 1 tiles under .* run began with: 'site:1/003\.jpg'"):
        apply_splits(tiles.with_columns(sha256=anew), rows, file=file, resumed=True)


def test_identical_copies_keep_the_splits_of_their_names(file: Path) -> None:
    tiles = mixed("/data/site", "/data/drone", "/c")
    copies = tiles.with_columns(sha256=np.full(len(tiles), "a" * 64))
    rows = [row._replace(sha256="a" * 64) for row in read_splits(file)]
    of_name = {row.name: row.split for row in rows}
    done = apply_splits(copies.select(np.arange(len(tiles))[::-1]), rows, file=file)
    assert done.split.tolist() == [of_name[name] for name in done.name.tolist()]


def test_what_has_no_match_is_named_by_its_source_and_path(file: Path) -> None:
    rows, tiles = read_splits(file), mixed("/data/site", "/data/drone", "/c")
    with pytest.raises(DataError, match=r"1 tiles are in '.*csv', but not under '/': 'drone:0/000\.jpg'"):
        apply_splits(tiles.select(np.arange(len(tiles)) != NUMBER), rows, file=file)
    with pytest.raises(DataError, match=r"1 tiles are not in '.*splits\.csv': 'drone:0/000\.jpg'"):
        apply_splits(tiles, [row for row in rows if row.name != "drone:0/000.jpg"], file=file)


def test_a_file_that_leaves_a_split_without_a_class_is_refused() -> None:
    tiles = table("/data", "site")
    rows = [
        SplitRow(name, "", ("train", "val", "test")[row % 2 + (row == 0)])
        for row, name in enumerate(tiles.name)
    ]
    with pytest.raises(DataError, match="the train split has no tile of 'crack'"):
        apply_splits(tiles, rows, file=Path("old.csv"))


def test_a_list_without_names_and_digests_is_followed_by_paths(tmp_path: Path) -> None:
    tiles = table("/data", "site")
    file = tmp_path / "splits.csv"
    splits = [("train", "val", "test")[row // 2 % 3] for row in range(NUMBER)]
    lines = [f"{path},{split}" for path, split in zip(tiles.path.tolist(), splits, strict=True)]
    file.write_text("\n".join(["path,split", *lines]), encoding="utf-8")
    assert apply_splits(tiles, read_splits(file), file=file).split.tolist() == splits
