"""Published data sets, read from a folder, an archive or a download."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crack_lightning.data.downloads.archive import unpack, wrap_disk_errors
from crack_lightning.data.downloads.http import fetch
from crack_lightning.data.downloads.rar import require_tool
from crack_lightning.runtime.cache import PUBLISHED, published_name
from crack_lightning.runtime.errors import ConfigError, DataError
from crack_lightning.runtime.files.atomic_write import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class PublishedSet:
    """A published data set.

    Attributes:
        name: Short name, also of its entry in the cache.
        page: Its landing page.
        url: The URL of its archive.
        file_name: The published name of the archive.
        sha256: Hex digest of the archive; ``None`` where none is published.
        doi: Identifier to cite.
        licence: Terms of use.
    """

    name: str
    page: str
    url: str
    file_name: str
    sha256: str | None
    doi: str
    licence: str


METU = PublishedSet(
    name="metu",
    page="https://data.mendeley.com/datasets/5y9wdsg2zt/2",
    url=(
        "https://data.mendeley.com/public-files/datasets/5y9wdsg2zt/files/"
        "8a70d8a5-bce9-4291-bab9-b48cfb3e87c3/file_downloaded"
    ),
    file_name="Concrete Crack Images for Classification.rar",
    sha256="08d7dc505a4f5a0330cee2fa2a1ae4b5b4f98bcffd0549b774caf7959bb1f02f",
    doi="10.17632/5y9wdsg2zt.2",
    licence="CC BY 4.0",
)
SDNET2018 = PublishedSet(
    name="sdnet2018",
    page="https://digitalcommons.usu.edu/all_datasets/48/",
    url=(
        "https://digitalcommons.usu.edu/cgi/viewcontent.cgi"
        "?filename=2&article=1047&context=all_datasets&type=additional"
    ),
    file_name="SDNET2018.zip",
    sha256=None,
    doi="10.15142/T3TD19",
    licence="CC BY 4.0",
)


def locate_dataset(
    published: PublishedSet,
    *,
    root: Path | None,
    archive: Path | None,
    download: bool,
    cache: Path,
    show_progress: bool = False,
    timeout_s: float = 10,
) -> Path:
    """Return the folder of a published data set, from the first of root, archive and download that is set.

    Args:
        published: The data set.
        root: Its unpacked folder, used as it is.
        archive: The published archive; unpacked once into the cache.
        download: Whether to fetch the archive; fetched and unpacked once.
        cache: The cache folder.
        show_progress: Whether to draw progress bars on standard error.
        timeout_s: Seconds to wait for a server's response.

    Returns:
        ``root``, or a folder in the cache.

    Raises:
        ConfigError: If none of the three is set.
        DataError: If the folder or the file is missing, or the file cannot be fetched or unpacked.
    """
    check_dataset(published, root=root, archive=archive, download=download)
    if root is not None:
        return root
    if archive is not None:
        return _unpacked(archive, published, cache, show_progress=show_progress)
    return _downloaded(published, cache, show_progress=show_progress, timeout_s=timeout_s)


def check_dataset(
    published: PublishedSet, *, root: Path | None, archive: Path | None, download: bool
) -> None:
    """Check the arguments of :func:`locate_dataset` without reading a file; raises as it does."""
    if root is None and archive is None and not download:
        raise ConfigError(
            f"data: '{published.name}' needs its images; set data.root=<folder that holds them>, "
            f"data.archive=<the file published at {published.page}>, or data.download=true."
        )
    if root is not None and not root.is_dir():
        what = "is a file; set data.archive to it, or" if root.is_file() else "does not exist;"
        raise DataError(
            f"data.root: '{root}' {what} set data.root=<folder that holds '{published.name}'>; "
            f"its page is {published.page}."
        )
    if root is None and archive is not None and not archive.is_file():
        what = "is a folder; set data.root to it, or" if archive.is_dir() else "does not exist;"
        raise DataError(
            f"data.archive: '{archive}' {what} set data.archive=<the file published at {published.page}>."
        )


def _unpacked(archive: Path, published: PublishedSet, cache: Path, *, show_progress: bool) -> Path:
    status = archive.stat()
    made_from: dict[str, str | int] = {
        "archive": archive.name,
        "bytes": status.st_size,
        "modified_ns": status.st_mtime_ns,
    }
    entry = _entry(published, made_from, cache)
    return unpack(archive, entry / "files", show_progress=show_progress)


def _downloaded(published: PublishedSet, cache: Path, *, show_progress: bool, timeout_s: float) -> Path:
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
