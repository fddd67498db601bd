from __future__ import annotations

import io
import shutil
import stat
import struct
import tarfile
import threading
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.data import archive as archive_module, members
from crack_lightning.data.archive import unpack
from crack_lightning.data.members import archive_kind
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TILES = {"Positive/00001.jpg": b"crack" * 999, "Negative/ü (1).jpg": b"intact", "empty.txt": b""}


def make_zip(path: Path, files: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as opened:
        opened.mkdir("folder without files")
        for name, content in files.items():
            opened.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], *, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as opened:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o4755
            opened.addfile(info, io.BytesIO(content))
    return path


def make_tar_of(path: Path, *infos: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as opened:
        for info in infos:
            opened.addfile(info)
    return path


def special(name: str, kind: bytes, *, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def refuse(archive: Path, match: str) -> None:
    """Unpack, expect one sentence, and that neither the folder nor a trace beside it is left."""
    outside = {path for path in archive.parent.rglob("*") if path.suffix != ".lock"}
    with pytest.raises(DataError, match=match) as caught:
        unpack(archive, archive.parent / "out", show_progress=False)
    assert "\n" not in str(caught.value)
    assert {path for path in archive.parent.rglob("*") if path.suffix != ".lock"} == outside


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


def test_two_archives_in_one_are_left_as_they_are(tmp_path: Path) -> None:
    part = make_zip(tmp_path / "x", TILES).read_bytes()
    outer = make_zip(tmp_path / "outer.zip", {"a.zip": part, "b.zip": part})
    assert set(tree(unpack(outer, tmp_path / "out", show_progress=False))) == {"a.zip", "b.zip"}


def test_an_archive_among_many_tiles_is_left_as_it_is(tmp_path: Path) -> None:
    files = {f"{number}.jpg": b"tile" for number in range(30)}
    files["extra.zip"] = make_zip(tmp_path / "x", TILES).read_bytes()
    outer = make_zip(tmp_path / "outer.zip", files)
    assert tree(unpack(outer, tmp_path / "out", show_progress=False)) == files


ESCAPES = [
    "../evil.jpg",
    "a/../../evil.jpg",
    "/etc/evil.jpg",
    "..\\evil.jpg",
    "C:\\evil.jpg",
    "c:evil",
    "..",
    "//h/x",
]


@pytest.mark.parametrize("name", ESCAPES)
def test_a_zip_that_points_outside_is_refused_by_name(tmp_path: Path, name: str) -> None:
    archive = make_zip(tmp_path / "a.zip", {"good.jpg": b"1", name: b"2"})
    refuse(
        archive,
        "data.archive: 'a.zip' holds .*" + name.replace("\\", ".*").replace(".", r"\.").replace(r"\.*", ".*"),
    )


@pytest.mark.parametrize("name", ESCAPES)
def test_a_tar_that_points_outside_is_refused_by_name(tmp_path: Path, name: str) -> None:
    archive = make_tar(tmp_path / "a.tar", {"good.jpg": b"1", name: b"2"})
    refuse(archive, r"'a\.tar' holds .* points outside the folder")


@pytest.mark.parametrize(
    ("kind", "link", "said"),
    [
        (tarfile.SYMTYPE, "/etc/passwd", r"the link \(to '/etc/passwd'\) 'trap'"),
        (tarfile.SYMTYPE, "..", r"the link \(to '\.\.'\) 'trap'"),
        (tarfile.LNKTYPE, "../../secret", r"the link \(to '\.\./\.\./secret'\) 'trap'"),
        (tarfile.CHRTYPE, "", "the special file 'trap'"),
        (tarfile.BLKTYPE, "", "the special file 'trap'"),
        (tarfile.FIFOTYPE, "", "the special file 'trap'"),
    ],
)
def test_links_and_devices_in_a_tar_are_refused_by_name(
    tmp_path: Path, kind: bytes, link: str, said: str
) -> None:
    archive = make_tar_of(
        tmp_path / "a.tar", special("trap", kind, link=link), special("trap/x", tarfile.REGTYPE)
    )
    refuse(archive, said + r".*data\.root=")


@pytest.mark.parametrize(
    ("kind", "said"), [(stat.S_IFLNK, "link 'trap'"), (stat.S_IFIFO, "special file 'trap'")]
)
def test_links_and_pipes_in_a_zip_are_refused_by_name(tmp_path: Path, kind: int, said: str) -> None:
    info = zipfile.ZipInfo("trap")
    info.create_system, info.external_attr = 3, (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        opened.writestr(info, "/etc/passwd")
    refuse(tmp_path / "a.zip", said)


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    archive = make_tar_of(tmp_path / "a.tar", *(special("same.jpg", tarfile.REGTYPE) for _ in range(2)))
    refuse(archive, r"'same\.jpg' comes twice")


def test_a_file_that_is_also_a_folder_is_refused(tmp_path: Path) -> None:
    refuse(make_tar(tmp_path / "a.tar", {"x": b"1", "x/y": b"2"}), "'x/y' comes twice")


def test_an_encrypted_zip_is_named(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "secret.zip", {"a.jpg": b"tile"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.rfind(signature) + offset] |= 1
    archive.write_bytes(content)
    refuse(archive, r"'secret\.zip' is encrypted; unpack it by hand and set data\.root=")


@pytest.mark.parametrize("limit", ["MAX_TOTAL_BYTES", "MAX_MEMBERS", "RATIO_MATTERS_FROM_BYTES"])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_what_swells_beyond_the_limits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, make: Any
) -> None:
    monkeypatch.setattr(members, limit, 2)
    monkeypatch.setattr(members, "MAX_RATIO", 0)
    refuse(make(tmp_path / "bomb", TILES), r"'bomb' would swell to 0\.0 GB in \d files .*data\.root=")


def test_a_gigabyte_of_zeros_is_a_bomb(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "bomb.zip", {"a.jpg": bytes(10_000)})
    content = bytearray(archive.read_bytes())  # announce 2 GB in both headers
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.rfind(signature) + offset, 2_000_000_000)
    archive.write_bytes(content)
    refuse(archive, r"'bomb\.zip' would swell to 2\.0 GB in 1 files")


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.99])
@pytest.mark.parametrize("mode", ["zip", "w", "w:gz", "w:bz2", "w:xz"])
def test_a_truncated_archive_is_refused(tmp_path: Path, mode: str, kept: float) -> None:
    path = tmp_path / "short"
    files = {f"{number}.jpg": bytes(range(256)) * 40 for number in range(20)}
    whole = make_zip(path, files) if mode == "zip" else make_tar(path, files, mode=mode)
    end = max(i for i, byte in enumerate(whole.read_bytes()) if byte) if mode == "w" else whole.stat().st_size
    whole.write_bytes(whole.read_bytes()[: int(end * kept)])
    refuse(
        whole, "'short' is (damaged or incomplete|no zip, tar or rar archive, or a damaged one).*get it again"
    )


