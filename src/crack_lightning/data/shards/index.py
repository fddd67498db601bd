"""The index of a shard: place and size of each file in the tar, and the tiles' rows of the table."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from crack_lightning.data.columns import COLUMNS, REQUIRED
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

BLOCK_BYTES = 512
ROW_DIGITS = 9
MAX_FILE_BYTES = 2**30
"""Largest file in a shard, as of a picture."""
_MAX_TEXT_BYTES = 4096
_MAX_INDEX_BYTES_PER_BLOCK = 4096
"""Bytes of an index for each block of its tar: bounds what a stranger's index can allocate."""
_MIB = 2**20
_PLACES = ("name", "offset", "length")
_NOTE, _ROW, _COLUMN = "shard", "row", "column."
_AGAIN = "copy it again, or write it again with crack-lightning shards resume=<folder>"


@dataclass(frozen=True)
class ShardIndex:
    """Places of the files in a tar, and columns of its tiles.

    Attributes:
        name: Names of the M files in the tar, tiles and masks, ascending, bytes ``(M,)``.
        offset: Place of the first byte of each in the tar, int64 ``(M,)``.
        length: Size of each in bytes, int64 ``(M,)``.
        row: Row of each of the N tiles in the whole table, int64 ``(N,)``.
        columns: Columns of the tiles by name, each ``(N,)``; ``path`` and ``mask`` are names in the tar.
        tar_bytes: Size of the tar.
        plan: Digest of the tiles that the shard was to hold; see :mod:`crack_lightning.data.shards.plan`.
    """

    name: NDArray[np.bytes_]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]
    row: NDArray[np.int64]
    columns: Mapping[str, NDArray[Any]]
    tar_bytes: int
    plan: str

    def write(self, path: Path) -> None:
        """Write the index to a file; the caller makes it atomic."""
        from safetensors.numpy import save_file

        tensors: dict[str, NDArray[Any]] = {
            "name": _as_bytes(self.name),
            "offset": self.offset,
            "length": self.length,
            _ROW: self.row,
        }
        for name, column in self.columns.items():
            tensors[_COLUMN + name] = _as_bytes(encoded(column)) if column.dtype.kind == "U" else column
        save_file(
            {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()},
            path,
            metadata={_NOTE: json.dumps({"tar_bytes": self.tar_bytes, "plan": self.plan})},
        )

    @classmethod
    def read(cls, path: Path, *, with_columns: bool = True) -> Self:
        """Read and validate the index of the tar beside it.

        Args:
            path: The index, ``00000.index`` of ``00000.tar``.
            with_columns: Whether to read the columns, which places alone do not need.

        Raises:
            DataError: If the tar is missing or has another size, or the index is damaged, or names a place
                outside the tar or a path that leaves it.
        """
        tar = path.with_suffix(".tar")
        try:
            tar_bytes = tar.stat().st_size
            _require_small(path, tar_bytes=tar_bytes)
            index = cls._parse(path, with_columns=with_columns)
            if index.tar_bytes == tar_bytes:
                index.check_places()
                if with_columns:
                    index.check_columns()
                return index
        except OSError as error:
            raise _damaged(path, f"{error.filename}: {error.strerror}") from None
        except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
            raise _damaged(path, str(error)) from None
        raise DataError(
            f"data.root: '{tar}' has {tar_bytes:,} bytes, expected {index.tar_bytes:,} as in its index: it "
            f"is truncated or of other shards; {_AGAIN}."
        )

    @classmethod
    def _parse(cls, path: Path, *, with_columns: bool) -> Self:
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(path, framework="numpy") as file:
                note = json.loads((file.metadata() or {})[_NOTE])
                names = file.keys() if with_columns else (*_PLACES, _ROW)
                tensors = {name: file.get_tensor(name) for name in names}
        except SafetensorError as error:
            raise ValueError(str(error)) from None
        columns = {
            name.removeprefix(_COLUMN): _column(name.removeprefix(_COLUMN), tensor)
            for name, tensor in tensors.items()
            if name.startswith(_COLUMN)
        }
        return cls(
            name=_as_text(tensors["name"]),
            offset=_whole_numbers(tensors["offset"]),
            length=_whole_numbers(tensors["length"]),
            row=_whole_numbers(tensors[_ROW]),
            columns=columns,
            tar_bytes=int(note["tar_bytes"]),
            plan=str(note["plan"]),
        )

    def check_places(self) -> None:
        """Refuse names that leave the shard, and places outside the tar.

        Raises:
            ValueError: With the reason.
        """
        if not len(self.name) == len(self.offset) == len(self.length):
            raise ValueError(f"{len(self.name)} names, {len(self.offset)} places, {len(self.length)} sizes")
        inside = (self.offset >= BLOCK_BYTES) & (self.offset <= self.tar_bytes)
        inside &= (self.offset % BLOCK_BYTES == 0) & (self.length >= 0) & (self.length <= MAX_FILE_BYTES)
        inside &= self.length <= self.tar_bytes - self.offset
        if not inside.all():
            place = int(np.argmin(inside))
            raise ValueError(
                f"it places {_named(self.name[place])} at {self.offset[place]:,} with {self.length[place]:,} "
                f"bytes, in a tar of {self.tar_bytes:,}"
            )
        if (self.name[:-1] >= self.name[1:]).any():
            raise ValueError("its names are not in order, or one comes twice")
        _require_inside(self.name)

    def check_columns(self) -> None:
        """Refuse columns that contradict the places or one another.

        Raises:
            ValueError: With the reason.
        """
        sizes = {name: len(column) for name, column in self.columns.items()}
        if missing := {*REQUIRED, "name"} - sizes.keys():
            raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        if {*sizes.values()} != {len(self.row)}:
            raise ValueError(f"its columns differ in length: {sizes}, {len(self.row)} rows")
        infinite = [
            name
            for name, column in self.columns.items()
            if column.dtype.kind == "f" and np.isinf(column).any()
        ]
        if infinite:
            raise ValueError(f"{infinite[0]}: expected finite numbers or NaN")
        for column in ("path", "mask"):
            names = encoded(self.columns.get(column, np.array([], np.str_)))
            unknown = names[(names != b"") & ~np.isin(names, self.name)]
            if len(unknown):
                raise ValueError(f"it lists {_named(unknown[0])}, which is not in the tar")
        if len(self.row) and not 0 <= self.row.min() <= self.row.max() < 10**ROW_DIGITS:
            raise ValueError(f"rows from {self.row.min()} to {self.row.max()}")


