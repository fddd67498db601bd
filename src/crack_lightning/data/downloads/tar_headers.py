"""Size limit of tar headers, which ``tarfile`` reads whole."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

MAX_HEADER_BYTES = 256 * 1024
MAX_GLOBAL_BYTES = 16 * 1024**2
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class BoundedTarInfo(tarfile.TarInfo):
    """A member's header of limited size; ``tarfile`` reads extended ones of any size into memory."""

    def _proc_member(self, archive: Any) -> Any:  # tarfile's entry point for subclasses
        if self.type in _EXTENDED:
            total = self.size + getattr(archive, "global_header_bytes", 0)
            if self.size > MAX_HEADER_BYTES or total > MAX_GLOBAL_BYTES:
                raise _too_large(archive, f"a header of {self.size:,} bytes")
            if self.type == tarfile.XGLTYPE:  # kept until the end
                archive.global_header_bytes = total
        return super()._proc_member(archive)  # type: ignore[misc]

    def _proc_sparse(self, archive: Any) -> Any:
        raise _too_large(archive, "a sparse file")

    def _proc_gnusparse_00(self, *_: Any) -> Any:
        raise _too_large(None, "a sparse file")

    _proc_gnusparse_01 = _proc_gnusparse_10 = _proc_gnusparse_00


def open_tar(path: Path) -> tarfile.TarFile:
    """Open a tar, plain or compressed.

    Raises:
        DataError: If its first header is too large; later ones raise it when they are read.
        tarfile.TarError: If it is no tar.
    """
    return tarfile.open(path, tarinfo=BoundedTarInfo)


def _too_large(archive: Any, what: str) -> DataError:
    name = f"'{archive.name}'" if getattr(archive, "name", None) else "the tar"
    return DataError(
        f"data.archive: {name} holds {what}, expected names of at most {MAX_HEADER_BYTES:,} bytes and whole "
        "files; do not use this file, get the published one."
    )
