"""A file arrives once and whole, with the right digest, or a sentence says why not."""

from __future__ import annotations

import errno
import shutil
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from crack_lightning.data.downloads import http as fetch_module
from crack_lightning.runtime.errors import DataError
from tests.data.websites import CONTENT, DIGEST, Behaviour, get

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def test_a_whole_file_arrives_and_nothing_else_stays(site: Behaviour, tmp_path: Path) -> None:
    path = get(site, tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir() if p.suffix != ".lock"] == ["tiles.zip"]


def test_a_file_that_is_there_is_not_asked_for_again(site: Behaviour, tmp_path: Path) -> None:
    get(site, tmp_path)
    get(site, tmp_path)
    assert len(site.asked) == 1


def test_a_file_with_another_digest_is_fetched_again(site: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "tiles.zip").write_bytes(b"rubbish")
    assert get(site, tmp_path).read_bytes() == CONTENT


def test_a_file_of_unannounced_length_arrives(site: Behaviour, tmp_path: Path) -> None:
    site.length = False
    assert get(site, tmp_path).read_bytes() == CONTENT


def test_a_web_page_is_not_taken_for_the_file(site: Behaviour, tmp_path: Path) -> None:
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(DataError, match="a web page in place of the file"):
        get(site, tmp_path, sha256=None)
    assert not list(tmp_path.glob("tiles*"))


def test_a_wrong_checksum_removes_the_file_and_names_both(site: Behaviour, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"SHA-256 is {DIGEST}, not 00ff; the file was removed"):
        get(site, tmp_path, sha256="00ff")
    assert not list(tmp_path.glob("tiles*"))


def test_a_full_disk_is_named_with_the_way_out(
    site: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> Iterator[bytes]:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch_module, "read_chunks", full)
    with pytest.raises(DataError, match=rf"CRACK_LIGHTNING_CACHE: .*{tmp_path.name}.*the disk is full"):
        get(site, tmp_path)


def test_a_file_that_does_not_fit_is_not_begun(
    site: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=999_999))
    with pytest.raises(DataError, match=r"0\.0 GB free and 0\.0 GB are to come"):
        get(site, tmp_path)
    assert not (tmp_path / "tiles.zip.part").exists()


def test_a_folder_that_cannot_be_made_is_named(site: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write in '.*file/sub'"):
        get(site, tmp_path / "file" / "sub")


def test_progress_is_drawn_only_when_asked_for(
    site: Behaviour, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    get(site, tmp_path / "quiet")
    assert capsys.readouterr() == ("", "")
    get(site, tmp_path / "loud", show_progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "downloading" in printed.err


def test_two_fetches_at_once_ask_once(site: Behaviour, tmp_path: Path) -> None:
    threads = [threading.Thread(target=get, args=(site, tmp_path)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "tiles.zip").read_bytes() == CONTENT
    assert len(site.asked) == 1
