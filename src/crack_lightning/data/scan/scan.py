"""One pass over the files of a set: digests, decoding, near-duplicates, adjacent tiles; cached by content."""

from __future__ import annotations

import hashlib
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
from crack_lightning.data.scan.image_stats import NUM_FEATURES, STATISTICS_VERSION, appearance
from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.runtime.cache import cached_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK = 64
_FILE = "survey.npz"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class ScanResult:
    """The result of a scan of N files.

    Attributes:
        sha256: Hex digests, str ``(N,)``; empty where a file cannot be read at all.
        reason: Why a file does not decode, str ``(N,)``; empty where it does.
        twins: Pairs of near-duplicates, int64 ``(P, 2)``; ``None`` where not searched.
        touching: Pairs of adjacent tiles of a photo, by their edges alone or in the order of their names,
            int64 ``(Q, 2)``; ``None`` where not searched.
        appearance: See :mod:`crack_lightning.data.scan.image_stats`, float32 ``(N, F)``; NaN where a file
            does not decode.
    """

    sha256: NDArray[np.str_]
    reason: NDArray[np.str_]
    twins: NDArray[np.int64] | None
    touching: NDArray[np.int64] | None
    appearance: NDArray[np.float32]


class Looks(NamedTuple):
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
    def empty(cls, number: int) -> Looks:
        """Allocate descriptors of ``number`` files."""
        return cls(
            np.empty((number, PREVIEW_PX, PREVIEW_PX), np.uint8),
            np.empty((number, 4, EDGE_SAMPLES), np.uint8),
            np.empty((number, NUM_FEATURES), np.float32),
        )


def survey(
    paths: Sequence[Path],
    *,
    twins: bool,
    touching: bool = False,
    num_workers: int,
    show_progress: bool,
    cache: Path,
) -> ScanResult:
    """Hash every file, and decode all completely unless the cache has a scan of the same bytes and order.

    Args:
        paths: N picture files.
        twins: Whether to search near-duplicates.
        touching: Whether to search adjacent tiles.
        num_workers: Threads; the decoders release the interpreter's lock. 0 means one.
        show_progress: Whether to draw progress bars on standard error.
        cache: The cache folder.

    Raises:
        DataError: If the cache cannot be written.
    """
    sha256 = np.array(_in_threads(_sha256, paths, num_workers=num_workers, title=None), dtype="U64")
    there = np.flatnonzero(sha256 != "")
    kept = _kept(
        [paths[row] for row in there.tolist()],
        sha256[there],
        twins=twins,
        touching=touching,
        num_workers=num_workers,
        show_progress=show_progress,
        cache=cache,
    )
    reason = np.array([_problem(paths[row]) if sha256[row] == "" else "" for row in range(len(paths))])
    reason = reason.astype(np.result_type(reason, kept["reason"]))
    reason[there] = kept["reason"]
    appearances = np.full((len(paths), NUM_FEATURES), np.nan, np.float32)
    appearances[np.flatnonzero(reason == "")] = kept["appearance"]
    return ScanResult(
        sha256=sha256,
        reason=reason,
        twins=there[kept["twins"]] if twins else None,
        touching=there[kept["touching"]] if touching else None,
        appearance=appearances,
    )


