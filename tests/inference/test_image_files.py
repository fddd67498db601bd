"""Image files of the sources of predict, and the files left out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from crack_lightning.inference.image_files import find_images
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def fill(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path, "PNG")
    return root


def found(root: Path, *sources: str) -> list[str]:
    return [path.relative_to(root).as_posix() for path in find_images([str(root / s) for s in sources])[0]]


def test_a_folder_gives_its_pictures_and_counts_what_it_has_else(tmp_path: Path) -> None:
    fill(
        tmp_path,
        "site/a.jfif",
        "site/below/b.JPG",
        "site/IMG 1",
        "site/old.bak",
        "site/._a.jpg",
        "site/@eaDir/c.jpg",
    )
    (tmp_path / "site" / "more.zip").touch()
    (tmp_path / "site" / "again.jpg").symlink_to(tmp_path / "site" / "a.jfif")
    assert found(tmp_path, "site") == ["site/IMG 1", "site/a.jfif", "site/below/b.JPG"]
    left_out = find_images([str(tmp_path / "site")])[1]
    assert {(item.files, item.reason.split(",")[0].split(";")[0]) for item in left_out} == {
        (1, "an archive"),
        (1, "the suffix '.bak' is not read"),
        (1, "a link to a picture that is read already"),
    }


def test_a_pattern_that_means_folders_gives_their_pictures(tmp_path: Path) -> None:
    fill(tmp_path, "site 1/a.jpg", "site 2/below/b.jpg", "site.jpg", "other/c.jpg")
    assert found(tmp_path, "site*") == ["site 1/a.jpg", "site 2/below/b.jpg", "site.jpg"]


def test_a_file_is_taken_once_by_whatever_path_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, "site/a.jpg", "site/b.jpg")
    monkeypatch.chdir(tmp_path)
    paths, left_out = find_images(["site", "site/../site/a.jpg", str(tmp_path / "site" / "b.jpg")])
    assert [path.name for path in paths] == ["a.jpg", "b.jpg"]
    assert all("already" in item.reason for item in left_out)


def test_a_broken_link_that_is_given_is_a_source_and_not_a_pattern(tmp_path: Path) -> None:
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere.jpg")
    assert found(tmp_path, "gone.jpg") == ["gone.jpg"]
    with pytest.raises(DataError, match=r"no such file, folder or pattern: '.*nowhere\.jpg'"):
        found(tmp_path, "nowhere.jpg")


def test_a_name_that_is_not_utf8_is_a_picture_like_any_other(tmp_path: Path) -> None:
    name = os.fsdecode(b"Br\xfccke.jpg")
    assert found(fill(tmp_path, name), ".") == [name]
