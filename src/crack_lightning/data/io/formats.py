"""Supported image formats, and advice for the others; imports neither torch nor a decoder."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

IMAGE_SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".pjpeg", ".pjp"),
    *(".png", ".bmp", ".dib", ".tif", ".tiff", ".webp"),
)
ARCHIVE_SUFFIXES = frozenset(
    {".zip", ".rar", ".7z", ".tar", ".tgz", ".gz", ".tbz2", ".bz2", ".txz", ".xz", ".zst"}
)

PILLOW_FORMATS = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
"""Formats that Pillow may open."""

_HEIC = "a HEIC or HEIF picture, which is not read; export it as JPEG"
RAW_ADVICE = "a raw camera file, which is not read; develop it to JPEG or TIFF"
_PDF = "a PDF document, which is not read; export its pictures as PNG or JPEG"
_OTHER = "a picture in a format that is not read; save it as PNG or JPEG"
_ADVICE_BY_SUFFIX = {
    **dict.fromkeys((".heic", ".heif", ".hif"), _HEIC),
    **dict.fromkeys((".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2"), RAW_ADVICE),
    **dict.fromkeys((".pef", ".srw", ".nrw", ".raw", ".3fr", ".iiq", ".x3f"), RAW_ADVICE),
    **dict.fromkeys((".avif", ".gif", ".jp2", ".j2k", ".jxl", ".psd"), _OTHER),
    **dict.fromkeys((".tga", ".ppm", ".pgm", ".pnm", ".exr", ".ico"), _OTHER),
    ".pdf": _PDF,
}
_SIGNATURES = (b"\xff\xd8", b"\x89PNG", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")
_ADVICE_BY_START = {
    b"%PDF": _PDF,
    b"GIF8": _OTHER,
    b"\x00\x00\x00\x0cjP  ": _OTHER,
    b"\xff\x0a": _OTHER,
    b"<!DOCTYPE": "a web page, not a picture; download the picture again",
    b"<HTML": "a web page, not a picture; download the picture again",
    b"<?XML": "XML text, not a picture",
    b"<SVG": "a drawing in SVG, which is not read; export it as PNG",
    b"VERSION HTTPS://GIT-LFS": "a pointer of Git LFS, not the picture itself; run git lfs pull",
    b"PK\x03\x04": "a zip archive, not a picture; unpack it",
    b"RAR!": "a rar archive, not a picture; unpack it",
}


def is_image_name(path: Path) -> bool:
    """Return whether a file's suffix, in any case, is supported."""
    return path.suffix.lower() in IMAGE_SUFFIXES


def is_picture_name(path: Path) -> bool:
    """Return whether a file's suffix is that of an image, supported or reported with advice."""
    return is_image_name(path) or path.suffix.lower() in _ADVICE_BY_SUFFIX


def is_document_name(path: Path) -> bool:
    """Return whether a file's suffix is that of a document (PDF), not of an image."""
    return path.suffix.lower() == ".pdf"


def has_suffix(path: Path) -> bool:
    """Return whether a file's name ends with a suffix: letters and digits after its last dot, a letter first.

    Examples:
        >>> from pathlib import Path
        >>> [has_suffix(Path(name)) for name in ("a.jpg", "a", "crack 2.5 mm", "2024.05.01")]
        [True, False, False, False]
    """
    return re.fullmatch(r"[.][^\W\d_][^\W_]*~?", path.suffix) is not None


def is_image_content(start: bytes) -> bool:
    """Return whether a file that begins with these bytes is an image of a supported format."""
    if start.startswith(b"RIFF"):
        return start[8:12] == b"WEBP"
    if start.startswith(b"BM"):
        return start[6:10] == b"\x00\x00\x00\x00"  # reserved; text may begin with BM
    return start.startswith((b"\xff\xd8\xff", b"\x89PNG\r\n", b"II*\x00", b"MM\x00*"))


def suffix_problem(path: Path) -> str | None:
    """Return why a file of this name is not read; ``None`` if it is."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES or not has_suffix(path):
        return None
    unknown = f"the suffix '{path.suffix}' is not read; expected {', '.join(IMAGE_SUFFIXES)}"
    return _ADVICE_BY_SUFFIX.get(suffix, unknown)


def describe_content(data: bytes) -> str:
    """Return what undecodable bytes are (empty, HEIC, an archive, …), as the reason in an error."""
    if not data.strip(b"\x00"):
        return "an empty file" if not data else "nothing but zero bytes; copy or download it again"
    if data[4:8] == b"ftyp":
        return _HEIC if data[8:12] in {b"heic", b"heix", b"hevc", b"mif1", b"msf1"} else _OTHER
    if data.startswith(_SIGNATURES):
        return "a picture whose header is truncated or damaged; copy or download it again"
    start = data[:64].lstrip(b"\xef\xbb\xbf \r\n\t").upper()
    for magic, advice in _ADVICE_BY_START.items():
        if start.startswith(magic.upper()):
            return advice
    return f"no picture in a format that is read ({', '.join(IMAGE_SUFFIXES)})"
