"""Files that a stranger may have written: within their folder, of bounded size, read as plain data."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_TEXT_BYTES = 64 * 1024**2
_WRITTEN_IN_PLACE = (".lock", "console.log", "run.log", "sweep.jsonl")
"""Files of a run or a sweep that are appended to; all others are replaced as a whole."""


def require_plain_folder(folder: Path, *, key: str) -> None:
    """Refuse a folder in which a link or a device leads what is written there to another place.

    Args:
        folder: A run's or a sweep's, which is about to be written in; may be a link itself.
        key: The configuration's key, for the error.

    Raises:
        DataError: With the first link, device or pipe below the folder, or file that is appended to and has
            another name elsewhere.
    """
    try:
        for entry in _entries(folder):
            if what := _leads_elsewhere(entry):
                raise DataError(
                    f"{key}: expected plain files and folders in '{folder}', got the {what} '{entry.path}', "
                    "through which would be written elsewhere; copy the folder with its contents "
                    "(cp -rL) and give the copy, or remove it."
                )
    except OSError as error:
        raise DataError(f"{key}: cannot read '{folder}' ({error}); give another folder.") from None


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                yield entry
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)


def _leads_elsewhere(entry: os.DirEntry[str]) -> str | None:
    if entry.is_symlink():
        return "link"
    if entry.is_dir(follow_symlinks=False):
        return None
    if not entry.is_file(follow_symlinks=False):
        return "special file"
    shared = entry.name in _WRITTEN_IN_PLACE and entry.stat(follow_symlinks=False).st_nlink > 1
    return "hard link" if shared else None


def read_text(path: Path, *, at_most: int = MAX_TEXT_BYTES) -> str:
    """Read a UTF-8 file that is no device, no pipe and no larger than expected.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is no regular file, too large, or not UTF-8.
    """
    with open(path, "rb", opener=_without_waiting) as file:  # Path.open takes no opener
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if status.st_size > at_most:
            raise ValueError(f"it has {status.st_size:,} bytes, expected at most {at_most:,}")
        return file.read(at_most).decode("utf-8")


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; a pipe without a writer would otherwise be waited for."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is no such file, or has texts that cannot be written again.
    """
    try:
        found = json.loads(read_text(path))
        json.dumps(found, ensure_ascii=False).encode()  # a lone surrogate is no UTF-8
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError(f"expected a JSON object, got a {type(found).__name__}")  # noqa: TRY004
    return found
