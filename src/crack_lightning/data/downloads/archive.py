"""Atomic unpacking of an archive, confined to its folder."""

from __future__ import annotations

import errno
import shutil
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from filelock import FileLock
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from crack_lightning.data.downloads.archive_readers import (
    BY_HAND,
    archive_kind,
    check_size,
    damaged_error,
    tar_members,
    zip_members,
)
from crack_lightning.data.downloads.rar import rar_members
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator
    from pathlib import Path

    from crack_lightning.data.downloads.archive_readers import Member

_READERS: dict[str, Callable[[Path], Generator[Member, None, None]]] = {
    "rar": rar_members,
    "tar": tar_members,
    "zip": zip_members,
}
_PACKED_SUFFIXES = (".zip", ".rar", ".tar", ".tgz", ".gz", ".xz", ".txz", ".bz2", ".tbz2")
_WRAPPER_MAX_FILES = 20  # an archive around an archive holds it and a readme or two


def unpack(archive: Path, destination: Path, *, show_progress: bool) -> Path:
    """Unpack a zip, a tar (plain, gz, xz, bz2), a rar, or one of them inside another.

    Everything is written to a sibling folder, which is renamed when it is complete. Links and special files
    are refused; permissions in the archive are ignored.

    Args:
        archive: The file; its kind is detected from its content.
        destination: The folder to create; an existing one is complete and returned at once.
        show_progress: Whether to draw a progress bar on standard error.

    Returns:
        ``destination``.

    Raises:
        DataError: If the archive is unreadable, unknown, unsafe, encrypted or damaged, or the disk is full.
    """
    if destination.is_dir():
        return destination
    with wrap_disk_errors(destination.parent):
        destination.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(destination.parent / f".{destination.name}.lock"):
            if not destination.is_dir():
                _unpack_whole(archive, destination, show_progress=show_progress)
    return destination


def _unpack_whole(archive: Path, destination: Path, *, show_progress: bool) -> None:
    staging = destination.parent / f".{destination.name}.part"
    shutil.rmtree(staging, ignore_errors=True)
    files = staging / "files"
    files.mkdir(parents=True)
    try:
        _write_all(archive, files, show_progress=show_progress)
        wrapped = _wrapped(files)
        if wrapped is not None:
            inner = wrapped.rename(staging / wrapped.name)
            _write_all(inner, wrapped.parent, show_progress=show_progress)
        if not any(files.iterdir()):
            raise damaged_error("it holds no files", archive=archive)
        files.rename(destination)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write_all(archive: Path, folder: Path, *, show_progress: bool) -> None:
    kind = archive_kind(archive)
    if kind is None:
        raise DataError(
            f"data.archive: '{archive.name}' is no zip, tar or rar archive, or a damaged one; get it again, "
            f"or {BY_HAND}."
        )
    total = 0
    with byte_bar(show_progress=show_progress) as bar, closing(_READERS[kind](archive)) as members:
        task = bar.add_task(f"unpacking {archive.name}", total=None)
        for number, member in enumerate(members, start=1):
            total += member.size
            check_size(total, number, archive=archive)
            _write(member, folder, archive)
            bar.update(task, advance=member.size)
        bar.update(task, total=total)


def _write(member: Member, folder: Path, archive: Path) -> None:
    target = folder / member.path
    written = 0
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as file:
            for chunk in member.chunks:
                written += file.write(chunk)
    except (FileExistsError, NotADirectoryError):
        raise damaged_error(f"'{member.path}' comes twice", archive=archive) from None
    if written != member.size:
        raise damaged_error(f"'{member.path}' has {written} of {member.size} bytes", archive=archive)


def _wrapped(folder: Path) -> Path | None:
    """Return the single archive inside an archive, such as METU's rar in Mendeley's zip, or ``None``."""
    files = []
    for path in folder.rglob("*"):
        if path.is_file():
            files.append(path)
        if len(files) > _WRAPPER_MAX_FILES:
            return None
    packed = [path for path in files if path.suffix.lower() in _PACKED_SUFFIXES and archive_kind(path)]
    return packed[0] if len(packed) == 1 else None


@contextmanager
def wrap_disk_errors(folder: Path) -> Iterator[None]:
    """Raise errors of a full or unwritable disk as one sentence.

    Raises:
        DataError: In place of any ``OSError``.
    """
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise DataError(
            f"CRACK_LIGHTNING_CACHE: cannot write in '{folder}' ({reason}); "
            "make room there, or set it to a folder on another disk."
        ) from error


def byte_bar(*, show_progress: bool) -> Progress:
    """Return a progress bar of bytes on standard error."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        disable=not show_progress,
    )
