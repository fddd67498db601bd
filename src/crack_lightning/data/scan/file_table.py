"""Table in the cache of what is known of files (SQLite), shared by all runs.

``files`` has the digest of each path with the stamp of its last change, ``contents`` a description of each
digest, and ``descriptors`` its pixels for the searches. Adding a file to 10^6 rows writes one row; Parquet,
five times as fast to write, needs a new file or a full rewrite (``docs/scale.md``).
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import time
import zlib
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from filelock import FileLock

from crack_lightning.data.scan.description import DESCRIPTION_VERSION, DIGEST_BYTES, Content
from crack_lightning.runtime.cache import SEAL, entry_name
from crack_lightning.runtime.files.atomic_write import write_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_KIND, _SCHEMA_VERSION = "files", 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS files (
    path BLOB PRIMARY KEY, size INTEGER, modified_ns INTEGER, changed_ns INTEGER, inode INTEGER, digest BLOB
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS contents (
    id INTEGER PRIMARY KEY, digest BLOB UNIQUE, version TEXT, width INTEGER, height INTEGER, mode TEXT,
    reason TEXT, statistics BLOB, checksum INTEGER
);
CREATE TABLE IF NOT EXISTS descriptors (id INTEGER PRIMARY KEY, data BLOB, checksum INTEGER);
"""
_LOOK_UP = """
SELECT path, size, modified_ns, changed_ns, inode,
    files.digest, id, width, height, mode, reason, statistics, checksum
FROM files LEFT JOIN contents ON contents.digest = files.digest AND version = ? WHERE path IN ({})
"""
_READ_CONTENTS = """
SELECT digest, id, width, height, mode, reason, statistics, checksum
FROM contents WHERE version = ? AND digest IN ({})
"""
_READ_DESCRIPTORS = "SELECT id, data, checksum FROM descriptors WHERE id IN ({})"
_WRITE_CONTENT = """
INSERT INTO contents (version, digest, width, height, mode, reason, statistics, checksum)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (digest) DO UPDATE SET (version, width, height, mode, reason, statistics, checksum) =
    (excluded.version, excluded.width, excluded.height, excluded.mode, excluded.reason, excluded.statistics,
    excluded.checksum)
RETURNING id
"""
_WAIT_S, _SETTLED_NS = 60, 2 * 10**9
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "lustre", "gpfs", "beegfs", "ceph", "afs"}
)
_NOT_DAMAGE = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_PERM,
        sqlite3.SQLITE_NOMEM,
    }
)