def _kept(
    files: Sequence[Path],
    sha256: NDArray[np.str_],
    *,
    twins: bool,
    touching: bool,
    num_workers: int,
    show_progress: bool,
    cache: Path,
) -> dict[str, NDArray[Any]]:
    """Return the cached scan of readable files, by the names of :class:`ScanResult`'s attributes."""
    names = np.array([path.as_posix() for path in files], np.str_)

    def make(folder: Path) -> None:
        reason, of_content, looks = scan_files(files, num_workers=num_workers, show_progress=show_progress)
        good = np.flatnonzero(reason == "")
        made: dict[str, Any] = {"reason": reason, "appearance": looks.appearance}
        if twins:
            found = near_duplicate_pairs(looks.preview, num_workers=num_workers, show_progress=show_progress)
            made["twins"] = good[found]
        if touching:
            folders = folders_in_order(names[good])
            beside = adjacent_pairs(looks.edges, num_workers=num_workers)
            found = np.concatenate([beside, grid_adjacent_pairs(looks.edges, folders)])
            made["touching"] = good[found]
        if not of_content.all():
            raise _NotForTheCacheError(made)
        np.savez_compressed(folder / _FILE, **made)

    made_of = {
        "files": _fingerprint(files, sha256),
        "twins": NEAR_DUPLICATES_VERSION if twins else None,
        "touching": ADJACENCY_VERSION if touching else None,
        "order": _order(names) if touching else None,
        "appearance": STATISTICS_VERSION,
        "decoding": DECODING_VERSION,
        "pillow": PIL.__version__,
        "simplejpeg": simplejpeg.__version__,
        "opencv": cv2.__version__,
    }
    try:
        entry = cached_entry("surveys", made_of, make, cache=cache)
    except _NotForTheCacheError as error:
        return error.made
    with np.load(entry / _FILE, allow_pickle=False) as kept:
        return dict(kept)


class _NotForTheCacheError(Exception):
    """A scan that must not be cached, as some files could not be read this time."""

    def __init__(self, made: dict[str, Any]) -> None:
        super().__init__()
        self.made = made


def scan_files(
    paths: Sequence[Path], *, num_workers: int, show_progress: bool
) -> tuple[NDArray[np.str_], NDArray[np.bool_], Looks]:
    """Decode N files; return why each fails, str ``(N,)``, whether it always will, and the others' looks."""
    title = "Checking the files" if show_progress else None
    seen = _in_threads(_looked_at, paths, num_workers=num_workers, title=title)
    failed = [look if isinstance(look, UnreadableImageError) else None for look in seen]
    reason = np.array(["" if error is None else error.reason for error in failed], dtype=np.str_)
    of_content = np.array([error is None or error.of_content for error in failed], np.bool_)
    good = [look for look in seen if isinstance(look, Looks)]
    looks = Looks.empty(len(good))
    for row, look in enumerate(good):
        looks.preview[row], looks.edges[row], looks.appearance[row] = look
    return reason, of_content, looks


def _looked_at(path: Path) -> UnreadableImageError | Looks:
    try:
        image = decode_image(path)
        small = preview(image)
        return Looks(small, edges(image), appearance(image, small))
    except UnreadableImageError as error:
        return error
    except MemoryError as error:
        return UnreadableImageError.about(path, FailedAccessError(access_failure(error)))


def _problem(path: Path) -> str:
    seen = _looked_at(path)
    if isinstance(seen, UnreadableImageError):
        return seen.reason
    return "the system could not read it at first, or it changed; try again"


def _in_threads(
    work: Callable[[Path], T], paths: Sequence[Path], *, num_workers: int, title: str | None
) -> list[T]:
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        done = pool.map(lambda chunk: [work(path) for path in chunk], chunks)
        return list(chain.from_iterable(progress_bar(done, title, total=len(chunks))))


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, MemoryError):
        return ""


def _fingerprint(paths: Sequence[Path], sha256: NDArray[np.str_]) -> str:
    """Return a digest of what decides whether files decode: their bytes and suffixes."""
    lines = (f"{digest}{path.suffix.lower()}\n" for path, digest in zip(paths, sha256, strict=True))
    return hashlib.sha256("".join(lines).encode("utf-8", "surrogatepass")).hexdigest()


def _order(names: NDArray[np.str_]) -> str:
    """Return a digest of the order of files by name in each folder, independent of the folder's place."""
    folders = [",".join(map(str, rows.tolist())) for rows in folders_in_order(names)]
    return hashlib.sha256("\n".join(folders).encode()).hexdigest()
