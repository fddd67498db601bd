"""Pictures as bytes, for the tests that decode them."""

from __future__ import annotations

import io
import struct
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from crack_lightning.data.io.masks import MaskRules

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

QUADRANTS = np.array([[[200, 40, 40], [40, 200, 40]], [[40, 40, 200], [220, 220, 220]]], dtype=np.uint8)


def write_images(root: Path, *names: str) -> Path:
    """Write a black image of 4 x 4 pixels to each relative path, and return the root."""
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(path, "PNG")
    return root


def picture(height: int = 32, width: int = 48) -> Image.Image:
    """Four flat quadrants, so that any turn or mirror shows."""
    return Image.fromarray(QUADRANTS.repeat(height // 2, 0).repeat(width // 2, 1))


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def jpeg(**options: Any) -> bytes:
    return encoded(picture(), "JPEG", quality=95, subsampling=0, **options)


def png(width: int, height: int, rows: bytes, *, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG written by hand from its specification; rows begin with their filter byte."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def save(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def saved_as_jpeg(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return an image as it is after it was saved."""
    data = cv2.imencode(".jpg", np.ascontiguousarray(image[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, 92])[1]
    read = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
    assert read is not None
    return np.asarray(read, np.uint8)


def mask_rules(**changes: Any) -> MaskRules:
    """Rules for small photos whose cracks are thin."""
    return MaskRules(**{"tile_px": 64, "least_crack_px": 20} | changes)
