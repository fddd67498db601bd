"""Decoding of one image file to upright RGB."""

from __future__ import annotations

import errno
import io
import os
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Self

import numpy as np
from PIL import Image, UnidentifiedImageError

from crack_lightning.data.io.formats import PILLOW_FORMATS, RAW_ADVICE, describe_content, suffix_problem
from crack_lightning.data.io.jpeg import DamagedJpegError, decode_jpeg, read_header
from crack_lightning.data.io.orientation import orientation_in, orientation_of, turn_upright
from crack_lightning.data.io.tiff_tags import tag_bytes
from crack_lightning.data.shards.members import NoSuchMemberError, read_member
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

DECODING_VERSION = 2
"""Increment whenever the accepted files or their pixels change; it invalidates the cache."""

MAX_PIXELS = 89_478_485
"""Largest number of pixels of an image: Pillow's limit for a decompression bomb."""

NO_FILE, BROKEN_LINK = "no such file", "a broken link"
"""Reasons of an error for a path without a file."""

_MAX_BYTES = 2**30
_LASTING = (errno.ELOOP, errno.ENAMETOOLONG, errno.ENOTDIR)
_DNG_VERSION_TAG = 50706
_JPEG_MODES = {1: "L", 3: "RGB"}


class UnreadableImageError(DataError):
    """A file that does not decode to a picture.

    Attributes:
        reason: The error and the next step, without the file's name.
        of_content: Whether the failure is permanent (bytes or name) rather than one of access.
    """

    reason: str = ""
    of_content: bool = True

    @classmethod
    def about(cls, path: Path, problem: UnreadableContentError | str) -> Self:
        """Build the error for a file; the constructor takes the message alone, so that the error pickles."""
        name = os.fsencode(path).decode("utf-8", "backslashreplace")
        hint = "Repair or remove the file, or set data.on_unreadable=skip."
        if isinstance(problem, FailedAccessError):
            hint = "Restore access to it and run again, or set data.on_unreadable=skip."
        error = cls(f"data.root: cannot read '{name}': {problem}. {hint}")
        error.reason = str(problem)
        error.of_content = not isinstance(problem, FailedAccessError)
        return error


class UnreadableContentError(Exception):
    """A reason why content is not read; the caller adds the file's name."""


class FailedAccessError(UnreadableContentError):
    """A possibly transient failure of disk, network, memory or permissions."""


def decode_image(path: Path) -> NDArray[np.uint8]:
    """Decode a picture file as upright RGB.

    The format is detected from the content and must be one of ``PILLOW_FORMATS``. The EXIF orientation is
    applied, else that of XMP, as Pillow does; 16-bit values are scaled by their full range; transparent parts
    are composited on white; of several images in a file the first is read; colour profiles are ignored.

    Args:
        path: A file whose suffix is one of ``IMAGE_SUFFIXES``, in any case.

    Returns:
        RGB values, uint8 ``(H, W, 3)``.

    Raises:
        UnreadableImageError: If the file does not decode completely and without a decoder's warning; it names
            the file and the reason.
    """
    try:
        return decode_content(_read_picture(path))
    except UnreadableContentError as error:
        raise UnreadableImageError.about(path, error) from None


def decode_content(data: bytes) -> NDArray[np.uint8]:
    """Decode the bytes of a picture file as :func:`decode_image` does.

    Raises:
        UnreadableContentError: If they do not decode.
    """
    with as_content_error(data):
        fast = _decode_jpeg(data)
        return _decode(data) if fast is None else fast


