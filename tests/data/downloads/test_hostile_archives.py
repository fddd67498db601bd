"""An archive that points outside, links, repeats names or swells is refused by name, and leaves no trace."""

from __future__ import annotations

import stat
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.data.downloads import archive_readers
from tests.data.archives import TILES, make_tar, make_zip, refuse

if TYPE_CHECKING:
    from pathlib import Path


def make_tar_of(path: Path, *infos: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as opened:
        for info in infos:
            opened.addfile(info)
    return path


def special(name: str, kind: bytes, *, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


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


@pytest.mark.parametrize("limit", ["MAX_TOTAL_BYTES", "MAX_MEMBERS", "RATIO_MATTERS_FROM_BYTES"])
@pytest.mark.parametrize("make", [make_zip, make_tar])
def test_what_swells_beyond_the_limits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, make: Any
) -> None:
    monkeypatch.setattr(archive_readers, limit, 2)
    monkeypatch.setattr(archive_readers, "MAX_RATIO", 0)
    refuse(make(tmp_path / "bomb", TILES), r"'bomb' would swell to 0\.0 GB in \d files .*data\.root=")


def test_a_gigabyte_of_zeros_is_a_bomb(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "bomb.zip", {"a.jpg": bytes(10_000)})
    content = bytearray(archive.read_bytes())  # announce 2 GB in both headers
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.rfind(signature) + offset, 2_000_000_000)
    archive.write_bytes(content)
    refuse(archive, r"'bomb\.zip' would swell to 2\.0 GB in 1 files")
