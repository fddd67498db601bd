"""Download of a published file by pooch: its digest is verified, and it is moved into place when complete."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock

from crack_lightning.data.downloads.archive import byte_bar, wrap_disk_errors
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from requests import Response
    from rich.progress import Progress

_PAUSES_S = (0.5, 1.0, 2.0)
"""Pauses before retries, after an error of the server or a broken connection."""
_CHUNK_BYTES = 256 * 1024


def fetch(
    url: str, destination: Path, *, sha256: str | None, page: str, show_progress: bool, timeout_s: float = 10
) -> Path:
    """Fetch ``url`` into ``destination``.

    Args:
        url: ``http`` or ``https``.
        destination: The file to write; its folder is created. A file with the right digest is kept.
        sha256: Hex digest of the whole file; ``None`` where it is not known.
        page: Page from which the file can be downloaded manually, for errors.
        show_progress: Whether to draw a progress bar on standard error.
        timeout_s: Seconds to connect, and for each further chunk.

    Returns:
        ``destination``.

    Raises:
        DataError: If the file cannot be fetched, has another digest, or the disk is full.
    """
    from requests import RequestException

    with wrap_disk_errors(destination.parent):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(destination.parent / f".{destination.name}.lock"):
            try:
                _download(url, destination, sha256, show_progress=show_progress, timeout_s=timeout_s)
            except (RequestException, ValueError) as error:
                raise DataError(
                    f"data.download: cannot fetch '{url}' ({_reason(error)}); get the file at {page} with a "
                    "browser, then set data.archive=<that file>, or unpack it and set data.root=<the folder "
                    "that you filled>."
                ) from error
    return destination


def _download(
    url: str, destination: Path, sha256: str | None, *, show_progress: bool, timeout_s: float
) -> None:
    """Download the file with pooch; retry after transient errors."""
    import pooch

    if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
        raise ValueError("only http and https are fetched")

    pooch.get_logger().setLevel("WARNING")

    def check(response: Response, **_: Any) -> None:
        opened.callback(response.close)  # pooch leaves it open where a transfer fails
        _check_response(response, destination.parent)

    with ExitStack() as opened, byte_bar(show_progress=show_progress) as progress:
        downloader = pooch.HTTPDownloader(
            progressbar=_Bar(progress),
            chunk_size=_CHUNK_BYTES,
            timeout=timeout_s,
            headers={"User-Agent": "crack-lightning", "Accept-Encoding": "identity"},
            hooks={"response": check},
        )
        for pause_s in (*_PAUSES_S, None):
            try:
                pooch.retrieve(
                    url, sha256, fname=destination.name, path=destination.parent, downloader=downloader
                )
            except OSError as error:  # those of requests are, too
                if pause_s is None or not _is_transient(error):
                    raise
                time.sleep(pause_s)
            else:
                return


def _check_response(response: Response, folder: Path) -> None:
    """Refuse a redirection from https to http, a web page, and a file larger than the free disk space."""
    if response.is_redirect:
        target = response.headers["Location"]
        before, after = urlsplit(response.url).scheme, urlsplit(target).scheme
        if after not in {"", "http", "https"} or (before, after) == ("https", "http"):
            raise ValueError(f"redirected to '{target}', which is not safe to follow")
    elif response.ok:
        if response.headers.get("Content-Type", "").startswith("text/html"):
            raise ValueError("the server sent a web page in place of the file")
        needed, free = int(response.headers.get("Content-Length", 0)), shutil.disk_usage(folder).free
        if needed > free:
            raise DataError(
                f"CRACK_LIGHTNING_CACHE: '{folder}' has {free / 1e9:.1f} GB free and {needed / 1e9:.1f} GB "
                "are to come; make room there, or set it to a folder on another disk."
            )


def _is_transient(error: OSError) -> bool:
    """Return whether a retry may help: a broken connection, or an error of the server."""
    from requests import exceptions

    if isinstance(error, exceptions.HTTPError):
        return error.response is not None and error.response.status_code >= 500
    return isinstance(error, exceptions.ChunkedEncodingError)


def _reason(error: Exception) -> str:
    from requests import exceptions

    match error:
        case exceptions.HTTPError(response=response) if response is not None:
            return f"the server returned {response.status_code} {response.reason}"
        case exceptions.Timeout():
            return "the server timed out"
        case exceptions.ConnectionError():
            return f"no connection, is this machine online? {error}"
        case _:
            return str(error)


class _Bar:
    """Adapter of rich's progress bar to the methods that pooch calls."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._task = progress, progress.add_task("downloading", total=None)
        self.total = 0

    def update(self, advance: int) -> None:
        """Move on by some bytes."""
        self._progress.update(self._task, advance=advance, total=self.total or None)

    def reset(self) -> None:
        """Begin anew."""
        self._progress.reset(self._task)

    def close(self) -> None:
        """Do nothing."""
