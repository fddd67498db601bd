"""One picture file to upright RGB, or a reason why not."""

from __future__ import annotations

import io
import os
import stat
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Self

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from crack_lightning.data.formats import RAW_ADVICE, describe_content, suffix_problem
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_PIXELS = 89_478_485
"""Most pixels of one picture: where Pillow begins to suspect a decompression bomb."""

_MAX_BYTES = 2**30
_PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
_DNG_VERSION_TAG = 50706
_JPEG_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended, progressive
_JPEG_SCANS = (0xDA, 0xD9)


class UnreadableImageError(DataError):
    """A file that does not decode to a picture.

    Attributes:
        reason: What is wrong with it and what to do, without the file's name.
    """

    reason: str = ""

    @classmethod
    def about(cls, path: Path, reason: str) -> Self:
        """Compose the sentence; one argument alone makes the error, so that it survives worker processes."""
        name = os.fsencode(path).decode("utf-8", "backslashreplace")
        error = cls(
            f"data.root: cannot read '{name}': {reason}. "
            "Mend or remove the file, or set data.on_unreadable=skip."
        )
        error.reason = reason
        return error


class _BadPictureError(Exception):
    """A reason on its way to the file's name."""


def decode_image(path: Path) -> NDArray[np.uint8]:
    """Decode a picture file as upright RGB.

    The content decides about the format, within those of ``IMAGE_SUFFIXES``. EXIF rotation is applied; 16
    bits are scaled by their full range; transparent parts show white, as on a page; of several pictures in
    one file the first is taken; colour profiles are ignored.

    Args:
        path: A file whose suffix is one of ``IMAGE_SUFFIXES``, in any case.

    Returns:
        RGB values, uint8 ``(H, W, 3)``.

    Raises:
        UnreadableImageError: If the file does not decode completely; it names the file and the reason.
    """
    try:
        data = _read(path)
        fast = _decode_plain_jpeg(data)
        return np.array(_decode(data)) if fast is None else fast
    except _BadPictureError as error:
        raise UnreadableImageError.about(path, str(error)) from None


def upright_rgb(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Return an image that Pillow has opened or made as :func:`decode_image` returns a file.

    Args:
        image: Of any mode but those of 32 bits a value; it is not changed.
        name: What the error calls it.

    Raises:
        UnreadableImageError: If it cannot be loaded, or not be given as RGB.
    """
    try:
        _check_header(image)
        return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    except _BadPictureError as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - decoders raise anything on damaged bytes
        reason = _damage(error)
    raise UnreadableImageError.about(Path(name), reason) from None


def picture_header(path: Path) -> tuple[int, int, str]:
    """Return width and height in pixels and Pillow's pixel format of a picture that decodes."""
    with Image.open(path, formats=_PILLOW_FORMATS) as image:
        return *image.size, image.mode


def _read(path: Path) -> bytes:
    problem = suffix_problem(path)
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            problem = "a folder, not a file"
        elif not stat.S_ISREG(status.st_mode):
            problem = "not a regular file"
        elif status.st_size > _MAX_BYTES:
            problem = f"{status.st_size:,} bytes, expected at most {_MAX_BYTES:,}; cut it into tiles first"
        if problem is None:
            return path.read_bytes()
    except FileNotFoundError:
        problem = "a broken link" if path.is_symlink() else "no such file"
    except PermissionError:
        problem = "no permission to read it"
    except (OSError, ValueError) as error:  # ValueError for a name that holds a null byte
        problem = str(getattr(error, "strerror", None) or error)
    raise _BadPictureError(problem)


def _decode_plain_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """Decode what OpenCV decodes to Pillow's very pixels in less than half the time; else ``None``.

    That is a JPEG file of 8 bits, grey or YCbCr, with its end and without EXIF. What is wrong with another
    one, Pillow can say.
    """
    if not _is_plain_jpeg(data):
        return None
    try:
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
    except cv2.error:
        return None
    return None if pixels is None else np.asarray(pixels, np.uint8)


def _is_plain_jpeg(data: bytes) -> bool:
    """Walk the markers up to the frame header (ITU-T T.81, annex B)."""
    if not (data.startswith(b"\xff\xd8\xff") and data.endswith(b"\xff\xd9")):
        return False
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        if marker in _JPEG_FRAMES:
            bits, height, width, components = struct.unpack_from(">BHHB", data, place + 4)
            return bits == 8 and components in (1, 3) and 0 < height * width <= MAX_PIXELS
        if marker in _JPEG_SCANS or data[place + 4 : place + 8] == b"Exif":
            return False
        place += 2 + length
    return False


def _decode(data: bytes) -> Image.Image:
    try:
        with Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS) as image:
            _check_header(image)
            image.load()
            ImageOps.exif_transpose(image, in_place=True)
            return _to_rgb(image)
    except _BadPictureError:
        raise
    except UnidentifiedImageError:
        raise _BadPictureError(describe_content(data)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise _BadPictureError(f"over {MAX_PIXELS:,} pixels; cut it into tiles first") from None
    except Exception as error:  # noqa: BLE001 - decoders raise anything on damaged bytes
        raise _BadPictureError(_damage(error)) from None


def _check_header(image: Image.Image) -> None:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise _BadPictureError(f"{width} x {height} pixels, over {MAX_PIXELS:,}; cut it into tiles first")
    if _DNG_VERSION_TAG in getattr(image, "tag_v2", ()):
        raise _BadPictureError(RAW_ADVICE)
    if image.mode in {"I", "F"}:
        raise _BadPictureError("32 bits a value, whose white is unknown; save it with 8 or 16 bits")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16"):
        wide = np.asarray(image, dtype=np.uint16).astype(np.uint32)
        return Image.fromarray(((wide + 128) // 257).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        paper = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(paper, image.convert("RGBA")).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _damage(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return "truncated; copy or download it again" if "truncated" in text.lower() else f"damaged ({text})"
