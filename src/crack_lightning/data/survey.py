"""Every file looked at once: which decode, which are the same, which are twins; kept by what they hold."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, TypeVar

import cv2
import numpy as np
import PIL
from rich.console import Console
from rich.progress import track

from crack_lightning.cache_entries import cached_entry
from crack_lightning.data.appearance import APPEARANCE_VERSION, NUM_FEATURES, appearance
from crack_lightning.data.decoding import UnreadableImageError, decode_image
from crack_lightning.data.twins import PREVIEW_PX, TWINS_VERSION, preview, twin_pairs

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_CHUNK = 64
_FILE = "survey.npz"
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What is known of N files.

    Attributes:
        sha256: Hex digests, str ``(N,)``; empty where a file cannot be read at all.
        reason: Why a file does not decode, str ``(N,)``; empty where it does.
        twins: Pairs of files that show the same spot, int64 ``(P, 2)``; ``None`` where not looked for.
        appearance: See :mod:`crack_lightning.data.appearance`, float32 ``(N, F)``; NaN where a file does not
            decode.
    """

    sha256: NDArray[np.str_]
    reason: NDArray[np.str_]
    twins: NDArray[np.int64] | None
    appearance: NDArray[np.float32]


def survey(
    paths: Sequence[Path], *, twins: bool, num_workers: int, show_progress: bool, cache: Path
) -> Survey:
    """Hash every file; decode it completely, unless the cache knows files of just these bytes in this order.

    Args:
        paths: N picture files.
        twins: Whether to look for twins too.
        num_workers: Threads; the decoders release the interpreter's lock. 0 means one.
        show_progress: Whether to draw progress bars on standard error.
        cache: The cache folder.

    Raises:
        DataError: If the cache cannot be written.
    """
    sha256 = np.array(_in_threads(_sha256, paths, num_workers=num_workers, title=None), dtype="U64")
    there = np.flatnonzero(sha256 != "")
    known = [paths[row] for row in there.tolist()]

    def make(folder: Path) -> None:
        reason, previews, looks = survey_files(known, num_workers=num_workers, show_progress=show_progress)
        pairs = np.empty((0, 2), np.int64)
        if twins:
            found = twin_pairs(previews, num_workers=num_workers, show_progress=show_progress)
            pairs = np.flatnonzero(reason == "")[found]
        np.savez_compressed(folder / _FILE, reason=reason, pairs=pairs, appearance=looks)

    made_of = {
        "files": _fingerprint(known, sha256[there]),
        "twins": TWINS_VERSION if twins else None,
        "appearance": APPEARANCE_VERSION,
        "pillow": PIL.__version__,
        "opencv": cv2.__version__,
    }
    entry = cached_entry("surveys", made_of, make, cache=cache)
    with np.load(entry / _FILE, allow_pickle=False) as kept:
        kept_reason, pairs, looks = kept["reason"], kept["pairs"], kept["appearance"]
    reason = np.array([_problem(paths[row]) if sha256[row] == "" else "" for row in range(len(paths))])
    reason = reason.astype(np.result_type(reason, kept_reason))
    reason[there] = kept_reason
    appearances = np.full((len(paths), NUM_FEATURES), np.nan, np.float32)
    appearances[np.flatnonzero(reason == "")] = looks
    return Survey(sha256=sha256, reason=reason, twins=there[pairs] if twins else None, appearance=appearances)


def survey_files(
    paths: Sequence[Path], *, num_workers: int, show_progress: bool
) -> tuple[NDArray[np.str_], NDArray[np.uint8], NDArray[np.float32]]:
    """Decode N files completely.

    Returns:
        Why each fails, str ``(N,)``, empty where it does not; and of the M others previews for
        :func:`crack_lightning.data.twins.twin_pairs`, uint8 ``(M, 64, 64)``, and appearances, float32
        ``(M, F)``.
    """
    title = "Checking the files" if show_progress else None
    seen = _in_threads(_looked_at, paths, num_workers=num_workers, title=title)
    reason = np.array([look if isinstance(look, str) else "" for look in seen], dtype=np.str_)
    looks = [look for look in seen if not isinstance(look, str)]
    previews = np.empty((len(looks), PREVIEW_PX, PREVIEW_PX), np.uint8)
    appearances = np.empty((len(looks), NUM_FEATURES), np.float32)
    for row, (small, measured) in enumerate(looks):
        previews[row], appearances[row] = small, measured
    return reason, previews, appearances


def _looked_at(path: Path) -> str | tuple[NDArray[np.uint8], NDArray[np.float32]]:
    try:
        image = decode_image(path)
        small = preview(image)
        return small, appearance(image, small)
    except UnreadableImageError as error:
        return error.reason


def _problem(path: Path) -> str:
    seen = _looked_at(path)
    return seen if isinstance(seen, str) else "changed while it was read; try again"


def _in_threads(
    work: Callable[[Path], T], paths: Sequence[Path], *, num_workers: int, title: str | None
) -> list[T]:
    chunks = [paths[start : start + _CHUNK] for start in range(0, len(paths), _CHUNK)]
    with ThreadPoolExecutor(max(1, num_workers)) as pool:
        done = pool.map(lambda chunk: [work(path) for path in chunk], chunks)
        if title is not None:
            bar = Console(stderr=True)
            done = iter(track(done, description=title, total=len(chunks), console=bar, transient=True))
        return list(chain.from_iterable(done))


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _fingerprint(paths: Sequence[Path], sha256: NDArray[np.str_]) -> str:
    """Digest what decides whether files decode: their bytes, and their suffixes."""
    lines = (f"{digest}{path.suffix.lower()}\n" for path, digest in zip(paths, sha256, strict=True))
    return hashlib.sha256("".join(lines).encode()).hexdigest()
