"""Reading of single files out of shards, by a path such as ``train/00000.tar/000000123/crack/1.jpg``."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np

from crack_lightning.data.shards.index import BLOCK_BYTES, ROW_DIGITS, ShardIndex

TAR = ".tar"
_OPEN_SHARDS = 512
"""Shards that stay open in a process; soft limits of open files are 1,024 and more."""
_SIZE = slice(124, 135)
"""Octal size in a tar header (POSIX.1-1988, ustar)."""


class NoSuchMemberError(ValueError):
    """A path inside a tar that its index does not hold, or that is not where the index places it."""


class _OpenShard:
    """A tar that stays open, with the names, places and sizes of its files."""

    def __init__(self, tar: Path) -> None:
        index = ShardIndex.read(tar.with_suffix(".index"), with_columns=False)
        self.name, self.offset, self.length = index.name, index.offset, index.length
        self._file = os.open(tar, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        self._lock = Lock()

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)

    def read(self, name: bytes) -> bytes:
        """Return the content of a file in the tar."""
        same_type = np.array(name, self.name.dtype)  # for another, NumPy would convert all names
        place = int(np.searchsorted(self.name, same_type))
        if place == len(self.name) or self.name[place] != name:
            raise NoSuchMemberError("its shard's index does not list it")
        length = int(self.length[place])
        data = self._read_at(int(self.offset[place]) - BLOCK_BYTES, BLOCK_BYTES + length)
        header = data[:BLOCK_BYTES]
        if header[: ROW_DIGITS + 1] != name[: ROW_DIGITS + 1] or _octal(header[_SIZE]) != length:
            raise NoSuchMemberError("its shard does not hold it where the index places it")
        if len(data) != BLOCK_BYTES + length:
            raise NoSuchMemberError("its shard ends before its last byte")
        return data[BLOCK_BYTES:]

    def _read_at(self, offset: int, length: int) -> bytes:
        if hasattr(os, "pread"):
            return os.pread(self._file, length, offset)
        with self._lock:  # Windows
            os.lseek(self._file, offset, os.SEEK_SET)
            return os.read(self._file, length)


def read_member(path: Path) -> bytes | None:
    """Return the content of a file in a shard, ``None`` for a path that leads through no tar.

    Each process keeps shards open, so that a file costs one read.

    Raises:
        DataError: If the shard's index cannot be used.
        NoSuchMemberError: If the shard does not hold the file.
        OSError: If it cannot be read.
    """
    parts = os.fspath(path).replace(os.sep, "/").split(f"{TAR}/")
    for number in range(1, len(parts)):
        tar = f"{TAR}/".join(parts[:number]) + TAR
        if os.path.isfile(tar):  # noqa: PTH113  # once a tile
            return _opened(tar).read(os.fsencode(f"{TAR}/".join(parts[number:])))
    return None


@lru_cache(maxsize=_OPEN_SHARDS)
def _opened(tar: str) -> _OpenShard:
    return _OpenShard(Path(tar))


def forget_shards() -> None:
    """Close all shards, whose files may have been replaced."""
    _opened.cache_clear()


def _octal(field: bytes) -> int | None:
    try:
        return int(field, 8)
    except ValueError:
        return None
