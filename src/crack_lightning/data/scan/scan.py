"""Scan of a set's files: each is read once, and what is known of it remembered between runs."""

from __future__ import annotations

import os
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from crack_lightning.data.io.formats import IMAGE_SUFFIXES, suffix_problem
from crack_lightning.data.io.ordered_map import map_in_threads
from crack_lightning.data.scan.description import DIGEST_BYTES, Description, describe_file
from crack_lightning.data.scan.file_table import FileTable, KnownFile, Stamp, is_damage
from crack_lightning.data.scan.image_stats import NUM_FEATURES
from crack_lightning.data.scan.pairs import LostContentError, PairSearch
from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

_BATCH, _CHUNK = 512, 64
"""Number of files of a query of the table, and of those that a thread reads at once."""
_ATTEMPTS = 3


@dataclass(frozen=True, kw_only=True)
class ScanResult:
    """The result of a scan of N files.

    Attributes:
        digest: SHA-256, uint8 ``(N, 32)``; zeros for a file that cannot be read.
        reason: Decoding error of each file, str ``(N,)``; empty without error.
        size: Width and height in pixels as stored, int32 ``(N, 2)``; 0 where a file does not decode.
        mode: Pillow's name of the pixel format, str ``(N,)``; empty where a file does not decode.
        appearance: See :mod:`crack_lightning.data.scan.image_stats`, float32 ``(N, F)``; NaN where a file
            does not decode.
        near_duplicates: Pairs of near-duplicates, int64 ``(P, 2)``; ``None`` where not searched.
        adjacent: Pairs of adjacent tiles of a photo, by their edges or by the order of their names, int64
            ``(Q, 2)``; ``None`` where not searched.
    """

    digest: NDArray[np.uint8]
    reason: NDArray[np.str_]
    size: NDArray[np.int32]
    mode: NDArray[np.str_]
    appearance: NDArray[np.float32]
    near_duplicates: NDArray[np.int64] | None = None
    adjacent: NDArray[np.int64] | None = None

    @property
    def sha256(self) -> NDArray[np.str_]:
        """Hex digests, str ``(N,)``; empty for a file that cannot be read."""
        named = np.frombuffer(self.digest.tobytes().hex().encode(), f"S{2 * DIGEST_BYTES}").astype(np.str_)
        named[~self.digest.any(axis=1)] = ""
        return named


def scan_files(
    root: Path,
    names: NDArray[np.str_],
    *,
    near_duplicates: bool,
    adjacent: bool = False,
    rescan: bool = False,
    num_workers: int,
    show_progress: bool,
    cache: Path,
) -> ScanResult:
    """Read and decode the files that are not known yet, and return what is known of all.

    A file is known by its path, as long as its size, its times and its inode are the remembered ones; its
    bytes are known by their digest. What fails for a reason other than the bytes is tried again next time.

    Args:
        root: The folder.
        names: Paths of N picture files relative to it, str ``(N,)``.
        near_duplicates: Whether to search for near-duplicates.
        adjacent: Whether to search for adjacent tiles.
        rescan: Whether to read and decode every file again.
        num_workers: Threads; the decoders release the interpreter's lock. 0 means one.
        show_progress: Whether to draw progress bars on standard error.
        cache: The cache folder.

    Raises:
        DataError: If the cache cannot be written.
    """
    search = PairSearch(
        near_duplicates=near_duplicates,
        adjacent=adjacent,
        num_workers=num_workers,
        show_progress=show_progress,
        cache=cache,
    )
    folder = os.path.join(os.path.abspath(root), "")  # noqa: PTH100, PTH118  # keeps links, ends with "/"
    try:
        with FileTable(cache) as table:
            return _until_whole(table, lambda: _scan(folder, names, table, search, rescan=rescan))
    except (OSError, sqlite3.DatabaseError) as error:
        raise DataError(
            f"CRACK_LIGHTNING_CACHE: cannot write what is known of the files to '{cache}' ({error}); "
            "set it to a writable folder on a disk with enough space."
        ) from error


def _until_whole(table: FileTable, scan: Callable[[], ScanResult]) -> ScanResult:
    """Scan; if the table is damaged, scan again with a new table or without the lost contents."""
    for _ in range(_ATTEMPTS - 1):
        try:
            return scan()
        except LostContentError:
            continue
        except sqlite3.DatabaseError as error:
            if not is_damage(error):
                raise
            table.replace()
    return scan()


