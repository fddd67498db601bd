"""An archive that is damaged, locked or none at all is named, with what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from crack_lightning.data.downloads.archive_readers import archive_kind
from crack_lightning.runtime.errors import DataError
from tests.data.archives import TILES, make_tar, make_zip, refuse

if TYPE_CHECKING:
    from pathlib import Path


def test_an_encrypted_zip_is_named(tmp_path: Path) -> None:
    archive = make_zip(tmp_path / "secret.zip", {"a.jpg": b"tile"})
    content = bytearray(archive.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.rfind(signature) + offset] |= 1
    archive.write_bytes(content)
    refuse(archive, r"'secret\.zip' is encrypted; unpack it by hand and set data\.root=")


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


def test_an_unreadable_archive_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    archive = make_zip(tmp_path / "a.zip", TILES)
    monkeypatch.setattr("pathlib.Path.open", forbidden)
    with pytest.raises(DataError, match=r"cannot read '.*a\.zip' \(Permission denied\)"):
        archive_kind(archive)