def upright_rgb(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Convert a Pillow image to upright RGB, uint8 ``(H, W, 3)``, as :func:`decode_image` does a file.

    Args:
        image: Any mode but ``I`` and ``F`` (32 bits a value); not changed.
        name: Name of the image, for the error.

    Raises:
        UnreadableImageError: If it cannot be loaded or converted to RGB.
    """
    try:
        with as_content_error(b""):
            return _upright(image)
    except UnreadableContentError as error:
        raise UnreadableImageError.about(Path(name), error) from None


def picture_header(file: Path | BinaryIO) -> tuple[int, int, str]:
    """Return width and height in pixels as stored, and Pillow's mode, of an image file."""
    member = read_member(file) if isinstance(file, Path) else None
    with Image.open(file if member is None else io.BytesIO(member), formats=PILLOW_FORMATS) as image:
        return *image.size, image.mode


def content_header(data: bytes) -> tuple[int, int, str]:
    """Return the :func:`picture_header` of the bytes of a file that decodes."""
    header = read_header(data)
    if header is not None and header.components in _JPEG_MODES:
        return header.width, header.height, _JPEG_MODES[header.components]
    return picture_header(io.BytesIO(data))


def _read_picture(path: Path) -> bytes:
    if problem := suffix_problem(path):
        raise UnreadableContentError(problem)
    return read_file(path)


def read_file(path: Path) -> bytes:
    """Read a regular file of at most 1 GiB.

    Raises:
        UnreadableContentError: If it is no regular file, or larger.
        FailedAccessError: If it cannot be accessed.
    """
    try:
        if (member := read_member(path)) is not None:
            return member
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise UnreadableContentError("a folder, not a file")
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableContentError("not a regular file")
        if status.st_size > _MAX_BYTES:
            raise UnreadableContentError(
                f"{status.st_size:,} bytes, expected at most {_MAX_BYTES:,}; cut it into tiles first"
            )
        return path.read_bytes()
    except (NoSuchMemberError, DataError) as error:
        raise UnreadableContentError(str(error)) from None
    except FileNotFoundError:
        raise FailedAccessError(BROKEN_LINK if path.is_symlink() else NO_FILE) from None
    except PermissionError:
        raise FailedAccessError("no permission to read it") from None
    except (OSError, MemoryError) as error:
        raise FailedAccessError(access_failure(error)) from None
    except ValueError as error:  # a name that holds a null byte
        raise UnreadableContentError(str(error)) from None


def access_failure(error: OSError | MemoryError) -> str:
    """Return the reason to report for an error of the operating system, which may be transient."""
    if isinstance(error, MemoryError):
        return "the system could not read it this time (out of memory); try again"
    what = str(error.strerror or error)
    return what if error.errno in _LASTING else f"the system could not read it this time ({what}); try again"


@contextmanager
def as_content_error(data: bytes) -> Iterator[None]:
    """Convert any exception of the block, which decodes ``data``, to one that gives the reason."""
    try:
        yield
    except UnreadableContentError:
        raise
    except UnidentifiedImageError:
        raise UnreadableContentError(describe_content(data)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UnreadableContentError(f"over {MAX_PIXELS:,} pixels; cut it into tiles first") from None
    except MemoryError as error:
        raise FailedAccessError(access_failure(error)) from None
    except Exception as error:  # noqa: BLE001 - decoders raise anything on damaged bytes
        if isinstance(error, OSError) and error.errno is not None:  # the system's, not Pillow's
            raise FailedAccessError(access_failure(error)) from None
        raise UnreadableContentError(_damage(error)) from None


def _decode_jpeg(data: bytes) -> NDArray[np.uint8] | None:
    """Decode JPEG bytes to Pillow's pixels in half the time; ``None`` where Pillow has to decode."""
    header = read_header(data)
    if header is None or not 0 < header.height * header.width <= MAX_PIXELS:
        return None
    try:
        pixels = decode_jpeg(data, header)
    except DamagedJpegError as error:
        raise UnreadableContentError(_damage(error)) from None
    if pixels is None or not header.has_metadata:
        return pixels
    return turn_upright(pixels, orientation_of(data))


def _decode(data: bytes) -> NDArray[np.uint8]:
    check_tags(data)
    with Image.open(io.BytesIO(data), formats=PILLOW_FORMATS) as image:
        return _upright(image)


def check_tags(data: bytes) -> None:
    """Refuse a TIFF file whose tags claim more bytes than it has."""
    if tag_bytes(data) > len(data):
        raise UnreadableContentError("damaged (its tags hold more than the file)")


def _upright(image: Image.Image) -> NDArray[np.uint8]:
    _check_header(image)
    image.load()
    return turn_upright(np.array(_to_rgb(image)), orientation_in(image))


def _check_header(image: Image.Image) -> None:
    width, height = image.size
    exif = image.info.get("exif", b"").removeprefix(b"Exif\0\0")
    if tag_bytes(exif) > len(exif):
        raise UnreadableContentError("damaged (its EXIF tags claim more bytes than there are)")
    if width * height > MAX_PIXELS:
        raise UnreadableContentError(
            f"{width} x {height} pixels, over {MAX_PIXELS:,}; cut it into tiles first"
        )
    if _DNG_VERSION_TAG in getattr(image, "tag_v2", ()):
        raise UnreadableContentError(RAW_ADVICE)
    if image.mode in {"I", "F"}:
        raise UnreadableContentError("32 bits a value, whose white is unknown; save it with 8 or 16 bits")


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
    if "truncated" in text.lower() or text == "Premature end of JPEG file":
        return "truncated; copy or download it again"
    return f"damaged ({text}); copy or download it again"
