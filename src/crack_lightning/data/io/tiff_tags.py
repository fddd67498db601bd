"""Size of a TIFF's tags: each may refer to the whole file, and Pillow reads every one."""

from __future__ import annotations

import struct
from typing import NamedTuple

_UNIT_BYTES = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes a value by type of tag; 1 for the others."""


class _Layout(NamedTuple):
    """``struct`` formats of an offset, tag count and tag; ``place`` of the first directory's offset."""

    offset: str
    number: str
    tag: str
    place: int


_CLASSIC, _BIG = _Layout("I", "H", "HHI4x", 4), _Layout("Q", "Q", "HHQ8x", 8)


def tag_bytes(data: bytes) -> int:
    """Return the total size of the tags of a TIFF's first image in bytes; 0 for any other file.

    Args:
        data: A file, or an EXIF block without its ``Exif`` header.
    """
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None or len(data) < 16:
        return 0
    layout = _BIG if struct.unpack_from(f"{order}H", data, 2)[0] == 43 else _CLASSIC
    try:
        (place,) = struct.unpack_from(order + layout.offset, data, layout.place)
        (number,) = struct.unpack_from(order + layout.number, data, place)
        place += struct.calcsize(layout.number)
        size = struct.calcsize(order + layout.tag)
        tags = (
            struct.unpack_from(order + layout.tag, data, place + size * each)
            for each in range(min(number, (len(data) - place) // size))
        )
        return sum(_UNIT_BYTES.get(kind, 1) * count for _, kind, count in tags)
    except struct.error:
        return 0
