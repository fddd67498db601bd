"""Scan of a set's files: digests, decoding, image statistics, near-duplicates, adjacent tiles; cached."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import cv2
import numpy as np
import PIL
import simplejpeg

from crack_lightning.data.grouping.edge_matching import ADJACENCY_VERSION, EDGE_SAMPLES, adjacent_pairs, edges
from crack_lightning.data.grouping.filename_order import folders_in_order
from crack_lightning.data.grouping.grid_adjacency import grid_adjacent_pairs
from crack_lightning.data.grouping.near_duplicates import (
    NEAR_DUPLICATES_VERSION,
    PREVIEW_PX,
    near_duplicate_pairs,
    preview,
)
from crack_lightning.data.io.decoding import (
    DECODING_VERSION,
    FailedAccessError,
    UnreadableImageError,
    access_failure,
    decode_image,
)
from crack_lightning.data.scan.digests import content_digest, file_digest, order_digest
from crack_lightning.data.scan.image_stats import NUM_FEATURES, STATISTICS_VERSION, appearance
from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.runtime.cache import cached_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK = 64
_FILE = "scan.npz"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ScanResult:
    """The result of a scan of N files.

    Attributes:
        sha256: Hex digests, str ``(N,)``; empty for a file that cannot be read.
        reason: Decoding error of each file, str ``(N,)``; empty without error.
        near_duplicates: Pairs of near-duplicates, int64 ``(P, 2)``; ``None`` where not searched.
        adjacent: Pairs of adjacent tiles of a photo, by their edges alone or in the order of their names,
            int64 ``(Q, 2)``; ``None`` where not searched.
        appearance: See :mod:`crack_lightning.data.scan.image_stats`, float32 ``(N, F)``; NaN where a file
            does not decode.
    """

    sha256: NDArray[np.str_]
    reason: NDArray[np.str_]
    near_duplicates: NDArray[np.int64] | None
    adjacent: NDArray[np.int64] | None
    appearance: NDArray[np.float32]


class ImageStatistics(NamedTuple):
    """Descriptors of the pixels of one file, or of M: for near-duplicates, adjacent tiles and outliers.

    Attributes:
        preview: See :mod:`crack_lightning.data.grouping.near_duplicates`, uint8 ``([M,] 64, 64)``.
        edges: See :mod:`crack_lightning.data.grouping.edge_matching`, uint8 ``([M,] 4, E)``.
        appearance: See :mod:`crack_lightning.data.scan.image_stats`, float32 ``([M,] F)``.
    """

    preview: NDArray[np.uint8]
    edges: NDArray[np.uint8]
    appearance: NDArray[np.float32]

    @classmethod
    def empty(cls, number: int) -> ImageStatistics:
        """Allocate descriptors of ``number`` files."""
        return cls(
            np.empty((number, PREVIEW_PX, PREVIEW_PX), np.uint8),
            np.empty((number, 4, EDGE_SAMPLES), np.uint8),
            np.empty((number, NUM_FEATURES), np.float32),
        )


def scan_files(
    paths: Sequence[Path],
    *,
    near_duplicates: bool,
    adjacent: bool = False,
    num_workers: int,
    show_progress: bool,
    cache: Path,
) -> ScanResult:
    """Hash every file, and decode all completely unless the cache has a scan of the same bytes and order.

    Args:
        paths: N picture files.
        near_duplicates: Whether to search for near-duplicates.
        adjacent: Whether to search for adjacent tiles.
        num_workers: Threads; the decoders release the interpreter's lock. 0 means one.
        show_progress: Whether to draw progress bars on standard error.
        cache: The cache folder.

    Raises:
        DataError: If the cache cannot be written.
    """
    sha256 = np.array(_in_threads(file_digest, paths, num_workers=num_workers, title=None), dtype="U64")
    readable = np.flatnonzero(sha256 != "")
    cached = _cached_scan(
        [paths[row] for row in readable.tolist()],
        sha256[readable],
        near_duplicates=near_duplicates,
        adjacent=adjacent,
        num_workers=num_workers,
        show_progress=show_progress,
        cache=cache,
    )
    reason = np.array([_read_error(paths[row]) if sha256[row] == "" else "" for row in range(len(paths))])
    reason = reason.astype(np.result_type(reason, cached["reason"]))
    reason[readable] = cached["reason"]
    appearances = np.full((len(paths), NUM_FEATURES), np.nan, np.float32)
    appearances[np.flatnonzero(reason == "")] = cached["appearance"]
    return ScanResult(
        sha256=sha256,
        reason=reason,
        near_duplicates=readable[cached["near_duplicates"]] if near_duplicates else None,
        adjacent=readable[cached["adjacent"]] if adjacent else None,
        appearance=appearances,
    )


def _cached_scan(
    files: Sequence[Path],
    sha256: NDArray[np.str_],
    *,
    near_duplicates: bool,
    adjacent: bool,
    num_workers: int,
    show_progress: bool,
    cache: Path,
) -> dict[str, NDArray[Any]]:
    """Return the cached scan of readable files, by the names of :class:`ScanResult`'s attributes."""
    names = np.array([path.as_posix() for path in files], np.str_)

    def make(folder: Path) -> None:
        reason, of_content, statistics = decode_files(
            files, num_workers=num_workers, show_progress=show_progress
        )
        good = np.flatnonzero(reason == "")
        arrays: dict[str, Any] = {"reason": reason, "appearance": statistics.appearance}
        if near_duplicates:
            pairs = near_duplicate_pairs(
                statistics.preview, num_workers=num_workers, show_progress=show_progress
            )
            arrays["near_duplicates"] = good[pairs]
        if adjacent:
            folders = folders_in_order(names[good])
            beside = adjacent_pairs(statistics.edges, num_workers=num_workers)
            pairs = np.concatenate([beside, grid_adjacent_pairs(statistics.edges, folders)])
            arrays["adjacent"] = good[pairs]
        if not of_content.all():
            raise _UncachableScanError(arrays)
        np.savez_compressed(folder / _FILE, **arrays)

    fingerprint = {
        "files": content_digest(files, sha256),
        "near_duplicates": NEAR_DUPLICATES_VERSION if near_duplicates else None,
        "adjacent": ADJACENCY_VERSION if adjacent else None,
        "order": order_digest(names) if adjacent else None,
        "appearance": STATISTICS_VERSION,
        "decoding": DECODING_VERSION,
        "pillow": PIL.__version__,
        "simplejpeg": simplejpeg.__version__,
        "opencv": cv2.__version__,
    }
    try:
        entry = cached_entry("surveys", fingerprint, make, cache=cache)
    except _UncachableScanError as error:
        return error.arrays
    with np.load(entry / _FILE, allow_pickle=False) as cached:
        return dict(cached)


