"""Digests of files and of their order, which key the cache of scans."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from crack_lightning.data.grouping.filename_order import folders_in_order

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def file_digest(path: Path) -> str:
    """Return the SHA-256 hex digest of a file; empty if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, MemoryError):
        return ""


def content_digest(paths: Sequence[Path], sha256: NDArray[np.str_]) -> str:
    """Return a digest of what determines the decoding of files: their bytes and suffixes."""
    lines = (f"{digest}{path.suffix.lower()}\n" for path, digest in zip(paths, sha256, strict=True))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def order_digest(names: NDArray[np.str_]) -> str:
    """Return a digest of the order of files by name in each folder, independent of the folder's path."""
    folders = [",".join(map(str, rows.tolist())) for rows in folders_in_order(names)]
    return hashlib.sha256("\n".join(folders).encode()).hexdigest()
