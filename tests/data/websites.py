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
        self.length = True
        self.kind = "application/octet-stream"
        self.statuses: list[int] = []
        self.cuts: list[int] = []
        self.location: str | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.asked: list[dict[str, str]] = []
        self.url = ""


def handler_of(behaviour: Behaviour) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            behaviour.asked.append(dict(self.headers.items()))
            behaviour.gate.wait(20)
            status = behaviour.statuses.pop(0) if behaviour.statuses else 200
            if behaviour.location and self.path != "/moved":
                self._head(302, {"Location": behaviour.location, "Content-Length": "0"})
            elif status != 200:
                self._head(status, {"Content-Length": "0"})
            else:
                self._send()

        def _send(self) -> None:
            headers = {"Content-Type": behaviour.kind}
            if behaviour.length:
                headers["Content-Length"] = str(len(behaviour.content))
            self._head(200, headers)
            end = behaviour.cuts.pop(0) if behaviour.cuts else None
            self.wfile.write(behaviour.content[:end])

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
