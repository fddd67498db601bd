"""Rows of bytes in a temporary file, read by index as an array is, so that memory holds a part of them."""

from __future__ import annotations

import math
import mmap
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class RowsFile:
    """A temporary file of N rows of ``row_bytes`` bytes."""

    file: IO[bytes]
    number: int
    row_bytes: int

    @classmethod
    @contextmanager
    def written(cls, chunks: Iterable[bytes], *, row_bytes: int, folder: Path) -> Iterator[RowsFile]:
        """Write rows to a temporary file in a folder, removed at the end of the block.

        Raises:
            OSError: If they cannot be written.
        """
        with tempfile.TemporaryFile(dir=folder) as file:
            file.writelines(chunks)
            file.flush()
            yield cls(file, file.tell() // row_bytes, row_bytes)

    def columns(self, first: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return some bytes of each row, from ``first`` on, uint8 ``(N, *shape)``; may be indexed by rows."""
        return cast("NDArray[np.uint8]", _Columns(self, slice(first, first + math.prod(shape)), shape))


@dataclass(frozen=True)
class _Columns:
    """Array-like view that selects rows only, through a new memory map each time.

    A lasting map would keep in memory all that was read of it.
    """

    rows: RowsFile
    part: slice
    row_shape: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows.number, *self.row_shape)

    def __len__(self) -> int:
        return self.rows.number

    def __getitem__(self, selected: Any) -> NDArray[np.uint8]:
        shape = self.rows.number, self.rows.row_bytes
        mapped = mmap.mmap(self.rows.file.fileno(), math.prod(shape), access=mmap.ACCESS_READ)
        some = np.frombuffer(mapped, np.uint8).reshape(shape)[selected, self.part]
        return np.asarray(some.reshape(*some.shape[:-1], *self.row_shape), np.uint8)
