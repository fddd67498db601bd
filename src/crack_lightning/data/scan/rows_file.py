"""Rows of bytes in a temporary file, read by index as an array is, so that memory holds a part of them."""

from __future__ import annotations

import math
import mmap
import tempfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, cast

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True)
class RowsFile:
    """A temporary file of N rows of ``row_bytes`` bytes; it is removed with the last reference to it."""

    file: IO[bytes]
    number: int
    row_bytes: int

    @classmethod
    def write(cls, chunks: Iterable[bytes], *, row_bytes: int, folder: Path) -> RowsFile:
        """Write rows into a folder's file system.

        Raises:
            OSError: If they cannot be written.
        """
        file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115
        file.writelines(chunks)
        file.flush()
        return cls(file, file.tell() // row_bytes, row_bytes)

    def columns(self, first: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return some bytes of each row, from ``first`` on, uint8 ``(N, *shape)``; may be indexed by rows."""
        return cast("NDArray[np.uint8]", _Columns(self, slice(first, first + math.prod(shape)), shape))


@dataclass(frozen=True)
class _Columns:
    """What an array has of which rows alone are selected, and each time mapped anew.

    A mapping that stays would hold in memory whatever was read of it.
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
        return some.reshape(*some.shape[:-1], *self.row_shape)
