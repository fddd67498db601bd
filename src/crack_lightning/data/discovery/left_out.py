"""Counts of unused pictures under a root, by folder and reason."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DEPTH = 2
_NAMED = 6


class LeftOut(NamedTuple):
    """Files of one folder that are left out for one reason.

    Attributes:
        folder: POSIX path relative to the root, its first two parts; ``.`` for the root itself.
        files: Number of files in the folder and below.
        reason: The reason, as a phrase.
    """

    folder: str
    files: int
    reason: str


def count_left_out(files: Iterable[tuple[str, str]]) -> tuple[LeftOut, ...]:
    """Count files, each a path relative to the root and a reason, by folder and reason.

    Examples:
        >>> count_left_out([("a.jpg", "loose"), ("more/b/c/d.jpg", "loose"), ("more/b/e.jpg", "loose")])
        (LeftOut(folder='.', files=1, reason='loose'), LeftOut(folder='more/b', files=2, reason='loose'))
    """
    counts = Counter(("/".join(path.split("/")[:-1][:_DEPTH]) or ".", reason) for path, reason in files)
    return tuple(LeftOut(folder, files, reason) for (folder, reason), files in sorted(counts.items()))


def describe_left_out(left_out: Sequence[LeftOut]) -> str:
    """Return one sentence about the files left out, the largest folders first; empty without any.

    Examples:
        >>> describe_left_out([LeftOut("test", 20, "in no class folder"), LeftOut(".", 1, "a broken link")])
        "21 pictures left out: 20 in 'test' (in no class folder); 1 in '.' (a broken link)"
    """
    if not left_out:
        return ""
    total = sum(item.files for item in left_out)
    ordered = sorted(left_out, key=lambda item: -item.files)
    parts = [f"{item.files:,} in '{item.folder}' ({item.reason})" for item in ordered[:_NAMED]]
    more = f"; and {len(ordered) - _NAMED:,} folders more" if len(ordered) > _NAMED else ""
    return f"{total:,} {'picture' if total == 1 else 'pictures'} left out: {'; '.join(parts)}{more}"
