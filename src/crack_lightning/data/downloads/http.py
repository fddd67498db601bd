"""Resumable download of one file over HTTP, verified by its digest and moved into place when complete."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from typing import TYPE_CHECKING

from filelock import FileLock

from crack_lightning.data.downloads.archive import byte_bar, wrap_disk_errors
from crack_lightning.data.downloads.http_request import (
    BrokenTransferError,
    FetchRefusedError,
    open_url,
    read_chunks,
)
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.run_folder import write_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.data.downloads.http_request import Response

_PAUSES_S = (0.5, 1.0, 2.0)
"""Pauses between consecutive attempts without progress."""


def fetch(
    url: str, destination: Path, *, sha256: str | None, page: str, show_progress: bool, timeout_s: float = 10
) -> Path:
    """Fetch ``url`` into ``destination``; a broken or killed fetch resumes from its ``.part`` file.

    Args:
        url: ``http`` or ``https``.
        destination: The file to write; its folder is created. A file with the right digest is kept.
        sha256: Hex digest of the whole file; ``None`` where it is not known.
        page: Page from which the file can be downloaded manually, for errors.
        show_progress: Whether to draw a progress bar on standard error.
        timeout_s: Seconds for the first response, and for each further chunk.

    Returns:
        ``destination``.

    Raises:
        DataError: If the file cannot be fetched, has another digest, or the disk is full.
    """
    with wrap_disk_errors(destination.parent):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(destination.parent / f".{destination.name}.lock"):
            if destination.is_file() and sha256 in {None, _digest(destination)}:
                return destination
            part = _Part(destination, url)
            try:
                _transfer(part, show_progress=show_progress, timeout_s=timeout_s)
            except (BrokenTransferError, FetchRefusedError) as error:
                raise DataError(_sentence(url, str(error), page)) from error
            _move_into_place(part, destination, sha256=sha256, page=page)
    return destination


class _Part:
    """The ``.part`` file of a fetch, with a JSON file of its URL and version."""

    def __init__(self, destination: Path, url: str) -> None:
        self.url = url
        self.path = destination.with_name(f"{destination.name}.part")
        self._note = destination.with_name(f"{destination.name}.part.json")
        if self.path.exists() and self._read_note().get("url") != url:
            self.remove()

    def size(self) -> int:
        return self.path.stat().st_size if self.path.exists() else 0

    def version(self) -> str | None:
        """Return the ETag or date to resume by; ``None`` if only a restart is safe."""
        return self._read_note().get("version") if self.size() else None

    def begin(self, version: str | None) -> None:
        self.remove()
        write_text(self._note, json.dumps({"url": self.url, "version": version}))

    def remove(self) -> None:
        self.path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _read_note(self) -> dict[str, str | None]:
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return note if isinstance(note, dict) else {}


def _transfer(part: _Part, *, show_progress: bool, timeout_s: float) -> None:
    """Complete ``part`` over as many connections as make progress."""
    failures = 0
    with byte_bar(show_progress=show_progress) as bar:
        task = bar.add_task("downloading", total=None)

        def report(total: int | None) -> None:
            bar.update(task, completed=part.size(), total=total)

        while True:
            before = part.size()
            try:
                _one_connection(part, timeout_s=timeout_s, report=report)
            except BrokenTransferError:
                failures = 0 if part.size() > before else failures + 1
                if failures > len(_PAUSES_S):
                    raise
                time.sleep(_PAUSES_S[max(failures - 1, 0)])
            else:
                return


def _one_connection(part: _Part, *, timeout_s: float, report: Callable[[int | None], None]) -> None:
    version = part.version()
    with open_url(
        part.url, start=part.size() if version else 0, version=version, timeout_s=timeout_s
    ) as answer:
        if answer.complete:
            return
        if answer.start == 0:
            part.begin(answer.version)
        elif answer.start != part.size() or answer.version not in {version, None}:
            part.remove()
            raise BrokenTransferError("the file changed on the server meanwhile")
        _check_room(part, answer)
        with part.path.open("ab") as file:
            for chunk in read_chunks(answer):
                file.write(chunk)
                file.flush()
                report(answer.total)
    if answer.total is not None and part.size() != answer.total:
        raise BrokenTransferError(f"the connection broke after {part.size()} of {answer.total} bytes")


def _check_room(part: _Part, answer: Response) -> None:
    free = shutil.disk_usage(part.path.parent).free
    needed = (answer.total or 0) - part.size()
    if needed > free:
        raise DataError(
            f"CRACK_LIGHTNING_CACHE: '{part.path.parent}' has {free / 1e9:.1f} GB free and "
            f"{needed / 1e9:.1f} GB are to come; make room there, or set it to a folder on another disk."
        )


def _move_into_place(part: _Part, destination: Path, *, sha256: str | None, page: str) -> None:
    got = _digest(part.path) if sha256 else None
    if got != sha256:
        part.remove()
        raise DataError(
            _sentence(part.url, f"its SHA-256 is {got}, not {sha256}; the file was removed", page)
        )
    with part.path.open("rb") as file:
        os.fsync(file.fileno())
    part.path.replace(destination)
    part.remove()


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sentence(url: str, reason: str, page: str) -> str:
    return (
        f"data.download: cannot fetch '{url}' ({reason}); get the file at {page} with a browser, then set "
        "data.archive=<that file>, or unpack it and set data.root=<the folder that you filled>."
    )
