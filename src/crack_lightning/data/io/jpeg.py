"""JPEG decoding by libjpeg-turbo, with its warnings as errors."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import simplejpeg

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_PROGRESSIVE, _SCAN, _END = 0xC2, 0xDA, 0xD9
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_COEFFICIENTS = 64
_CMYK = 4
_DAMAGE = ("Corrupt JPEG data", "Premature end of JPEG file", "Inconsistent progression sequence")
_SURPLUS = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
_FEW, _FILL_BYTES = 2, 64


class DamagedJpegError(Exception):
    """A JPEG file with missing or corrupt bytes, by a warning of libjpeg."""


class JpegHeader(NamedTuple):
    """Frame header of a JPEG file.

    Attributes:
        height: Pixels.
        width: Pixels.
        components: Values a pixel: 1 grey, 3 YCbCr or RGB, 4 CMYK.
        progressive: Whether the coding is progressive, in several scans.
        has_metadata: Whether there is EXIF or XMP data, which may give an orientation.
    """

    height: int
    width: int
    components: int
    progressive: bool
    has_metadata: bool


def read_header(data: bytes) -> JpegHeader | None:
    """Read the frame header (ITU-T T.81, annex B); ``None`` if there is none."""
    place, metadata = 2, False
    while data.startswith(b"\xff\xd8") and place + 10 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if marker in _FRAMES:
            height, width, components = struct.unpack_from(">HHB", data, place + 5)
            return JpegHeader(height, width, components, marker == _PROGRESSIVE, metadata)
        if marker in (_SCAN, _END):
            return None
        if marker == 0xFF:  # a fill byte
            place += 1
            continue
        metadata |= marker == 0xE1
        place += 2 + length
    return None


def decode_jpeg(data: bytes, header: JpegHeader) -> NDArray[np.uint8] | None:
    """Decode a JPEG file to the pixels that Pillow returns, orientation not applied.

    Bytes after the end marker are ignored: phones store further images there. Up to two extraneous bytes
    before it, or up to 64 equal ones, are an encoder's padding and no damage.

    Args:
        data: The file.
        header: Its header.

    Returns:
        RGB values, uint8 ``(H, W, 3)``; ``None`` where Pillow has to decode them: a CMYK file, which is
        checked for damage here, and one that simplejpeg does not support, by unusual subsampling for example.

    Raises:
        DamagedJpegError: If bytes are missing or corrupt, as far as entropy decoding detects it.
    """
    colours = "CMYK" if header.components == _CMYK else "RGB"
    try:
        pixels = simplejpeg.decode_jpeg(data, colours)
    except ValueError as error:
        if _is_damage(str(error), data):
            raise DamagedJpegError(str(error).removeprefix("Corrupt JPEG data: ")) from None
        return None
    if header.progressive and not _has_all_scans(data, header.components):
        raise DamagedJpegError("truncated between two scans")
    return None if colours == "CMYK" else np.asarray(pixels, np.uint8)


def _is_damage(message: str, data: bytes) -> bool:
    """Return whether a libjpeg message reports damage; fatal errors are left to Pillow."""
    surplus = _SURPLUS.fullmatch(message)
    if surplus is None:
        return message.startswith(_DAMAGE)
    number = int(surplus[1])
    end = data.rfind(b"\xff\xd9")
    return number > _FEW and (number > _FILL_BYTES or len(set(data[end - number : end])) > 1)


def _has_all_scans(data: bytes, components: int) -> bool:
    """Return whether all coefficients have full precision; libjpeg accepts an end between two scans."""
    complete: set[tuple[int, int]] = set()
    place = 2
    while (marker := _MARKER.search(data, place)) and marker[0][1] != _END:
        place = marker.end()
        if marker[0][1] == _SCAN:
            spectrum = place + 3 + 2 * data[place + 2]
            first, last, bits = data[spectrum : spectrum + 3]
            if bits & 15 == 0:
                scanned = data[place + 3 : spectrum : 2]
                complete.update((component, k) for component in scanned for k in range(first, last + 1))
        place += int.from_bytes(data[place : place + 2])
    return len(complete) == _COEFFICIENTS * components
