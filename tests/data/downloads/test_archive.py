"""An archive comes out as it went in, once, and whole or not at all."""

from __future__ import annotations

import shutil
import stat
import threading
import zipfile
from typing import TYPE_CHECKING

import pytest

from crack_lightning.data.downloads import archive as archive_module
from crack_lightning.data.downloads.archive import unpack
from crack_lightning.data.downloads.archive_readers import archive_kind
from tests.data.archives import TILES, make_tar, make_zip, refuse, tree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA])
def test_a_zip_comes_out_as_it_went_in(tmp_path: Path, compression: int) -> None:
    archive = make_zip(tmp_path / "file_downloaded", TILES, compression=compression)
    assert tree(unpack(archive, tmp_path / "a" / "b", show_progress=False)) == TILES


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_comes_out_as_it_went_in(tmp_path: Path, mode: str) -> None:
    archive = make_tar(tmp_path / "file_downloaded", TILES, mode=mode)
    folder = unpack(archive, tmp_path / "out", show_progress=False)
    assert tree(folder) == TILES
    assert not (folder / "empty.txt").stat().st_mode & (stat.S_IXUSR | stat.S_ISUID)


def test_a_complete_folder_is_returned_without_the_archive(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "a.zip", TILES)
    folder = unpack(archive, tmp_path / "out", show_progress=False)
    archive.unlink()
    assert unpack(archive, folder, show_progress=False) == folder


def test_what_a_killed_run_left_is_not_taken_for_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_zip(tmp_path / "a.zip", TILES)
    with monkeypatch.context() as patched:  # a kill: nothing cleans up, nothing is renamed
        patched.setattr(shutil, "rmtree", lambda *_, **__: None)
        patched.setattr(archive_module, "_wrapped", lambda _: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            unpack(archive, tmp_path / "out", show_progress=False)
    assert list(tmp_path.rglob("00001.jpg"))
    assert not (tmp_path / "out").exists()
    (tmp_path / ".out.part" / "files" / "stale.jpg").touch()
    assert tree(unpack(archive, tmp_path / "out", show_progress=False)) == TILES
    assert not (tmp_path / ".out.part").exists()


@pytest.mark.parametrize("inner", ["tiles.zip", "tiles.tar.gz"])
def test_an_archive_around_an_archive_is_opened_too(tmp_path: Path, inner: str) -> None:
    make = (
        make_zip(tmp_path / "x", TILES)
        if inner.endswith("zip")
        else make_tar(tmp_path / "x", TILES, mode="w:gz")
    )
    outer = make_zip(tmp_path / "outer.zip", {f"sub/{inner}": make.read_bytes(), "README.txt": b"note"})
    expected = {f"sub/{name}": content for name, content in TILES.items()} | {"README.txt": b"note"}
    assert tree(unpack(outer, tmp_path / "out", show_progress=False)) == expected


@pytest.mark.parametrize("others", [("b.zip",), tuple(f"{number}.jpg" for number in range(30))])
def test_one_of_two_archives_or_an_archive_among_many_tiles_stays_packed(
    tmp_path: Path, others: tuple[str, ...]
) -> None:
    part = make_zip(tmp_path / "x", TILES).read_bytes()
    files = {"a.zip": part} | dict.fromkeys(others, part)
    outer = make_zip(tmp_path / "outer.zip", files)
    assert tree(unpack(outer, tmp_path / "out", show_progress=False)) == files


def test_a_full_disk_is_named_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> Iterator[bytes]:
        raise OSError(28, "No space left on device")

    archive = make_zip(tmp_path / "a.zip", TILES)
    monkeypatch.setattr(archive_module, "_write", full)
    refuse(archive, r"CRACK_LIGHTNING_CACHE: cannot write in .* \(the disk is full\)")


def test_unpacking_at_once_happens_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    archive = make_zip(tmp_path / "a.zip", TILES)
    opened: list[Path] = []
    kind = archive_kind

    def counted(path: Path) -> str | None:
        opened.append(path)
        return kind(path)

    monkeypatch.setattr(archive_module, "archive_kind", counted)
    threads = [
        threading.Thread(target=unpack, args=(archive, tmp_path / "out"), kwargs={"show_progress": False})
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [archive]
    assert tree(tmp_path / "out") == TILES


def test_progress_is_drawn_only_when_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    archive = make_zip(tmp_path / "a [red].zip", TILES)
    unpack(archive, tmp_path / "quiet", show_progress=False)
    assert capsys.readouterr() == ("", "")
    unpack(archive, tmp_path / "loud", show_progress=True)
    assert "unpacking a [red].zip" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"Ri\xc3\x9f/a.jpg", "Ri\u00df/a.jpg"),
        ("\u8868/a.jpg".encode("cp932"), "\u8868/a.jpg"),
        (b"Ri\xe1/a.jpg", "Ri\u00df/a.jpg"),
        (b"Positive\\a.jpg", "Positive/a.jpg"),
    ],
)
def test_names_of_any_code_page_are_unpacked(raw: bytes, expected: str, tmp_path: Path) -> None:
    """A zip of a Mac without the mark of UTF-8, of Japanese Windows, of code page 437, of .NET."""
    stand_in = "x" * len(raw)
    archive = make_zip(tmp_path / "a.zip", {"folder/": b"", stand_in: b"tile"})
    archive.write_bytes(archive.read_bytes().replace(stand_in.encode(), raw).replace(b"folder/", b"folder\\"))
    unpack(archive, tmp_path / "out", show_progress=False)
    assert tree(tmp_path / "out") == {expected: b"tile"}
