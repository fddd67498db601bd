"""Pairs of near-duplicates and of adjacent tiles among the files of a scan, cached by their contents."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.grouping.edge_matching import ADJACENCY_VERSION, EDGE_SAMPLES, adjacent_pairs
from crack_lightning.data.grouping.filename_order import folders_in_order
from crack_lightning.data.grouping.grid_adjacency import grid_adjacent_pairs
from crack_lightning.data.grouping.near_duplicates import (
    NEAR_DUPLICATES_VERSION,
    PREVIEW_PX,
    near_duplicate_pairs,
)
from crack_lightning.data.scan.description import DESCRIPTION_VERSION, PREVIEW_BYTES
from crack_lightning.data.scan.rows_file import RowsFile
from crack_lightning.runtime.cache import cached_entry

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.scan.file_table import FileTable

_FILE = "pairs.npz"
_CHUNK = 500
_MOST_IN_MEMORY = 2**28
"""Bytes of descriptors from which they are on the disk, in the cache."""


class LostContentError(Exception):
    """Contents are missing from the table, or were incomplete there; the scan reads their files again."""


@dataclass(frozen=True, kw_only=True)
class PairSearch:
    """Which pairs to search.

    Attributes:
        near_duplicates: Whether to search for near-duplicates.
        adjacent: Whether to search for adjacent tiles.
        num_workers: Threads.
        show_progress: Whether to draw progress bars on standard error.
        cache: The cache folder.
    """

    near_duplicates: bool
    adjacent: bool
    num_workers: int
    show_progress: bool
    cache: Path

    def find(
        self,
        table: FileTable,
        *,
        content_id: NDArray[np.int64],
        digest: NDArray[np.uint8],
        names: NDArray[np.str_],
    ) -> dict[str, NDArray[np.int64]]:
        """Return the pairs among M files that decode, from the cache if it has them.

        Args:
            table: Holds the descriptors.
            content_id: Ids of the contents there, int64 ``(M,)``.
            digest: Their digests, uint8 ``(M, 32)``.
            names: Paths of the files, str ``(M,)``.

        Returns:
            Row numbers, int64 ``(P, 2)``, by name of the search.

        Raises:
            LostContentError: If the table lacks descriptors.
        """
        if not (self.near_duplicates or self.adjacent):
            return {}
        fingerprint = {
            "contents": hashlib.sha256(digest.tobytes()).hexdigest(),
            "descriptors": DESCRIPTION_VERSION,
            "near_duplicates": NEAR_DUPLICATES_VERSION if self.near_duplicates else None,
            "adjacent": ADJACENCY_VERSION if self.adjacent else None,
            "order": _order_digest(names) if self.adjacent else None,
        }

        def make(folder: Path) -> None:
            with self._descriptors(table, content_id, digest) as (previews, edges):
                np.savez_compressed(folder / _FILE, **self._search(previews, edges, names))

        entry = cached_entry("pairs", fingerprint, make, cache=self.cache)
        with np.load(entry / _FILE, allow_pickle=False) as cached:
            return dict(cached)

    def _search(
        self, previews: NDArray[np.uint8], edges: NDArray[np.uint8], names: NDArray[np.str_]
    ) -> dict[str, Any]:
        pairs: dict[str, Any] = {}
        if self.near_duplicates:
            pairs["near_duplicates"] = near_duplicate_pairs(
                previews, num_workers=self.num_workers, show_progress=self.show_progress
            )
        if self.adjacent:
            beside = adjacent_pairs(edges, num_workers=self.num_workers)
            in_order = grid_adjacent_pairs(edges, folders_in_order(names))
            pairs["adjacent"] = np.concatenate([beside, in_order])
        return pairs

    @contextmanager
    def _descriptors(
        self, table: FileTable, content_id: NDArray[np.int64], digest: NDArray[np.uint8]
    ) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """Yield previews, uint8 ``(M, 64, 64)``, and edges, ``(M, 4, E)``; those of many are on the disk."""
        size, chunks = PREVIEW_BYTES + 4 * EDGE_SAMPLES, _chunks(table, content_id, digest)
        if len(content_id) * size <= _MOST_IN_MEMORY:
            rows = np.frombuffer(b"".join(chunks), np.uint8).reshape(-1, size)
            previews = rows[:, :PREVIEW_BYTES].reshape(-1, PREVIEW_PX, PREVIEW_PX)
            yield previews, rows[:, PREVIEW_BYTES:].reshape(-1, 4, EDGE_SAMPLES)
            return
        with RowsFile.written(chunks, row_bytes=size, folder=self.cache) as file:
            edges = file.columns(PREVIEW_BYTES, (4, EDGE_SAMPLES))
            searched = edges[: len(content_id) * self.adjacent].copy()  # a view would keep what was read
            yield file.columns(0, (PREVIEW_PX, PREVIEW_PX)), searched


def _chunks(table: FileTable, content_id: NDArray[np.int64], digest: NDArray[np.uint8]) -> Iterator[bytes]:
    """Yield the descriptors of consecutive files; forget the contents of those that are lost."""
    for start in range(0, len(content_id), _CHUNK):
        rows = table.descriptors(content_id[start : start + _CHUNK].tolist())
        if lost := [digest[start + row].tobytes() for row, data in enumerate(rows) if not data]:
            table.forget(lost)
            raise LostContentError
        yield b"".join(rows)


def _order_digest(names: NDArray[np.str_]) -> str:
    """Return a digest of the order of files by name in each folder, independent of the folder's path."""
    folders = [",".join(map(str, rows.tolist())) for rows in folders_in_order(names)]
    return hashlib.sha256("\n".join(folders).encode()).hexdigest()
