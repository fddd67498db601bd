"""A file arrives once and whole, with the right digest, or one sentence gives the reason."""

from __future__ import annotations

import errno
import shutil
import socket
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pooch
import pytest
import requests

from crack_lightning.data.downloads.http import _check_response, fetch
from crack_lightning.runtime.errors import DataError
from tests.data.websites import CONTENT, DIGEST, PAGE, Behaviour, get

if TYPE_CHECKING:
    from pathlib import Path


def test_a_whole_file_arrives_and_nothing_else_stays(site: Behaviour, tmp_path: Path) -> None:
    path = get(site, tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir() if p.suffix != ".lock"] == ["tiles.zip"]


def test_a_complete_file_is_not_fetched_again(site: Behaviour, tmp_path: Path) -> None:
    get(site, tmp_path)
    get(site, tmp_path)
    assert len(site.asked) == 1


def test_a_file_with_another_digest_is_fetched_again(site: Behaviour, tmp_path: Path) -> None:
    (tmp_path / "tiles.zip").write_bytes(b"rubbish")
    assert get(site, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize(("length", "location"), [(False, None), (True, "/moved")])
def test_a_file_of_unannounced_length_or_behind_a_redirection_arrives(
    site: Behaviour, tmp_path: Path, *, length: bool, location: str | None
) -> None:
    site.length, site.location = length, location
    assert get(site, tmp_path).read_bytes() == CONTENT


def test_a_web_page_is_not_taken_for_the_file(site: Behaviour, tmp_path: Path) -> None:
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(DataError, match="a web page in place of the file"):
        get(site, tmp_path, sha256=None)
    assert not list(tmp_path.glob("tiles*"))


def test_a_wrong_checksum_removes_the_file_and_names_both(site: Behaviour, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"expected 00ff but got {DIGEST}. Deleted"):
        get(site, tmp_path, sha256="00ff")
    assert not list(tmp_path.glob("tiles*"))


def test_a_full_disk_is_named_with_the_way_out(
    site: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", full)
    with pytest.raises(DataError, match=rf"CRACK_LIGHTNING_CACHE: .*{tmp_path.name}.*the disk is full"):
        get(site, tmp_path)


def test_a_file_that_does_not_fit_is_not_begun(
    site: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=999_999))
    with pytest.raises(DataError, match=r"0\.0 GB free and 0\.0 GB are to come"):
        get(site, tmp_path)
    assert not list(tmp_path.glob("t*"))


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


@pytest.mark.parametrize(("statuses", "cuts"), [([503, 500], []), ([], [300_000, 200_000])])
def test_a_fetch_is_repeated_after_errors_of_the_server_and_broken_connections(
    site: Behaviour, tmp_path: Path, statuses: list[int], cuts: list[int]
) -> None:
    site.statuses, site.cuts = statuses, cuts
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert len(site.asked) == 3


@pytest.mark.parametrize(
    ("statuses", "cuts", "said", "tries"),
    [
        ([], [1000] * 9, "1000 bytes read", 4),
        ([503] * 9, [], "returned 503 Service Unavailable", 4),
        ([403] * 2, [], "returned 403 ", 1),
        ([404] * 2, [], "returned 404 ", 1),
        ([410] * 2, [], "returned 410 ", 1),
    ],
)
def test_a_fetch_that_fails_for_good_ends_with_one_sentence(
    site: Behaviour, tmp_path: Path, *, statuses: list[int], cuts: list[int], said: str, tries: int
) -> None:
    site.statuses, site.cuts = statuses, cuts
    with pytest.raises(DataError, match=rf"{said}.*the-page.*data\.archive=.*data\.root=") as caught:
        get(site, tmp_path)
    assert "\n" not in str(caught.value)
    assert len(site.asked) == tries
    assert not list(tmp_path.glob("t*"))


def test_a_refused_port_is_one_sentence(site: Behaviour, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        site.url = f"http://127.0.0.1:{taken.getsockname()[1]}/tiles.zip"
        with pytest.raises(DataError, match=r"online\?.*refused.*the-page"):
            get(site, tmp_path)


def test_an_unknown_host_asks_whether_the_machine_is_online(
    site: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setenv("no_proxy", "*")
    site.url = "http://data.invalid/tiles.zip"
    with pytest.raises(DataError, match=r"data\.invalid.*online\?.*Temporary failure"):
        get(site, tmp_path)


def test_a_server_that_never_answers_is_given_up(site: Behaviour, tmp_path: Path) -> None:
    site.gate = threading.Event()
    with pytest.raises(DataError, match="the server timed out"):
        get(site, tmp_path, timeout_s=0.2)
    site.gate.set()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "http:///x", "tiles.zip"]
)
def test_only_http_addresses_are_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match=rf"'{url}' \(only http and https"):
        fetch(url, tmp_path / "x", sha256=None, page=PAGE, show_progress=False)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirection_elsewhere_is_not_followed(site: Behaviour, tmp_path: Path, target: str) -> None:
    site.location = target
    with pytest.raises(DataError, match=rf"redirected to '{target}'"):
        get(site, tmp_path)


def test_a_redirection_never_weakens_the_connection(tmp_path: Path) -> None:
    response = requests.Response()
    response.status_code, response.url = 302, "https://example.org/x"
    response.headers["Location"] = "http://example.org/y"
    with pytest.raises(ValueError, match=r"redirected to 'http://example\.org/y'"):
        _check_response(response, tmp_path)
