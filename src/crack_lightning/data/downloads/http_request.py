"""One HTTP request for a file or a byte range of it, within a time limit."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException, HTTPResponse
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, cast
from urllib import error as url_error, request as url_request
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import Message
    from typing import IO

_CHUNK_BYTES = 256 * 1024
_LOOPBACK = {"127.0.0.1", "::1", "localhost"}


class FetchRefusedError(Exception):
    """A permanent failure: no such host, refused, not found, forbidden."""


class BrokenTransferError(Exception):
    """A transient failure: the connection broke, or a server error."""


@dataclass(frozen=True, kw_only=True)
class Response:
    """A server's response.

    Attributes:
        body: The open response; ``None`` when nothing was sent.
        start: Offset in the file, bytes; the file's size when nothing is left.
        total: Size of the whole file, bytes; ``None`` if unknown.
        version: ETag or date of the file; ``None`` if unknown.
        complete: Whether the local part is the whole file already.
    """

    body: HTTPResponse | None
    start: int
    total: int | None
    version: str | None
    complete: bool = False


@contextmanager
def open_url(url: str, *, start: int, version: str | None, timeout_s: float) -> Iterator[Response]:
    """Request ``url`` from byte ``start`` on, if it is still the same ``version``.

    Proxies are those of the environment, except for the loopback addresses.

    Args:
        url: ``http`` or ``https``.
        start: First byte; ``0`` for the whole file.
        version: ETag or date of the local part.
        timeout_s: Seconds until the response begins, name lookup and redirections included.

    Yields:
        The response, which begins at ``start`` or, where the server starts over, at 0.

    Raises:
        FetchRefusedError: If a retry is of no use.
        BrokenTransferError: If a retry may help.
    """
    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise FetchRefusedError("only http and https are fetched")
    headers = {"User-Agent": "crack-lightning", "Accept-Encoding": "identity"}
    if start and version:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    request = url_request.Request(url, headers=headers)  # noqa: S310 - the scheme is checked above
    try:
        response = _open_within(request, timeout_s)
    except url_error.HTTPError as error:
        with error:
            yield _answer_to_error(error, start)
        return
    with response:
        yield _read_head(response)


def read_chunks(answer: Response) -> Iterator[bytes]:
    """Yield the body of a response in chunks.

    Raises:
        BrokenTransferError: If the connection breaks or stalls.
    """
    while answer.body is not None:
        try:
            chunk = answer.body.read1(_CHUNK_BYTES)
        except (HTTPException, OSError) as error:
            raise BrokenTransferError(
                f"the connection broke: {str(error) or type(error).__name__}"
            ) from error
        if not chunk:
            return
        yield chunk


def _read_head(response: HTTPResponse) -> Response:
    headers = response.headers
    if headers.get_content_type() == "text/html":
        raise FetchRefusedError("the server sent a web page in place of the file")
    if response.status != 206:
        length = headers.get("Content-Length", "")
        return Response(
            body=response,
            start=0,
            total=int(length) if length.isdecimal() else None,
            version=_version(headers),
        )
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", headers.get("Content-Range", ""))
    if span is None:
        raise FetchRefusedError("the server sent a part of the file without saying which")
    total = None if span[2] == "*" else int(span[2])
    return Response(body=response, start=int(span[1]), total=total, version=_version(headers))


def _answer_to_error(error: url_error.HTTPError, start: int) -> Response:
    span = re.fullmatch(r"bytes \*/(\d+)", error.headers.get("Content-Range", ""))
    if error.code == 416 and span is not None:
        total = int(span[1])
        return Response(body=None, start=total, total=total, version=None, complete=total == start)
    kind = BrokenTransferError if error.code >= 500 else FetchRefusedError
    raise kind(f"the server answered {error.code} {error.reason}")


def _version(headers: Message) -> str | None:
    """Return a strong ETag or the date, which If-Range may carry (RFC 9110, section 13.1.5)."""
    tag = headers.get("ETag", "")
    return tag if tag.startswith('"') else headers.get("Last-Modified")


class _Redirects(url_request.HTTPRedirectHandler):
    """Follows redirections, but never from https to http."""

    def redirect_request(  # noqa: PLR0917 - inherited
        self, req: url_request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> url_request.Request | None:
        scheme = urlsplit(newurl).scheme
        if scheme not in {"http", "https"} or (req.type == "https" and scheme == "http"):
            raise url_error.URLError(f"redirected to '{newurl}', which is not safe to follow")
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]


def _opener(url: str) -> url_request.OpenerDirector:
    proxies: dict[str, str] | None = {} if urlsplit(url).hostname in _LOOPBACK else None
    opener = url_request.OpenerDirector()
    for handler in (
        url_request.ProxyHandler(proxies),
        url_request.UnknownHandler(),
        url_request.HTTPHandler(),
        url_request.HTTPSHandler(),
        url_request.HTTPDefaultErrorHandler(),
        _Redirects(),
        url_request.HTTPErrorProcessor(),
    ):
        opener.add_handler(handler)
    return opener


def _open_within(request: url_request.Request, timeout_s: float) -> HTTPResponse:
    """Open in a thread: no socket timeout bounds a name lookup or several dead addresses."""
    answers: SimpleQueue[HTTPResponse | Exception] = SimpleQueue()
    given_up = threading.Event()

    def work() -> None:
        try:
            response = cast("HTTPResponse", _opener(request.full_url).open(request, timeout=timeout_s))
        except Exception as error:  # noqa: BLE001 - handed to the caller
            answers.put(error)
            return
        if given_up.is_set():
            response.close()
        answers.put(response)

    threading.Thread(target=work, name="crack-lightning-open", daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except Empty:
        given_up.set()
        raise FetchRefusedError(f"no answer within {timeout_s:g} s") from None
    if isinstance(answer, Exception):
        raise _explained(answer) from answer
    return answer


def _explained(error: Exception) -> Exception:
    """Return the permanent or transient failure that an error of urllib means."""
    if isinstance(error, url_error.HTTPError):
        return error
    reason = error.reason if isinstance(error, url_error.URLError) else error
    if isinstance(reason, socket.gaierror):
        return FetchRefusedError(
            f"its host name cannot be looked up, is this machine online? {reason.strerror}"
        )
    if isinstance(reason, TimeoutError):
        return FetchRefusedError("no answer in time")
    if isinstance(reason, ConnectionRefusedError | ssl.SSLError | str):
        return FetchRefusedError(str(reason))
    if isinstance(reason, ConnectionError | HTTPException):
        return BrokenTransferError(f"the connection broke: {str(reason) or type(reason).__name__}")
    return FetchRefusedError(str(reason) or type(reason).__name__)