@dataclass(frozen=True)
class _Columns:
    """Columns of an unfinished scan, ``content_id`` -1 where a file does not decode, and reasons by row."""

    digest: NDArray[np.uint8]
    size: NDArray[np.int32]
    mode: NDArray[np.str_]
    appearance: NDArray[np.float32]
    content_id: NDArray[np.int64]
    reasons: dict[int, str] = field(default_factory=dict)

    @classmethod
    def empty(cls, number: int) -> _Columns:
        return cls(
            np.zeros((number, DIGEST_BYTES), np.uint8),
            np.zeros((number, 2), np.int32),
            np.zeros(number, "U8"),
            np.full((number, NUM_FEATURES), np.nan, np.float32),
            np.full(number, -1, np.int64),
        )

    def fill(self, row: int, known: KnownFile, reason: str) -> None:
        """Write a row; ``reason`` is that of the file rather than of its content."""
        if known.digest:
            self.digest[row] = np.frombuffer(known.digest, np.uint8)
        content = known.content
        if reason or (content is not None and content.reason):
            self.reasons[row] = reason or (content.reason if content else "")
        elif content is not None and known.content_id is not None:
            self.size[row] = content.width, content.height
            self.mode[row] = content.mode
            self.appearance[row] = np.frombuffer(content.statistics, "<f4")
            self.content_id[row] = known.content_id


class _Read(NamedTuple):
    """A file that was read: row, path, and its stamp before reading, ``None`` if that is unreliable."""

    row: int
    path: str
    stamp: Stamp | None
    description: Description


def _scan(
    folder: str, names: NDArray[np.str_], table: FileTable, search: PairSearch, *, rescan: bool
) -> ScanResult:
    columns = _Columns.empty(len(names))
    unknown = list(range(len(names))) if rescan else _look_up(folder, names, table, columns)
    is_known = table.is_known if not rescan else lambda _: False
    for batch in _read_files(folder, names, unknown, search, is_known=is_known):
        _remember(batch, table, columns)
    reason: NDArray[Any] = np.full(len(names), "", np.dtypes.StringDType())  # few rows have a long one
    reason[list(columns.reasons)] = list(columns.reasons.values())
    good = np.flatnonzero(reason == "")
    pairs = search.find(
        table, content_id=columns.content_id[good], digest=columns.digest[good], names=names[good]
    )
    return ScanResult(
        digest=columns.digest,
        reason=reason,
        size=columns.size,
        mode=columns.mode,
        appearance=columns.appearance,
        near_duplicates=good[pairs["near_duplicates"]] if search.near_duplicates else None,
        adjacent=good[pairs["adjacent"]] if search.adjacent else None,
    )


def _look_up(folder: str, names: NDArray[np.str_], table: FileTable, columns: _Columns) -> list[int]:
    """Fill the rows of known files; return the others."""
    unknown = []
    for start in range(0, len(names), _BATCH):
        paths = [folder + name for name in names[start : start + _BATCH].tolist()]
        files = table.lookup([os.fsencode(path) for path in paths], [Stamp.of(path) for path in paths])
        for row, (path, known) in enumerate(zip(paths, files, strict=True), start):
            problem = _suffix_problem(path)
            if known is None or (known.content is None and not problem):
                unknown.append(row)
            else:
                columns.fill(row, known, problem)
    return unknown


def _read_files(
    folder: str,
    names: NDArray[np.str_],
    rows: Sequence[int],
    search: PairSearch,
    *,
    is_known: Callable[[bytes], bool],
) -> Iterator[list[_Read]]:
    """Yield batches of files as they are read."""
    chunks = [rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK)]

    def read(chunk: Sequence[int]) -> list[_Read]:
        return [_read(row, f"{folder}{names[row]}", is_known) for row in chunk]

    done = map_in_threads(read, chunks, num_workers=max(1, search.num_workers))
    title = "Checking the files" if search.show_progress and rows else None
    batch: list[_Read] = []
    for part in progress_bar(done, title, total=len(chunks)):
        batch += part
        if len(batch) >= _BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _read(row: int, path: str, is_known: Callable[[bytes], bool]) -> _Read:
    stamp = Stamp.of(path)
    settled = stamp is not None and stamp.is_settled(time.time_ns())
    return _Read(row, path, stamp if settled else None, describe_file(Path(path), is_known=is_known))


def _remember(batch: Sequence[_Read], table: FileTable, columns: _Columns) -> None:
    """Write a batch of files to the table, and fill their rows from it."""
    table.remember(
        (
            (os.fsencode(item.path), item.stamp, item.description.digest)
            for item in batch
            if item.stamp is not None and not item.description.reason
        ),
        (item.description.content for item in batch if item.description.content is not None),
    )
    contents = table.contents([item.description.digest for item in batch])
    for item in batch:
        digest, _, reason = item.description
        known = contents.get(digest) or KnownFile(digest, None, None)
        reason = _suffix_problem(item.path) or reason
        if known.content is None and not reason:  # forgotten meanwhile
            raise LostContentError
        columns.fill(item.row, known, reason)


def _suffix_problem(path: str) -> str:
    return "" if path.lower().endswith(IMAGE_SUFFIXES) else suffix_problem(Path(path)) or ""
