"""Listing of the files under a root: pictures, and files left out with the reason."""

from __future__ import annotations

import os
import stat
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from crack_lightning.data.discovery.folder_names import is_hidden, is_left_in_cloud
from crack_lightning.data.io.formats import ARCHIVE_SUFFIXES, has_suffix, is_image_content, is_picture_name
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable

_ARCHIVE = "an archive, which is not opened here; unpack it"
_BROKEN = "a broken link"
_CLOUD = "not downloaded from iCloud yet"
_RUN = "made by a run of crack_lightning"
_OF_A_RUN = ({"config.yaml", "run.log"}, {"comparison.json", "comparison.html"})
"""Files that together mark the folder of a run, or of a comparison or a sweep."""
REPEATED = "a link to a picture that is read already"


@dataclass(frozen=True, kw_only=True)
class Listing:
    """Files under a root; paths are POSIX paths relative to it.

    Attributes:
        root: The folder.
        pictures: Files that may be pictures, by suffix (also of unsupported formats), or by first bytes if
            without suffix; sorted by folder.
        others: Files left out in any layout, each a path and the reason.
        empty: Folders without any picture in or below them.
        real: Real paths of pictures that are reached by a link.
    """

    root: Path
    pictures: list[str] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)
    real: dict[str, str] = field(default_factory=dict)

    def repeated(self, chosen: Iterable[str]) -> dict[str, str]:
        """Return the chosen pictures that are links to other chosen ones, each with the reason."""
        if not self.real:
            return {}
        base = os.path.realpath(self.root)
        seen, repeated = set[str](), {}
        for path in sorted(chosen, key=lambda path: path in self.real):
            real = self.real.get(path) or f"{base}{os.sep}{path}"
            if real in seen:
                repeated[path] = REPEATED
            seen.add(real)
        return repeated


def list_files(root: Path) -> Listing:
    """List a folder and all below it.

    Hidden and system files are ignored. Links to folders are followed; a folder is listed once, under its
    own path rather than under a link to it.

    Args:
        root: The folder.

    Raises:
        DataError: If a folder below cannot be listed.
    """
    listing = Listing(root=root)
    real_root = Path(os.path.realpath(root))
    seen = {str(real_root), *map(str, real_root.parents)}
    links: deque[tuple[str, str]] = deque()
    _walk(listing, "", str(real_root), seen=seen, links=links, linked=False)
    while links:
        path, real = links.popleft()
        if real not in seen:
            seen.add(real)
            _walk(listing, f"{path}/", real, seen=seen, links=links, linked=True)
    listing.pictures.sort(key=lambda path: path.split("/"))
    by_links = {str(folder) for path in listing.real for folder in PurePosixPath(path).parents}
    return replace(listing, empty=[path for path in listing.empty if path not in by_links])


def folders_in(folder: Path) -> list[Path]:
    """List the subfolders of a folder by name, without hidden and system folders."""
    return [folder / entry.name for entry in _entries(folder) if _is_dir(entry)]


def _walk(
    listing: Listing, prefix: str, real: str, *, seen: set[str], links: deque[tuple[str, str]], linked: bool
) -> bool:
    """Add the files in and below a folder; return whether there is a picture."""
    has_pictures = False
    entries = _entries(listing.root / prefix if prefix else listing.root)
    names = {entry.name for entry in entries}
    if prefix and any(names >= files for files in _OF_A_RUN):
        made = list_files(listing.root / prefix)
        listing.others.extend((f"{prefix}{path}", _RUN) for path in made.pictures)
        return False
    for entry in entries:
        path = f"{prefix}{entry.name}"
        if not is_picture_name(Path(entry.name)) and _is_dir(entry):
            if entry.is_symlink():
                links.append((path, os.path.realpath(entry.path)))
                continue
            seen.add(below := os.path.join(real, entry.name))  # noqa: PTH118  # ten times Path's speed
            filled = _walk(listing, f"{path}/", below, seen=seen, links=links, linked=linked)
            if not filled:
                listing.empty.append(path)
            has_pictures |= filled
        elif _add_file(listing, entry, path):
            has_pictures = True
            if linked or entry.is_symlink():
                listing.real[path] = os.path.realpath(entry.path)
    return has_pictures


def _add_file(listing: Listing, entry: os.DirEntry[str], path: str) -> bool:
    """Add a file to the pictures or to the files left out; return whether it is a picture."""
    name = Path(entry.name)
    if is_left_in_cloud(entry.name):
        listing.others.append((path, _CLOUD))
        return False
    if not is_picture_name(name):
        if name.suffix.lower() in ARCHIVE_SUFFIXES:
            listing.others.append((path, _ARCHIVE))
            return False
        if entry.is_symlink() and not Path(entry.path).exists():
            listing.others.append((path, _BROKEN))
            return False
        if not is_image_content(_start(entry.path)):
            return False
        if has_suffix(name):
            listing.others.append((path, f"the suffix '{name.suffix}' is not read; rename such files"))
            return False
    listing.pictures.append(path)
    return True


def _is_dir(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a ring of links
        return False


def _start(path: str) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return b""
    try:
        return os.read(descriptor, 16) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        raise DataError(
            f"data.root: cannot list '{folder}' ({error.strerror}); fix its permissions, or move it away."
        ) from None
    return [entry for entry in listed if not is_hidden(entry.name) or is_left_in_cloud(entry.name)]
