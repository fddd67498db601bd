from __future__ import annotations

from pathlib import Path

import pytest

from crack_lightning.data.sources import metu, sdnet2018
from crack_lightning.data.splits.assign import split_table
from crack_lightning.runtime.errors import ConfigError, DataError
from tests.data.pictures import write_images

METU = Path(__file__).parents[4] / "shared" / "data" / "metu"


@pytest.mark.parametrize("home", [".", "Concrete Crack Images for Classification"])
def test_metu_is_found_at_the_root_or_one_level_below(home: str, tmp_path: Path) -> None:
    write_images(tmp_path / home, "Positive/00002.jpg", "Positive/00001.jpg", "Negative/00001.jpg")
    table = metu.load(tmp_path)
    assert table.path.tolist() == ["Negative/00001.jpg", "Positive/00001.jpg", "Positive/00002.jpg"]
    assert table.label.tolist() == [0, 1, 1]
    assert (table.class_names, table.positive_class) == (("intact", "crack"), "crack")
    assert set(table.source) == {"metu"}
    assert all((table.root / path).is_file() for path in table.path.tolist())


def test_metu_without_its_folders_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.root: '.*' has not the folders Positive and Negative"):
        metu.load(write_images(tmp_path, "a/b.jpg"))
    with pytest.raises(DataError, match="has no folder Negative"):
        metu.load(write_images(tmp_path, "Positive/1.jpg"))
    (tmp_path / "Negative").mkdir()
    with pytest.raises(DataError, match=r"no images under '.*Negative'"):
        metu.load(tmp_path)
    with pytest.raises(DataError, match="nowhere' does not exist"):
        metu.load(tmp_path / "nowhere")


def test_metu_takes_a_pattern(tmp_path: Path) -> None:
    write_images(tmp_path, "Positive/00001_1.jpg", "Negative/00001_1.jpg")
    assert metu.load(tmp_path, group_pattern=r"/(\d+)_").group.tolist() == ["00001", "00001"]
    with pytest.raises(ConfigError, match=r"data\.group_pattern: 'x'"):
        metu.load(tmp_path, group_pattern="x")


@pytest.mark.parametrize("home", [".", "SDNET2018"])
def test_sdnet_names_its_photos(home: str, tmp_path: Path) -> None:
    write_images(
        tmp_path / home, "D/CD/7001-115.jpg", "D/UD/7001-1.jpg", "W/CW/7001-2.jpg", "W/UW/7002-3.jpg"
    )
    write_images(tmp_path / home, "P/CP/1-1.jpg", "P/UP/1-2.jpg")
    table = sdnet2018.load(tmp_path)
    rows = zip(table.path.tolist(), table.label.tolist(), table.group.tolist(), strict=True)
    assert list(rows) == [
        ("D/CD/7001-115.jpg", 1, "D/7001"),
        ("D/UD/7001-1.jpg", 0, "D/7001"),
        ("P/CP/1-1.jpg", 1, "P/1"),
        ("P/UP/1-2.jpg", 0, "P/1"),
        ("W/CW/7001-2.jpg", 1, "W/7001"),
        ("W/UW/7002-3.jpg", 0, "W/7002"),
    ]
    assert (table.class_names, table.positive_class) == (("intact", "crack"), "crack")
    assert set(table.source) == {"sdnet2018"}


def test_sdnet_in_whole_words_and_in_part(tmp_path: Path) -> None:
    table = sdnet2018.load(write_images(tmp_path, "Decks/Cracked/7001-1.jpg", "Decks/Non-cracked/7002-1.jpg"))
    assert table.group.tolist() == ["D/7001", "D/7002"]
    assert table.label.tolist() == [1, 0]


def test_sdnet_without_its_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has not the folders D, W and P"):
        sdnet2018.load(write_images(tmp_path / "a", "x/b.jpg"))
    with pytest.raises(DataError, match=r"D' has not the folders CD \(cracked\) and UD \(intact\)"):
        sdnet2018.load(write_images(tmp_path / "b", "D/CD/1-1.jpg"))
    with pytest.raises(DataError, match=r"photo\.jpg' is not named photo-tile"):
        sdnet2018.load(write_images(tmp_path / "c", "D/CD/photo.jpg", "D/UD/1-1.jpg"))
    (tmp_path / "d" / "D" / "UD").mkdir(parents=True)
    with pytest.raises(DataError, match=r"no images under '.*UD'"):
        sdnet2018.load(write_images(tmp_path / "d", "D/CD/1-1.jpg"))


@pytest.mark.real_data
@pytest.mark.skipif(not METU.is_dir(), reason="the METU tiles are not beside the project")
def test_the_real_metu_tiles_are_found_and_split() -> None:
    table = metu.load(METU)
    assert (len(table), int(table.label.sum())) == (16_000, 8_000)
    assert metu.load(METU.parent).path.tolist() == table.path.tolist()
    split = split_table(table, seed=0)
    for label in (0, 1):
        counts = [
            int(((split.split == name) & (split.label == label)).sum()) for name in ("train", "val", "test")
        ]
        assert counts == [5600, 1200, 1200]
