"""Untrusted files: confined to their folder, of bounded size, read as plain data."""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_TEXT_BYTES = 64 * 1024**2
MAX_NUMBER = 1e15
NUMBER = "a number"
"""Shape of a finite number of at most ``MAX_NUMBER``, which can be computed with and plotted."""
COUNT = "a whole number from 0"
"""Shape of a count of at most ``MAX_NUMBER``."""
_WRITTEN_IN_PLACE = (".lock", "console.log", "run.log", "sweep.jsonl", "predictions.csv", "tiles.csv")
"""Files of a run or a sweep that are appended to; all others are replaced as a whole."""


def require_plain_folder(folder: Path, *, key: str) -> None:
    """Refuse a folder in which a link or a device would redirect writes to another place.

    Args:
        folder: Folder of a run or a sweep to write to; may be a link itself.
        key: The configuration's key, for the error.

    Raises:
        DataError: With the first link, device or pipe below the folder, or the first hard link among the
            files that are appended to.
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
    """Read a UTF-8 file; refuse devices, pipes and files larger than ``at_most`` bytes.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is no regular file, too large, or not UTF-8.
    """
    with open(path, "rb", opener=_open_nonblocking) as file:  # Path.open takes no opener
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no regular file")
        if status.st_size > at_most:
            raise ValueError(f"it has {status.st_size:,} bytes, expected at most {at_most:,}")
        return file.read(at_most).decode("utf-8")


def _open_nonblocking(path: str, flags: int) -> int:
    """Open a file without blocking on a pipe that has no writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def read_json(path: Path) -> dict[str, Any]:
    """Read a file that holds one JSON object.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is no such file, or has strings that are no valid UTF-8.
    """
    try:
        contents = json.loads(read_text(path))
        json.dumps(contents, ensure_ascii=False).encode()  # a lone surrogate is no UTF-8
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(contents, dict):
        raise ValueError(f"expected a JSON object, got a {type(contents).__name__}")  # noqa: TRY004
    return contents


def require_shape(value: object, shape: object, *, name: str = "it") -> None:
    """Refuse a JSON value that lacks the expected types.

    >>> require_shape({"a": [1, 2], "more": None}, {"a": [NUMBER]})
    >>> require_shape({"a": {"x": 1, "y": "2"}}, {"a": {"*": NUMBER}})
    Traceback (most recent call last):
        ...
    ValueError: a.y: expected a number, got '2'

    Args:
        value: Result of ``json.loads``.
        shape: ``NUMBER``, ``COUNT`` or a type; a tuple of alternative shapes; a list with the shape of each
            item; a mapping with the shape of each required key, or of all keys as ``"*"``.
        name: Name of the value, for the error.

    Raises:
        ValueError: With the first name whose value has another shape.
    """
    match shape:
        case tuple():
            if not any(_fits(value, choice, name) for choice in shape):
                require_shape(value, shape[0], name=name)
        case dict() if isinstance(value, dict):
            prefix = "" if name == "it" else f"{name}."
            for key in value if "*" in shape else shape:
                require_shape(value.get(key), shape.get("*", shape.get(key)), name=f"{prefix}{key}")
        case list() if isinstance(value, list):
            for number, item in enumerate(value):
                require_shape(item, shape[0], name=f"{name}[{number}]")
        case _ if not _is_plain(value, shape):
            expected = shape if isinstance(shape, str) else getattr(shape, "__name__", type(shape).__name__)
            raise ValueError(f"{name}: expected {expected}, got {repr(value)[:80]}")


def _fits(value: object, shape: object, name: str) -> bool:
    try:
        require_shape(value, shape, name=name)
    except ValueError:
        return False
    return True


def _is_plain(value: object, shape: object) -> bool:
    if shape is None:
        return value is None
    if isinstance(shape, type):
        return type(value) is shape
    if isinstance(value, bool) or not isinstance(value, int if shape == COUNT else int | float):
        return False
    return isinstance(shape, str) and (0 if shape == COUNT else -MAX_NUMBER) <= value <= MAX_NUMBER
