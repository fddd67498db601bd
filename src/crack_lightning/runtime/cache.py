"""What can be made again and is kept between runs: an entry a thing, each whole or not at all."""

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
from crack_lightning.runtime.files.paths import expanded
from crack_lightning.runtime.files.run_folder import write_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

log = logging.getLogger(__name__)
SEAL, PUBLISHED = "made_of.json", "published"
_PATIENCE_S = 0.5


def cache_folder() -> Path:
    """Return the folder of everything that can be made again; ``CRACK_LIGHTNING_CACHE`` overrides it."""
    override = os.environ.get("CRACK_LIGHTNING_CACHE")
    return Path(expanded(override)).resolve() if override else user_cache_path("crack_lightning")


def cached_entry(
    kind: str, made_of: Mapping[str, object], make: Callable[[Path], None], *, cache: Path
) -> Path:
    """Return an entry of the cache; make it where there is none, or where it is no longer whole.

    Of several processes that ask for the same entry one makes it, and the others wait.

    Args:
        kind: The entry's folder in the cache, for example ``synthetic``.
        made_of: All that decides the content, in values that JSON can hold.
        make: Writes the content into the folder that it is given.
        cache: The cache folder.

    Returns:
        The entry's folder.

    Raises:
        DataError: If the cache cannot be written.
    """
    entry = _entry(kind, made_of, cache)
    try:
        entry.parent.mkdir(parents=True, exist_ok=True)
        with _sole_maker(entry):
            if not _is_whole(entry, made_of):
                with _whole_folder(entry) as folder:
                    make(folder)
                    _seal(folder, made_of)
    except OSError as error:
        raise DataError(
            f"CRACK_LIGHTNING_CACHE: cannot keep {kind} in '{entry}' ({error}); "
            "set it to a folder that you may write in, on a disk with room."
        ) from error
    return entry


def is_cached(kind: str, made_of: Mapping[str, object], *, cache: Path) -> bool:
    """Say whether ``cached_entry`` would find its entry."""
    return _is_whole(_entry(kind, made_of, cache), made_of)


def entry_name(made_of: Mapping[str, object]) -> str:
    """Return the name of an entry's folder, which follows from what made it."""
    return hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()[:20]


def published_name(name: str, note: str) -> str:
    """Return the name of the folder of a published set's archive, which follows from the note about it."""
    return f"{name}-{hashlib.sha256(note.encode()).hexdigest()[:16]}"


def _entry(kind: str, made_of: Mapping[str, object], cache: Path) -> Path:
    return cache / kind / entry_name(made_of)


@contextmanager
def _sole_maker(entry: Path) -> Iterator[None]:
    lock = FileLock(entry.parent / f".{entry.name}.lock")
    try:
        lock.acquire(timeout=_PATIENCE_S)
    except Timeout:
        log.info("cache: another process is at work on '%s'; waiting for it", entry)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextmanager
def _whole_folder(entry: Path) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``entry`` when the block ends well; hold the entry's lock."""
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


def _seal(folder: Path, made_of: Mapping[str, object]) -> None:
    """Write down what made the entry and what it holds."""
    write_text(folder / SEAL, json.dumps({"made_of": made_of, "holds": _holdings(folder)}, indent=2))


def _is_whole(entry: Path, made_of: Mapping[str, object]) -> bool:
    """Say whether an entry is there and holds, folder by folder, the files and bytes that were written."""
    try:
        sealed = json.loads((entry / SEAL).read_text(encoding="utf-8"))
        return bool(sealed == {"made_of": made_of, "holds": _holdings(entry)})
    except (OSError, ValueError):
        return False


def _holdings(folder: Path) -> dict[str, list[int]]:
    """Count the files of each folder of an entry, and their bytes."""
    held = {}
    for path, _, names in os.walk(folder):
        sizes = [os.stat(os.path.join(path, name)).st_size for name in names if name != SEAL]  # noqa: PTH116, PTH118
        held[Path(path).relative_to(folder).as_posix()] = [len(sizes), sum(sizes)]
    return dict(sorted(held.items()))
