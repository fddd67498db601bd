"""Archives to unpack, and what unpacking them must leave behind."""

from __future__ import annotations

import io
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from crack_lightning.data.downloads.archive import unpack
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

TILES = {"Positive/00001.jpg": b"crack" * 999, "Negative/ü (1).jpg": b"intact", "empty.txt": b""}


def make_zip(path: Path, files: dict[str, bytes], *, compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as opened:
        opened.mkdir("folder without files")
        for name, content in files.items():
            opened.writestr(name, content)
    return path


def make_tar(path: Path, files: dict[str, bytes], *, mode: str = "w") -> Path:
    with tarfile.open(path, mode) as opened:  # type: ignore[call-overload]
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.mode = 0o4755
            opened.addfile(info, io.BytesIO(content))
    return path


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def refuse(archive: Path, match: str) -> None:
    """Unpack, expect one sentence, and that neither the folder nor a trace beside it is left."""
    outside = {path for path in archive.parent.rglob("*") if path.suffix != ".lock"}
    with pytest.raises(DataError, match=match) as caught:
        unpack(archive, archive.parent / "out", show_progress=False)
    assert "\n" not in str(caught.value)
    assert {path for path in archive.parent.rglob("*") if path.suffix != ".lock"} == outside
