"""Atomic writes: a file is written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path that replaces ``path`` if the block succeeds, and is removed otherwise.

    Args:
        path: The file to write; its folder is created.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o666 & ~_umask())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def open_text(path: Path, mode: str = "w") -> TextIO:
    r"""Open a text file for writing: UTF-8, line ends unchanged.

    Lone surrogates, as in file names of another encoding, are written as an escape such as ``\udcfc``, which
    JSON reads back.
    """
    return cast("TextIO", path.open(mode, encoding="utf-8", errors="backslashreplace", newline=""))


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically; see :func:`open_text`."""
    with atomic_write(path) as temporary, open_text(temporary) as file:
        file.write(text)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
