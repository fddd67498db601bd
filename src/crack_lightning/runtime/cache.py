"""Cache between runs: one folder per entry, named by a fingerprint of its inputs and written atomically."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.atomic_write import write_text
from crack_lightning.runtime.files.paths import expand_user

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger(__name__)
SEAL, PUBLISHED = "made_of.json", "published"
_PATIENCE_S = 0.5


def cache_folder() -> Path:
    """Return the cache folder; ``CRACK_LIGHTNING_CACHE`` overrides it."""
    override = os.environ.get("CRACK_LIGHTNING_CACHE")
    return Path(expand_user(override)).resolve() if override else user_cache_path("crack_lightning")


def cached_entry(
    kind: str, fingerprint: Mapping[str, object], make: Callable[[Path], None], *, cache: Path
) -> Path:
    """Return an entry of the cache; create it if it is missing or incomplete.

    Of several processes that request the same entry one creates it, and the others wait.

    Args:
        kind: The entry's folder in the cache, for example ``synthetic``.
        fingerprint: Everything that determines the content, as JSON values.
        make: Writes the content into the given folder.
        cache: The cache folder.

    Returns:
        The entry's folder.

    Raises:
        DataError: If the cache cannot be written.
    """
    entry = _entry(kind, fingerprint, cache)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with _lock_entry(entry):
            if not _is_complete(entry, fingerprint):
                with _atomic_folder(entry) as folder:
                    make(folder)
                    _seal(folder, fingerprint)
    except OSError as error:
        raise DataError(
            f"CRACK_LIGHTNING_CACHE: cannot write {kind} to '{entry}' ({error}); "
            "set it to a writable folder on a disk with enough space."
        ) from error
    return entry


def is_cached(kind: str, fingerprint: Mapping[str, object], *, cache: Path) -> bool:
    """Return whether a complete entry exists."""
    return _is_complete(_entry(kind, fingerprint, cache), fingerprint)


def entry_name(fingerprint: Mapping[str, object]) -> str:
    """Return the name of an entry's folder, a digest of its fingerprint."""
    return hashlib.sha256(json.dumps(fingerprint, sort_keys=True).encode()).hexdigest()[:20]


def published_name(name: str, note: str) -> str:
    """Return the folder name of a published archive: its name and a digest of ``note``."""
    return f"{name}-{hashlib.sha256(note.encode()).hexdigest()[:16]}"


def _entry(kind: str, fingerprint: Mapping[str, object], cache: Path) -> Path:
    return cache / kind / entry_name(fingerprint)


@contextmanager
def _lock_entry(entry: Path) -> Iterator[None]:
    lock = FileLock(entry.parent / f".{entry.name}.lock")
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        log.info("cache: another process is writing '%s'; waiting for it", entry)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _atomic_folder(entry: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``entry`` if the block succeeds; the caller holds the lock."""
    prefix = f".{entry.name}."
    for leftover in entry.parent.glob(f"{prefix}*.part"):
        shutil.rmtree(leftover, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(dir=entry.parent, prefix=prefix, suffix=".part"))
    try:
        yield folder
        folder.chmod(0o755)
        if entry.exists():
            shutil.rmtree(entry)
        folder.rename(entry)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _seal(folder: Path, fingerprint: Mapping[str, object]) -> None:
    """Write the entry's fingerprint and file counts."""
    write_text(folder / SEAL, json.dumps({"made_of": fingerprint, "holds": _file_counts(folder)}, indent=2))


def _is_complete(entry: Path, fingerprint: Mapping[str, object]) -> bool:
    """Return whether an entry exists and each of its folders has the number of files and bytes written."""
    try:
        sealed = json.loads((entry / SEAL).read_text(encoding="utf-8"))
        return bool(sealed == {"made_of": fingerprint, "holds": _file_counts(entry)})
    except (OSError, ValueError):
        return False


def _file_counts(folder: Path) -> dict[str, list[int]]:
    """Return the number of files and bytes in each folder of an entry."""
    counts = {}
    for path, _, names in os.walk(folder):
        sizes = [os.stat(os.path.join(path, name)).st_size for name in names if name != SEAL]  # noqa: PTH116, PTH118
        counts[Path(path).relative_to(folder).as_posix()] = [len(sizes), sum(sizes)]
    return dict(sorted(counts.items()))