def test_a_tar_that_ends_between_two_members_is_refused(tmp_path: Path) -> None:
    whole = make_tar(tmp_path / "a.tar", {"a": b"1", "b": b"2"})
    whole.write_bytes(whole.read_bytes()[:1024])
    refuse(whole, "no end mark after its last member")


@pytest.mark.parametrize("mode", ["zip", "w:gz"])
def test_flipped_bytes_are_noticed(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "flipped"
    whole = make_zip(path, TILES) if mode == "zip" else make_tar(path, TILES, mode=mode)
    content = bytearray(whole.read_bytes())
    middle = 100 if mode == "zip" else len(content) - 6
    content[middle] ^= 0xFF
    whole.write_bytes(content)
    refuse(whole, "'flipped' is damaged or incomplete")


def test_an_empty_archive_is_refused(tmp_path: Path) -> None:
    refuse(
        make_zip(tmp_path / "nothing.zip", {}),
        r"'nothing\.zip' is damaged or incomplete \(it holds no files\)",
    )


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"<html>log in</html>" * 99])
def test_what_is_no_archive_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "page.zip").write_bytes(content)
    refuse(tmp_path / "page.zip", r"'page\.zip' is no zip, tar or rar archive")


def test_a_missing_archive_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.zip' does not exist; set data\.archive="):
        unpack(tmp_path / "gone.zip", tmp_path / "out", show_progress=False)
    with pytest.raises(DataError, match=rf"{tmp_path.name}' is a folder; set data\.root"):
        unpack(tmp_path, tmp_path / "out", show_progress=False)


def test_an_unreadable_archive_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    archive = make_zip(tmp_path / "a.zip", TILES)
    monkeypatch.setattr("pathlib.Path.open", forbidden)
    with pytest.raises(DataError, match=r"cannot read '.*a\.zip' \(Permission denied\)"):
        archive_kind(archive)


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