class Stamp(NamedTuple):
    """What changes whenever a file does: size in bytes, times in ns, inode."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, path: str) -> Self | None:
        """Return the stamp of a file; ``None`` if it cannot be accessed."""
        try:
            status = os.stat(path)  # noqa: PTH116  # a third of Path's time
        except (OSError, ValueError):
            return None
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)

    def is_settled(self, now_ns: int) -> bool:
        """Return whether a later change is certain to give another stamp.

        File systems count time in steps of up to 2 s, so that a file may change again without a trace until
        the step is over.
        """
        changed = self.modified_ns if os.name == "nt" else self.changed_ns
        return changed < now_ns - _SETTLED_NS


class KnownFile(NamedTuple):
    """A remembered file: its digest; the id and the description of its content, if that is up to date."""

    digest: bytes
    content_id: int | None
    content: Content | None


class FileTable:
    """Connection to the table; to be closed, as by ``with``.

    Raises:
        OSError: If the cache cannot be written.
        sqlite3.DatabaseError: By every method, if the table is damaged or cannot be written; see
            :func:`is_damage` and :meth:`replace`.
    """

    def __init__(self, cache: Path) -> None:
        self._home = cache / _KIND
        self._home.mkdir(parents=True, exist_ok=True)
        self._lock = RLock()
        with FileLock(self._home / ".lock"):
            self._folder = _newest(self._home) or _create(self._home)
            try:
                self._open()
            except sqlite3.DatabaseError as error:
                self._connection.close()
                if not is_damage(error):
                    raise
                self._begin_anew()

    def _open(self) -> None:
        self._connection = sqlite3.connect(
            self._folder / "files.sqlite", timeout=_WAIT_S, isolation_level=None, check_same_thread=False
        )
        # WAL lets others read while one writes; it needs shared memory, which a network lacks
        mode = "DELETE" if _is_on_network(self._folder) else "WAL"
        self._connection.executescript(f"PRAGMA journal_mode={mode}; PRAGMA synchronous=NORMAL; {_SCHEMA}")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def replace(self) -> None:
        """Begin an empty table in place of this one, unless another process has done so."""
        self._connection.close()
        with FileLock(self._home / ".lock"):
            newest = _newest(self._home)
            if newest is not None and newest != self._folder:
                self._folder = newest
                self._open()
            else:
                self._begin_anew()

    def _begin_anew(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)  # other processes go on with the one they have open
        self._folder = _create(self._home)
        self._open()

    def lookup(self, paths: Sequence[bytes], stamps: Sequence[Stamp | None]) -> list[KnownFile | None]:
        """Return what is known of each file; ``None`` for one that is new or has another stamp."""
        rows = self._select(_LOOK_UP, paths, DESCRIPTION_VERSION)
        by_path = {row[0]: row[1:] for row in rows}
        return [
            self._intact(by_path[path][4:]) if path in by_path and by_path[path][:4] == stamp else None
            for path, stamp in zip(paths, stamps, strict=True)
        ]

    def contents(self, digests: Sequence[bytes]) -> dict[bytes, KnownFile]:
        """Return the known contents by digest."""
        rows = self._select(_READ_CONTENTS, digests, DESCRIPTION_VERSION)
        return {row[0]: known for row in rows if (known := self._intact(row)) is not None}

    def is_known(self, digest: bytes) -> bool:
        """Return whether a content is described by this version of the code."""
        return bool(self._select(_READ_CONTENTS, [digest], DESCRIPTION_VERSION))

    def remember(self, files: Iterable[tuple[bytes, Stamp, bytes]], contents: Iterable[Content]) -> None:
        """Write files (path, stamp, digest) and descriptions of contents in one transaction."""
        with self._transaction() as connection:
            for content in contents:
                row = (DESCRIPTION_VERSION, *content[:6], _checksum(content[:6]))
                ((number,),) = connection.execute(_WRITE_CONTENT, row).fetchall()
                data = content.descriptors
                connection.execute(
                    "INSERT OR REPLACE INTO descriptors VALUES (?, ?, ?)", (number, data, _checksum(data))
                )
            connection.executemany(
                "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
                ((path, *stamp, digest) for path, stamp, digest in files),
            )

    def descriptors(self, content_ids: Sequence[int]) -> list[bytes]:
        """Return the descriptors of contents; empty for one that is lost or damaged."""
        rows = self._select(_READ_DESCRIPTORS, content_ids)
        intact = {number: data for number, data, checksum in rows if _checksum(data) == checksum}
        return [intact.get(number, b"") for number in content_ids]

    def forget(self, digests: Iterable[bytes]) -> None:
        """Forget contents, so that their files are read again."""
        with self._transaction() as connection:
            connection.executemany("DELETE FROM contents WHERE digest = ?", ((digest,) for digest in digests))

    def _select(self, query: str, values: Sequence[object], *before: object) -> list[tuple[Any, ...]]:
        """Return a query's rows; its parameters are ``before``, then ``values``."""
        with self._lock:
            places = ",".join("?" * len(values))
            return self._connection.execute(query.format(places), (*before, *values)).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, self._connection as connection:  # commits, or rolls back
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def _intact(self, row: tuple[Any, ...]) -> KnownFile | None:
        """Return a row, ``None`` for a damaged digest; forget a damaged content."""
        digest, number, *columns, checksum = row
        if not isinstance(digest, bytes) or len(digest) != DIGEST_BYTES:
            return None
        if number is None:
            return KnownFile(digest, None, None)
        content = Content(digest, *columns)
        if _checksum(content[:6]) == checksum:
            return KnownFile(digest, number, content)
        self.forget([digest])
        return KnownFile(digest, None, None)


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Return whether an error means a damaged table, not lack of space or permissions."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF not in _NOT_DAMAGE


def _checksum(value: object) -> int:
    """Return a checksum; damage may give a value any type."""
    return zlib.crc32(value if isinstance(value, bytes) else repr(value).encode())


def _newest(home: Path) -> Path | None:
    """Return the folder of the newest table of this schema; ``None`` without any."""
    made = {}
    for note in home.glob(f"*/{SEAL}"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            made_of = json.loads(note.read_text(encoding="utf-8"))["made_of"]
            if made_of["schema"] == _SCHEMA_VERSION:
                made[int(made_of["made_ns"])] = note.parent
    return made[max(made)] if made else None


def _create(home: Path) -> Path:
    """Create the folder of a table; its name is new, as others may still have an older one open."""
    made_of = {"schema": _SCHEMA_VERSION, "made_ns": time.time_ns()}
    folder = home / entry_name(made_of)
    folder.mkdir()
    write_text(folder / SEAL, json.dumps({"made_of": made_of, "holds": {}}))
    return folder


def _is_on_network(folder: Path) -> bool:
    """Return whether a folder is on a network file system; always false outside Linux."""
    with suppress(OSError):
        mounts = [line.split() for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()]
        above = {str(parent) for parent in (folder.resolve(), *folder.resolve().parents)}
        kinds = {len(mount[1]): mount[2] for mount in mounts if mount[1] in above}
        return bool(kinds) and kinds[max(kinds)].removeprefix("fuse.") in _NETWORK
    return False