def _require_small(path: Path, *, tar_bytes: int) -> None:
    if not path.is_file():  # opening a pipe would block
        raise FileNotFoundError(errno.ENOENT, "No such file", str(path))
    index_bytes = path.stat().st_size
    if index_bytes > _MIB + _MAX_INDEX_BYTES_PER_BLOCK * (tar_bytes // BLOCK_BYTES):
        raise ValueError(f"it has {index_bytes:,} bytes for a tar of {tar_bytes:,}")


def encoded(text: NDArray[np.str_]) -> NDArray[np.bytes_]:
    """Return text as UTF-8; undecodable bytes of file names are kept, as ``os.fsencode`` does."""
    return np.char.encode(text, "utf-8", "surrogateescape")


def _as_bytes(text: NDArray[np.bytes_]) -> NDArray[np.uint8]:
    """Return N texts as uint8 ``(N, W)``, padded with zeros."""
    width = max(1, text.dtype.itemsize)
    return np.frombuffer(text.astype(f"S{width}").tobytes(), np.uint8).reshape(len(text), width)


def _as_text(tensor: NDArray[Any]) -> NDArray[np.bytes_]:
    if tensor.dtype != np.uint8 or tensor.ndim != 2 or not 0 < tensor.shape[1] <= _MAX_TEXT_BYTES:
        raise ValueError(f"expected texts as bytes, got {tensor.dtype} {tensor.shape}")
    return np.frombuffer(tensor.tobytes(), f"S{tensor.shape[1]}")


def _whole_numbers(tensor: NDArray[Any]) -> NDArray[np.int64]:
    if tensor.dtype != np.int64 or tensor.ndim != 1:
        raise ValueError(f"expected whole numbers, got {tensor.dtype} {tensor.shape}")
    return tensor


def _column(name: str, tensor: NDArray[Any]) -> NDArray[Any]:
    if name not in COLUMNS:
        raise ValueError(f"no column '{name}' is known")
    if COLUMNS[name].dtype is np.str_:
        return np.char.decode(_as_text(tensor), "utf-8", "surrogateescape")
    if tensor.dtype != COLUMNS[name].dtype or tensor.ndim != 1:
        raise ValueError(
            f"{name}: expected {COLUMNS[name].dtype.__name__}, got {tensor.dtype} {tensor.shape}"
        )
    return tensor


def _require_inside(names: NDArray[np.bytes_]) -> None:
    """Refuse names without a row at the beginning, and those that leave the folder they are joined to."""
    zeros = (_as_bytes(names) == 0).sum(axis=1)
    outside = zeros != names.dtype.itemsize - np.char.str_len(names)  # some are not at the end
    for climbing in (b"\\", b"//", b"/../"):
        outside |= np.char.find(names, climbing) >= 0
    outside |= np.char.endswith(names, b"/..")
    row = names.astype(f"S{ROW_DIGITS}")
    outside |= ~np.char.isdigit(row) | (np.char.find(names, b"/") != ROW_DIGITS)
    if outside.any():
        raise ValueError(f"the name {_named(names[np.argmax(outside)])} leaves the shard")


def _named(name: bytes) -> str:
    return repr(name[:200].decode("utf-8", "backslashreplace"))


def _damaged(path: Path, reason: str) -> DataError:
    return DataError(f"data.root: cannot use the index '{path}' ({reason}); {_AGAIN}.")