class _UncachableScanError(Exception):
    """A scan that must not be cached, because reading failed for a reason other than a file's content."""

    def __init__(self, arrays: dict[str, Any]) -> None:
        super().__init__()
        self.arrays = arrays


def decode_files(
    paths: Sequence[Path], *, num_workers: int, show_progress: bool
) -> tuple[NDArray[np.str_], NDArray[np.bool_], ImageStatistics]:
    """Decode N files; return why each fails, whether it always will, and the statistics of the others.

    The reasons are str ``(N,)``, empty for a file that decodes; whether it always fails is bool ``(N,)``.
    """
    title = "Checking the files" if show_progress else None
    results = _in_threads(_describe_file, paths, num_workers=num_workers, title=title)
    failed = [result if isinstance(result, UnreadableImageError) else None for result in results]
    reason = np.array(["" if error is None else error.reason for error in failed], dtype=np.str_)
    of_content = np.array([error is None or error.of_content for error in failed], np.bool_)
    good = [result for result in results if isinstance(result, ImageStatistics)]
    statistics = ImageStatistics.empty(len(good))
    for row, result in enumerate(good):
        statistics.preview[row], statistics.edges[row], statistics.appearance[row] = result
    return reason, of_content, statistics


def _describe_file(path: Path) -> UnreadableImageError | ImageStatistics:
    try:
        image = decode_image(path)
        small = preview(image)
        return ImageStatistics(small, edges(image), appearance(image, small))
    except UnreadableImageError as error:
        return error
    except MemoryError as error:
        return UnreadableImageError.about(path, FailedAccessError(access_failure(error)))


def _read_error(path: Path) -> str:
    result = _describe_file(path)
    if isinstance(result, UnreadableImageError):
        return result.reason
    return "the system could not read it at first, or it changed; try again"


def _in_threads(
    work: Callable[[Path], T], paths: Sequence[Path], *, num_workers: int, title: str | None
) -> list[T]:
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        done = pool.map(lambda chunk: [work(path) for path in chunk], chunks)
        return list(chain.from_iterable(progress_bar(done, title, total=len(chunks))))
