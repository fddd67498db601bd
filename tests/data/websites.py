"""A website on this machine that behaves as a test says, and a fetch from it."""

from __future__ import annotations

import hashlib
import random
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from crack_lightning.data.downloads.http import fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
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
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """Answer requests for the block by ``handler``, and yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def get(site: Behaviour, folder: Path, **changes: Any) -> Path:
    settings: dict[str, Any] = {"sha256": DIGEST, "page": PAGE, "show_progress": False, "timeout_s": 5}
    return fetch(site.url, folder / "tiles.zip", **(settings | changes))
