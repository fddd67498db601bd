from __future__ import annotations

import errno
import hashlib
import json
import random
import shutil
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.request import Request

import pytest

from crack_lightning.data import connection, fetch as fetch_module
from crack_lightning.data.fetch import fetch
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = "https://example.org/the-page"
CONTENT = random.Random(0).randbytes(1_000_000)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Behaviour:
    """What the server does; a test changes it."""

    def __init__(self) -> None:
        self.content = CONTENT
        self.etag: str | None = '"one"'
        self.modified: str | None = None
        self.ranges = True
        self.honours_if_range = True
        self.length = True
        self.kind = "application/octet-stream"
        self.statuses: list[int] = []
        self.cuts: list[int] = []
        self.location: str | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[dict[str, str]] = []
        self.url = ""

    def headers(self) -> dict[str, str]:
        pairs = {"ETag": self.etag, "Last-Modified": self.modified, "Content-Type": self.kind}
        return {name: value for name, value in pairs.items() if value is not None}

    def first_byte(self, asked: dict[str, str]) -> int | None:
        wanted = asked.get("Range")
        same = asked.get("If-Range") in {self.etag, self.modified} or not self.honours_if_range
        if wanted is None or not self.ranges or not same:
            return None
        return int(wanted.removeprefix("bytes=").removesuffix("-"))


