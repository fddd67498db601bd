"""Published data sets in the cache: their archives, unpacked or fetched and unpacked."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from crack_lightning.data.downloads.archive import unpack, wrap_disk_errors
from crack_lightning.data.downloads.http import fetch
from crack_lightning.data.downloads.rar import require_tool
from crack_lightning.runtime.cache import PUBLISHED, published_name
from crack_lightning.runtime.files.atomic_write import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from crack_lightning.data.sources.shared_settings import PublishedSet


def unpack_archive(archive: Path, published: PublishedSet, cache: Path, *, show_progress: bool) -> Path:
    """Unpack a published archive into the cache, once per name, size and mtime.

    Raises:
        DataError: If the file is missing or cannot be unpacked.
    """
    status = archive.stat()
    made_from: dict[str, str | int] = {
        "archive": archive.name,
        "bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
    }
    entry = _entry(published, made_from, cache)
    return unpack(archive, entry / "files", show_progress=show_progress)


def download_dataset(
    published: PublishedSet, cache: Path, *, show_progress: bool, timeout_s: float = 10
) -> Path:
    """Fetch and unpack a published set into the cache, once.

    Raises:
        DataError: If the archive cannot be fetched (``timeout_s`` seconds for each response) or unpacked.
    """
    entry = _entry(published, {"url": published.url, "sha256": published.sha256}, cache)
    files = entry / "files"
    if files.is_dir():
        return files
    if published.file_name.endswith(".rar"):
        require_tool(file_name=published.file_name, page=published.page)
    file = fetch(
        published.url,
        entry / published.file_name,
        sha256=published.sha256,
        page=published.page,
        show_progress=show_progress,
        timeout_s=timeout_s,
    )
    unpack(file, files, show_progress=show_progress)
    file.unlink(missing_ok=True)
    return files


def _entry(published: PublishedSet, made_from: Mapping[str, str | int | None], cache: Path) -> Path:
    """Return the cache entry of an unpacked archive, with a file that names its origin."""
    note = json.dumps(
        {"data_set": published.name, "doi": published.doi, "licence": published.licence, **made_from}
    )
    entry = cache / PUBLISHED / published_name(published.name, note)
    if not (entry / "entry.json").is_file():
        with wrap_disk_errors(entry):
            write_text(entry / "entry.json", note + "\n")
    return entry
