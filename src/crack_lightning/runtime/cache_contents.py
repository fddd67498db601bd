"""Listing and removal of cache entries, in a folder that may hold other files too."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from crack_lightning.runtime.cache import PUBLISHED, SEAL, entry_name, published_name
from crack_lightning.runtime.errors import CrackLightningError
from crack_lightning.runtime.files.untrusted_files import read_json, read_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_NAME = re.compile(r"[0-9a-f]{20}")
_LEFTOVER = re.compile(r"[.]([0-9a-f]{20})[.](?:lock|.*[.]part)")
_PUBLISHED_NAME = re.compile(r"[\w-]+-[0-9a-f]{16}")


def entries(cache: Path) -> list[Path]:
    """Return the entries: folders whose name matches the digest of their metadata."""
    sealed = [note.parent for note in cache.glob(f"*/*/{SEAL}") if _is_sealed(note)]
    noted = [note.parent for note in cache.glob(f"{PUBLISHED}/*/entry.json") if _is_noted(note)]
    return sorted([*sealed, *noted])


def clear(cache: Path, removable: Sequence[Path]) -> list[Path]:
    """Remove entries and leftovers of killed writers, each under its locks.

    Args:
        cache: The cache folder.
        removable: The entries to remove, from :func:`entries`.

    Returns:
        The entries that another process is writing now; they stay.

    Raises:
        CrackLightningError: If something cannot be removed.
    """
    in_use = []
    leftovers: dict[Path, list[Path]] = {}
    for path in cache.glob("*/.*"):
        if match := _LEFTOVER.fullmatch(path.name):
            leftovers.setdefault(path.with_name(match[1]), []).append(path)
    for entry in dict.fromkeys([*removable, *leftovers]):
        sealed = _NAME.fullmatch(entry.name) is not None
        locks = [entry.with_name(f".{entry.name}.lock")] if sealed else sorted(entry.glob(".*.lock"))
        parts = [path for path in leftovers.get(entry, []) if path.suffix == ".part"]
        if not _remove([*parts, *([entry] if entry in removable else [])], locks):
            in_use.append(entry)
    for kind in {entry.parent for entry in (*removable, *leftovers)}:
        with contextlib.suppress(OSError):  # not empty
            kind.rmdir()
    return in_use


def size(entry: Path) -> int:
    """Return the size of an entry in bytes; files that vanish meanwhile count 0."""
    total = 0
    for folder, _, names in os.walk(entry):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(folder, name)).st_size  # noqa: PTH118
    return total


def _remove(paths: Iterable[Path], locks: Sequence[Path]) -> bool:
    """Remove some paths and their locks; return ``False`` where a lock is held."""
    try:
        with contextlib.ExitStack() as stack:
            for lock in locks:
                stack.enter_context(FileLock(lock, timeout=0))
            for path in paths:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
            for lock in locks:  # held: a waiting process detects the removal and creates another
                lock.unlink(missing_ok=True)
    except Timeout:
        return False
    except OSError as error:
        raise CrackLightningError(f"cache: cannot remove '{error.filename}' ({error.strerror}).") from error
    return True


def _is_sealed(note: Path) -> bool:
    entry = note.parent
    if not _NAME.fullmatch(entry.name) or entry.is_symlink():
        return False
    with contextlib.suppress(OSError, ValueError):
        fingerprint = read_json(note).get("made_of")
        return isinstance(fingerprint, dict) and entry_name(fingerprint) == entry.name
    return False


def _is_noted(note: Path) -> bool:
    entry = note.parent
    if not _PUBLISHED_NAME.fullmatch(entry.name) or entry.is_symlink():
        return False
    with contextlib.suppress(OSError, ValueError):
        return published_name(entry.name.rpartition("-")[0], read_text(note).removesuffix("\n")) == entry.name
    return False
