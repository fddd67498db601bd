"""Labels of a MATLAB file (MAT-File Format, level 5); SciPy's reader can crash on a damaged one."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.io.decoding import MAX_PIXELS, UnreadableContentError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MAX_MATLAB_BYTES = 4 * MAX_PIXELS
"""Size of 16-bit labels and boundaries of the largest image."""
_HEADER_BYTES, _COMPRESSED, _MATRIX, _STRUCT = 128, 15, 14, 2
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}


def read_segmentation(data: bytes) -> NDArray[Any]:
    """Return ``groundTruth.Segmentation`` of a MATLAB file, numbers ``(H, W)``.

    Raises:
        UnreadableContentError: If the file has none, is of another version, or swells beyond the limit.
        Exception: Any other, if the file is damaged.
    """
    if data.startswith(b"MATLAB 7.3"):
        raise UnreadableContentError("MATLAB 7.3, which is HDF5; save it with save(..., '-v7')")
    order = {b"IM": "<", b"MI": ">"}.get(data[126:128])
    if order is None:
        raise UnreadableContentError("no MATLAB file of version 5 to 7; save it with save(..., '-v7')")
    for kind, matrix in _unpacked(data, order):
        parts = list(_elements(matrix, order)) if kind == _MATRIX else []
        if len(parts) > 2 and bytes(parts[2][1]) == b"groundTruth":
            return _field(parts, b"Segmentation", order)
    raise UnreadableContentError("no groundTruth.Segmentation in it")


def _unpacked(data: bytes, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield the elements of a file, decompressed, up to ``MAX_MATLAB_BYTES`` in total."""
    left = MAX_MATLAB_BYTES
    for kind, content in _elements(memoryview(data)[_HEADER_BYTES:], order):
        if kind != _COMPRESSED:
            yield kind, content
            continue
        whole = zlib.decompressobj().decompress(content, left)
        left -= len(whole)
        if left <= 0:
            raise UnreadableContentError(f"arrays of over {MAX_MATLAB_BYTES:,} bytes")
        yield from _elements(memoryview(whole), order)


def _field(parts: list[tuple[int, memoryview]], name: bytes, order: str) -> NDArray[Any]:
    """Return a field of a structure, whose parts are: flags, size, name, length of names, names, fields."""
    sizes, length = bytes(parts[1][1]), struct.unpack(f"{order}i", parts[3][1])[0]
    if _class(parts, order) != _STRUCT or sizes != struct.pack(f"{order}ii", 1, 1):
        raise UnreadableContentError("groundTruth is no structure of 1 x 1")
    names = bytes(parts[4][1])
    fields = [names[place : place + length].split(b"\0")[0] for place in range(0, len(names), length)]
    _, size, _, (kind, numbers), *_ = _elements(parts[5 + fields.index(name)][1], order)
    rows, columns = struct.unpack(f"{order}ii", size[1])
    return np.frombuffer(numbers, f"{order}{_STORED[kind]}").reshape(rows, columns, order="F")


def _class(parts: list[tuple[int, memoryview]], order: str) -> int:
    return int(struct.unpack_from(f"{order}I", parts[0][1])[0] & 0xFF)


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Yield type and content of consecutive elements, each padded to 8 bytes."""
    place = 0
    while place + 8 <= len(data):
        kind, size = struct.unpack_from(f"{order}II", data, place)
        if kind >> 16:  # up to 4 bytes within the tag
            yield kind & 0xFFFF, data[place + 4 : place + 4 + min(kind >> 16, 4)]
            place += 8
            continue
        yield kind, data[place + 8 : place + 8 + size]
        place += 8 + size + (0 if kind == _COMPRESSED else -size % 8)
