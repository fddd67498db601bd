"""Reading of RAR archives: listed by rarfile, decompressed by an installed program, verified by checksum.

The program only writes to its standard output; the stream is cut into files by the sizes in the listing, and
each must have the listing's checksum. So no program is trusted with names or links, and one process unpacks
40,000 tiles.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from contextlib import suppress
from typing import IO, TYPE_CHECKING, cast

import rarfile

from crack_lightning.data.downloads.archive_readers import (
    BY_HAND,
    CHUNK_BYTES,
    Member,
    check_size,
    damaged_error,
    encrypted_error,
    read_chunks,
    safe_path,
    special_member_error,
)
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path, PurePosixPath

# The most reliable first; each prints the content of every file, in the archive's order.
_COMMANDS = {
    "unrar": ("p", "-inul", "-p-", "--"),
    "7zz": ("e", "-so", "-bd", "-p", "--"),
    "7z": ("e", "-so", "-bd", "-p", "--"),
    "unar": ("-q", "-p", "", "-o", "-"),
    "bsdtar": ("-x", "--to-stdout", "-f"),
}
_IN_MEMORY_BYTES = 64 * 1024**2
_EXIT_TIMEOUT_S = 1.0


class _ToolFailedError(Exception):
    """A program whose output does not match the listing."""


def require_tool(*, file_name: str, page: str | None = None) -> list[str]:
    """Return the programs on PATH that can decompress a RAR archive, the most reliable first.

    Args:
        file_name: The archive, for the error.
        page: Where it is published, if it is not fetched yet.

    Raises:
        DataError: If there is none.
    """
    commands = [name for name in _COMMANDS if shutil.which(name)]
    if not commands:
        key, by_page = ("data.archive", "") if page is None else ("data.download", f" from {page}")
        raise DataError(
            f"{key}: '{file_name}'{by_page} is a RAR archive and none of {', '.join(_COMMANDS)} is "
            f"installed; install one (Debian and Ubuntu: apt install libarchive-tools), or {BY_HAND}."
        )
    return commands


def rar_members(archive: Path) -> Generator[Member, None, None]:
    """Yield the verified files of a RAR archive; where a program fails, the next one continues.

    Raises:
        DataError: If no program is installed or able, or the file is unsafe, encrypted or damaged.
    """
    tools = require_tool(file_name=archive.name)
    files = _listing(archive)
    paths = [_checked_path(info, archive) for info in files]
    check_size(sum(info.file_size for info in files), len(files), archive=archive)
    done = 0
    failures = []
    for tool in tools:
        try:
            for content in _contents(tool, archive, files, skip=done):
                with content:
                    chunks = read_chunks(content, archive=archive)
                    yield Member(path=paths[done], size=files[done].file_size, chunks=chunks)
                done += 1
        except _ToolFailedError as error:
            failures.append(f"{tool}: {error}")
        else:
            return
    raise DataError(
        f"data.archive: '{archive.name}' is damaged, or beyond what is installed ({'; '.join(failures)}); "
        f"get it again, install unrar, or {BY_HAND}."
    )


def _listing(archive: Path) -> list[rarfile.RarInfo]:
    try:
        with rarfile.RarFile(archive, errors="strict") as opened:
            encrypted = opened.needs_password()
            listing = [info for info in opened.infolist() if not info.is_dir()]
    except rarfile.NeedFirstVolume as error:
        raise DataError(
            f"data.archive: '{archive.name}' is not the first part of its archive; give the first part."
        ) from error
    except (rarfile.Error, EOFError, OSError, ValueError, LookupError) as error:
        raise damaged_error(str(error), archive=archive) from error
    if encrypted:
        raise encrypted_error(archive=archive)
    return listing


def _checked_path(info: rarfile.RarInfo, archive: Path) -> PurePosixPath:
    if info.is_symlink() or info.file_redir is not None:
        raise special_member_error(info.filename, "link", archive=archive)
    return safe_path(info.filename, archive=archive)


def _contents(tool: str, archive: Path, files: list[rarfile.RarInfo], *, skip: int) -> Iterator[IO[bytes]]:
    """Yield the verified content of ``files[skip:]``, in order."""
    program = shutil.which(tool) or tool
    command = [program, *_without_empty(tool, files), *_COMMANDS[tool], str(archive.resolve())]
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 - a fixed program, absolute paths, no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "LC_ALL": "C.UTF-8"},  # bsdtar drops names that the locale cannot spell
        ) as process,
    ):
        stream = cast("IO[bytes]", process.stdout)
        try:
            for number, info in enumerate(files):
                content = _cut(stream, info)
                if number >= skip:
                    yield content
                else:
                    content.close()
            _expect_end(stream)
        except _ToolFailedError as error:
            raise _ToolFailedError(f"{error}{_last_error_line(process, errors)}") from error
        finally:
            process.kill()


def _without_empty(tool: str, files: list[rarfile.RarInfo]) -> list[str]:
    # bsdtar 3.6 prints endless zeros in place of an empty RAR5 member, on some runs.
    names = [info.filename for info in files if info.file_size == 0] if tool == "bsdtar" else []
    return ["--exclude=^" + re.sub(r"([*?[\\])", r"\\\1", name) + "$" for name in names]


def _cut(stream: IO[bytes], info: rarfile.RarInfo) -> IO[bytes]:
    """Return the next file of the stream, verified and rewound."""
    content = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115 - the reader closes it
    checksum = rarfile.Blake2SP() if info.CRC is None else rarfile.CRC32Context()
    left = info.file_size
    while left and (chunk := stream.read(min(left, CHUNK_BYTES))):
        content.write(chunk)
        checksum.update(chunk)
        left -= len(chunk)
    expected = info.blake2sp_hash if info.CRC is None else info.CRC
    if left or (expected is not None and checksum.digest() != expected):
        content.close()
        raise _ToolFailedError(f"'{info.filename}' came out {'short' if left else 'changed'}")
    content.seek(0)
    return content


def _expect_end(stream: IO[bytes]) -> None:
    if stream.read(1):
        raise _ToolFailedError("more came out than the archive lists")


def _last_error_line(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    with suppress(subprocess.TimeoutExpired):
        process.wait(_EXIT_TIMEOUT_S)
    errors.seek(0)
    lines = errors.read(2000).decode("utf-8", "replace").strip().splitlines()
    return f", {lines[-1].strip()}" if lines else ""
