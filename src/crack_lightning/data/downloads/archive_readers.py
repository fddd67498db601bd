"""Reading of zip and tar archives, member by member; nothing here writes to the disk."""

from __future__ import annotations

import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, TYPE_CHECKING, cast

from crack_lightning.data.downloads.tar_headers import open_tar
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

MAX_TOTAL_BYTES = 20 * 1024**3
MAX_MEMBERS = 2_000_000
MAX_RATIO = 200
RATIO_MATTERS_FROM_BYTES = 1024**3
CHUNK_BYTES = 1024**2
BY_HAND = "unpack it by hand and set data.root=<that folder>"

_RAR_MAGIC = b"Rar!\x1a\x07"
_UTF8_NAME = 0x800
_ZIP_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA)
_LZMA_CHUNK_BYTES = 4096
"""Small, as zipfile decompresses a chunk of LZMA whole, to up to 7,000 times its size."""
_TAR_BLOCK_BYTES = 512
_TAR_PADDING_CHUNKS = 16
_UNREADABLE = (
    EOFError,
    NotImplementedError,
    OSError,
    RuntimeError,
    ValueError,
    lzma.LZMAError,
    struct.error,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


@dataclass(frozen=True, kw_only=True)
class Member:
    """A regular file in an archive.

    Attributes:
        path: Relative path without ``..``.
        size: Declared size in bytes.
        chunks: The content, to be read once and before the next member is read.
    """

    path: PurePosixPath
    size: int
    chunks: Iterator[bytes]


def archive_kind(path: Path) -> str | None:
    """Return ``zip``, ``tar`` or ``rar`` by the content of a file; ``None`` for anything else.

    Raises:
        DataError: If the file cannot be opened.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_RAR_MAGIC))
    except OSError as error:
        raise DataError(
            f"data.archive: cannot read '{path}' ({error.strerror}); set data.archive=<file>."
        ) from error
    if magic == _RAR_MAGIC:
        return "rar"
    if zipfile.is_zipfile(path):
        return "zip"
    try:
        with open_tar(path):
            return "tar"
    except (EOFError, OSError, ValueError, lzma.LZMAError, tarfile.TarError, zlib.error):
        return None


def safe_path(name: str, *, archive: Path) -> PurePosixPath:
    """Return a member's name as a relative path inside the folder it is unpacked to.

    Raises:
        DataError: If the name is empty, absolute, begins with a drive letter or climbs with ``..``.
    """
    text = name.replace("\\", "/")
    parts = [part for part in text.split("/") if part not in {"", "."}]
    absolute = text.startswith("/") or re.match(r"[A-Za-z]:", text) is not None
    if not parts or absolute or ".." in parts or "\0" in text:
        raise DataError(
            f"data.archive: '{archive.name}' holds {name!r}, which points outside the folder "
            "it is unpacked to; do not use this file, get the published one."
        )
    return PurePosixPath(*parts)


def check_size(total_bytes: int, members: int, *, archive: Path) -> None:
    """Refuse a decompression bomb.

    Raises:
        DataError: If the unpacked size, the compression ratio or the number of members is over its limit.
    """
    swollen = total_bytes > max(RATIO_MATTERS_FROM_BYTES, MAX_RATIO * archive.stat().st_size)
    if total_bytes > MAX_TOTAL_BYTES or members > MAX_MEMBERS or swollen:
        raise DataError(
            f"data.archive: '{archive.name}' would swell to {total_bytes / 1e9:.1f} GB in {members} files "
            f"(allowed: {MAX_TOTAL_BYTES / 1e9:.1f} GB, {MAX_MEMBERS} files, {MAX_RATIO} times its size); "
            f"if that is right, {BY_HAND}."
        )


def special_member_error(name: str, what: str, *, archive: Path) -> DataError:
    """Return the error for a link, a device or another entry that is no regular file."""
    return DataError(f"data.archive: '{archive.name}' holds the {what} {name!r}; {BY_HAND}.")


def encrypted_error(*, archive: Path) -> DataError:
    """Return the error for an archive with a password."""
    return DataError(f"data.archive: '{archive.name}' is encrypted; {BY_HAND}.")


def damaged_error(reason: str, *, archive: Path) -> DataError:
    """Return the error for an archive that cannot be read to its end."""
    return DataError(f"data.archive: '{archive.name}' is damaged or incomplete ({reason}); get it again.")


@contextmanager
def wrap_damage(archive: Path) -> Iterator[None]:
    """Raise a decoder's errors as one sentence with the archive's name."""
    try:
        yield
    except _UNREADABLE as error:
        raise damaged_error(str(error) or type(error).__name__, archive=archive) from error


def zip_members(archive: Path) -> Generator[Member, None, None]:
    """Yield the files of a zip; names, kinds and sizes of all are checked before the first is read.

    Raises:
        DataError: If a member is unsafe, the file is encrypted, damaged, or would swell beyond the limits.
    """
    with wrap_damage(archive), zipfile.ZipFile(archive) as opened:
        files = [info for info in opened.infolist() if not info.filename.endswith(("/", "\\"))]
        paths = [_checked_zip_path(info, archive) for info in files]
        check_size(sum(info.file_size for info in files), len(files), archive=archive)
        for info, path in zip(files, paths, strict=True):
            piece = _LZMA_CHUNK_BYTES if info.compress_type == zipfile.ZIP_LZMA else CHUNK_BYTES
            with opened.open(info) as content:
                chunks = read_chunks(content, archive=archive, piece=piece)
                yield Member(path=path, size=info.file_size, chunks=chunks)


def _checked_zip_path(info: zipfile.ZipInfo, archive: Path) -> PurePosixPath:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in {0, stat.S_IFREG}:
        raise special_member_error(
            info.filename, "link" if stat.S_ISLNK(kind) else "special file", archive=archive
        )
    if info.flag_bits & 1:
        raise encrypted_error(archive=archive)
    if info.compress_type not in _ZIP_METHODS:  # bzip2 swells a million times
        raise special_member_error(
            info.filename, f"file of compression method {info.compress_type}", archive=archive
        )
    return safe_path(_zip_name(info), archive=archive)


def _zip_name(info: zipfile.ZipInfo) -> str:
    r"""Return a member's name, decoded; without the UTF-8 flag it is not always in code page 437.

    macOS writes UTF-8 without the flag, Japanese Windows code page 932, in which a character may end in the
    byte of ``\\``.
    """
    if info.flag_bits & _UTF8_NAME:
        return info.filename
    for encoding in ("utf-8", "cp932") if {"/", "\\"} <= set(info.filename) else ("utf-8",):
        with suppress(UnicodeError):
            return info.filename.encode("cp437").decode(encoding)
    return info.filename


def tar_members(archive: Path) -> Generator[Member, None, None]:
    """Yield the files of a tar, plain or compressed, in one pass.

    Raises:
        DataError: If a member is unsafe, or the file is damaged or ends too early.
    """
    with wrap_damage(archive), open_tar(archive) as opened:
        number = 0
        while (info := opened.next()) is not None:
            opened.members.clear()  # type: ignore[attr-defined]  # tarfile keeps every header
            number += 1
            check_size(0, number, archive=archive)
            if info.isdir():
                continue
            path = safe_path(info.name, archive=archive)
            if not info.isreg():
                raise special_member_error(info.name, _tar_kind(info), archive=archive)
            with cast("IO[bytes]", opened.extractfile(info)) as content:
                yield Member(path=path, size=info.size, chunks=read_chunks(content, archive=archive))
        _check_tar_end(opened, archive)


def _tar_kind(info: tarfile.TarInfo) -> str:
    return f"link (to {info.linkname!r})" if info.issym() or info.islnk() else "special file"


def _check_tar_end(opened: tarfile.TarFile, archive: Path) -> None:
    # tarfile takes a broken header after the first one for the end; a complete archive ends in zeros.
    stream = cast("IO[bytes]", opened.fileobj)
    stream.seek(opened.offset)
    block = stream.read(_TAR_BLOCK_BYTES)
    if not block or block.strip(b"\0"):
        raise damaged_error("no end mark after its last member", archive=archive)
    for _ in range(_TAR_PADDING_CHUNKS):  # read on to the checksum of a compressed archive
        if not stream.read(CHUNK_BYTES):
            return


def read_chunks(stream: IO[bytes], *, archive: Path, piece: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield an open member's content piece by piece.

    Raises:
        DataError: If it cannot be decoded.
    """
    with wrap_damage(archive):
        while chunk := stream.read(piece):
            yield chunk
