"""Who is asked for a file, how often, how long, and what is said when nobody answers."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.request import Request

import pytest

from crack_lightning.data.downloads import http_request
from crack_lightning.data.downloads.http import fetch
from crack_lightning.runtime.errors import DataError
from tests.data.websites import CONTENT, PAGE, Behaviour, get

if TYPE_CHECKING:
    from pathlib import Path


def test_a_server_that_stumbles_is_asked_again(site: Behaviour, tmp_path: Path) -> None:
    site.statuses = [503, 500]
    assert get(site, tmp_path).read_bytes() == CONTENT


def test_a_server_that_stays_down_is_given_up(site: Behaviour, tmp_path: Path) -> None:
    site.statuses = [503] * 9
    with pytest.raises(DataError, match="answered 503 Service Unavailable"):
        get(site, tmp_path)
    assert len(site.asked) == 4


@pytest.mark.parametrize("status", [403, 404, 410])
def test_a_refusal_is_one_sentence_without_a_second_try(site: Behaviour, tmp_path: Path, status: int) -> None:
    site.statuses = [status] * 2
    with pytest.raises(
        DataError, match=rf"answered {status} .*the-page.*data\.archive=.*data\.root="
    ) as caught:
        get(site, tmp_path)
    assert len(site.asked) == 1
    assert "\n" not in str(caught.value)


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


def test_a_redirection_never_weakens_the_connection() -> None:
    request = Request("https://example.org/x")
    with pytest.raises(OSError, match=r"redirected to 'http://example\.org/y'"):
        http_request._Redirects().redirect_request(request, None, 302, "Found", None, "http://example.org/y")  # type: ignore[arg-type]


def test_this_machine_is_not_asked_for_through_a_proxy(
    site: Behaviour, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert get(site, tmp_path).read_bytes() == CONTENT