def handler_of(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:  # noqa: C901 - a handler is a class in a call
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = dict(self.headers.items())
            behaviour.asked.append(asked)
            behaviour.gate.wait(20)
            status = behaviour.statuses.pop(0) if behaviour.statuses else 200
            if behaviour.location and self.path != "/moved":
                self._head(302, {"Location": behaviour.location, "Content-Length": "0"})
            elif status != 200:
                self._head(status, {"Content-Length": "0"})
            else:
                self._send(behaviour.first_byte(asked))

        def _send(self, first: int | None) -> None:
            size = len(behaviour.content)
            start = first or 0
            if start >= size:
                self._head(416, {"Content-Range": f"bytes */{size}", "Content-Length": "0"})
                return
            headers = behaviour.headers()
            if behaviour.length:
                headers["Content-Length"] = str(size - start)
            if first is not None:
                headers["Content-Range"] = f"bytes {start}-{size - 1}/{size}"
            self._head(200 if first is None else 206, headers)
            end = start + behaviour.cuts.pop(0) if behaviour.cuts else size
            self.wfile.write(behaviour.content[start:end])

        def _head(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
            pass

    return Handler


@contextmanager
def running(behaviour: Behaviour) -> Iterator[None]:
    with ThreadingHTTPServer(("127.0.0.1", 0), handler_of(behaviour)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        behaviour.url = f"http://127.0.0.1:{server.server_address[1]}/tiles.zip"
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Behaviour]:
    monkeypatch.setattr(fetch_module, "_PAUSES_S", (0.0, 0.0, 0.0))
    behaviour = Behaviour()
    with running(behaviour):
        yield behaviour


def get(site: Behaviour, folder: Path, **changes: Any) -> Path:
    settings: dict[str, Any] = {"sha256": DIGEST, "page": PAGE, "show_progress": False, "timeout_s": 5}
    return fetch(site.url, folder / "tiles.zip", **(settings | changes))


def leave_part(site: Behaviour, folder: Path, *, size: int) -> None:
    """Break a fetch off after ``size`` bytes, as a killed process would."""
    site.cuts = [size]
    site.statuses = [200, 404]
    with pytest.raises(DataError, match="404"):
        get(site, folder)
    assert (folder / "tiles.zip.part").read_bytes() == site.content[:size]
    site.asked.clear()


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


def test_a_broken_connection_is_resumed_at_once(site: Behaviour, tmp_path: Path) -> None:
    site.cuts = [300_000, 200_000]
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert [asked.get("Range") for asked in site.asked] == [None, "bytes=300000-", "bytes=500000-"]


def test_a_later_run_resumes_the_part_by_its_etag(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert [(asked["Range"], asked["If-Range"]) for asked in site.asked] == [("bytes=400000-", '"one"')]


def test_a_later_run_resumes_the_part_by_its_date(site: Behaviour, tmp_path: Path) -> None:
    site.etag, site.modified = 'W/"weak"', "Wed, 21 Oct 2015 07:28:00 GMT"
    leave_part(site, tmp_path, size=400_000)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[0]["If-Range"] == "Wed, 21 Oct 2015 07:28:00 GMT"


def test_a_part_of_unknown_version_is_started_over(site: Behaviour, tmp_path: Path) -> None:
    site.etag = None
    leave_part(site, tmp_path, size=400_000)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert "Range" not in site.asked[0]


def test_a_part_of_another_address_is_started_over(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    note = tmp_path / "tiles.zip.part.json"
    note.write_text(json.dumps({"url": "http://127.0.0.1/other", "version": '"one"'}))
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert "Range" not in site.asked[0]


@pytest.mark.parametrize("note", ["", "[1]", "{"])
def test_a_part_with_a_damaged_note_is_started_over(site: Behaviour, tmp_path: Path, note: str) -> None:
    leave_part(site, tmp_path, size=400_000)
    (tmp_path / "tiles.zip.part.json").write_text(note)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert "Range" not in site.asked[0]


def test_a_server_that_ignores_ranges_starts_over(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    site.ranges = False
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert site.asked[0]["Range"] == "bytes=400000-"


@pytest.mark.parametrize("honours_if_range", [True, False])
def test_a_file_that_changed_meanwhile_starts_over(
    site: Behaviour, tmp_path: Path, *, honours_if_range: bool
) -> None:
    leave_part(site, tmp_path, size=400_000)
    site.content, site.etag, site.honours_if_range = CONTENT[::-1], '"two"', honours_if_range
    assert get(site, tmp_path, sha256=None).read_bytes() == CONTENT[::-1]


def test_a_file_that_shrank_meanwhile_starts_over(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    site.content, site.honours_if_range = b"short", False
    assert get(site, tmp_path, sha256=None).read_bytes() == b"short"


def test_a_part_that_is_whole_is_only_verified(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    (tmp_path / "tiles.zip.part").write_bytes(CONTENT)
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert [asked["Range"] for asked in site.asked] == ["bytes=1000000-"]


def test_a_connection_that_keeps_breaking_ends_with_a_sentence(site: Behaviour, tmp_path: Path) -> None:
    site.ranges = False
    site.cuts = [1000] * 9
    with pytest.raises(
        DataError, match=r"broke after 1000 of 1000000 bytes.*the-page.*data\.archive=.*data\.root="
    ):
        get(site, tmp_path)
    assert not (tmp_path / "tiles.zip").exists()


def test_a_server_that_stumbles_is_asked_again(site: Behaviour, tmp_path: Path) -> None:
    site.statuses = [503, 500]
    assert get(site, tmp_path).read_bytes() == CONTENT


def test_a_server_that_stays_down_is_given_up(site: Behaviour, tmp_path: Path) -> None:
    site.statuses = [503] * 9
    with pytest.raises(DataError, match="answered 503 Service Unavailable"):
        get(site, tmp_path)
    assert len(site.asked) == 4


def test_a_file_of_unannounced_length_arrives(site: Behaviour, tmp_path: Path) -> None:
    site.length = False
    assert get(site, tmp_path).read_bytes() == CONTENT


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_one_sentence_without_a_second_try(site: Behaviour, tmp_path: Path, status: int) -> None:
    site.statuses = [status] * 2
    with pytest.raises(
        DataError, match=rf"answered {status} .*the-page.*data\.archive=.*data\.root="
    ) as caught:
        get(site, tmp_path)
    assert len(site.asked) == 1
    assert "\n" not in str(caught.value)


def test_a_web_page_is_not_taken_for_the_file(site: Behaviour, tmp_path: Path) -> None:
    site.kind = "text/html; charset=utf-8"
    with pytest.raises(DataError, match="a web page in place of the file"):
        get(site, tmp_path, sha256=None)
    assert not list(tmp_path.glob("tiles*"))


def test_a_wrong_checksum_removes_the_file_and_names_both(site: Behaviour, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"SHA-256 is {DIGEST}, not 00ff; the file was removed"):
        get(site, tmp_path, sha256="00ff")
    assert not list(tmp_path.glob("tiles*"))


def test_a_refused_port_fails_at_once(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        nobody = Behaviour()
        nobody.url = f"http://127.0.0.1:{taken.getsockname()[1]}/tiles.zip"
        started = time.monotonic()
        with pytest.raises(DataError, match=r"refused.*the-page"):
            get(nobody, tmp_path)
    assert time.monotonic() - started < 3


def test_an_unknown_host_asks_whether_the_machine_is_online(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", offline)
    monkeypatch.setenv("no_proxy", "*")
    site = Behaviour()
    site.url = "http://data.invalid/tiles.zip"
    with pytest.raises(DataError, match=r"data\.invalid.*online\? Temporary failure"):
        get(site, tmp_path)


@pytest.mark.parametrize("stuck", ["lookup", "answer"])
def test_a_server_that_never_answers_is_given_up_in_time(
    site: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stuck: str
) -> None:
    lookup = socket.getaddrinfo
    gate = threading.Event()

    def slow(*details: Any, **more: Any) -> Any:
        gate.wait(20)
        return lookup(*details, **more)

    if stuck == "lookup":
        monkeypatch.setattr(socket, "getaddrinfo", slow)
    else:
        site.gate = gate
    started = time.monotonic()
    with pytest.raises(DataError, match=r"no answer (within 0\.2 s|in time)"):
        get(site, tmp_path, timeout_s=0.2)
    assert time.monotonic() - started < 10
    gate.set()
    for thread in threading.enumerate():
        if thread.name == "crack-lightning-open":
            thread.join()


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "http:///x", "tiles.zip"]
)
def test_only_http_addresses_are_fetched(tmp_path: Path, url: str) -> None:
    with pytest.raises(DataError, match=rf"'{url}' \(only http and https"):
        fetch(url, tmp_path / "x", sha256=None, page=PAGE, show_progress=False)


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_a_redirection_elsewhere_is_not_followed(site: Behaviour, tmp_path: Path, target: str) -> None:
    site.location = target
    with pytest.raises(DataError, match=rf"[Rr]edirect.* '{target}'"):
        get(site, tmp_path)


def test_a_redirection_is_followed_and_keeps_the_range(site: Behaviour, tmp_path: Path) -> None:
    leave_part(site, tmp_path, size=400_000)
    site.location = "/moved"
    assert get(site, tmp_path).read_bytes() == CONTENT
    assert [asked["Range"] for asked in site.asked] == ["bytes=400000-"] * 2


def test_a_redirection_never_weakens_the_connection() -> None:
    request = Request("https://example.org/x")
    with pytest.raises(OSError, match=r"redirected to 'http://example\.org/y'"):
        connection._Redirects().redirect_request(request, None, 302, "Found", None, "http://example.org/y")  # type: ignore[arg-type]


def test_this_machine_is_not_asked_for_through_a_proxy(
    site: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert get(site, tmp_path).read_bytes() == CONTENT


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
