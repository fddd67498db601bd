"""Paths of tiles in lists of other systems, matched with those of a table."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def own_paths(listed: Iterable[str], paths: Sequence[str]) -> dict[str, str]:
    r"""Return the table's path for each path of a list; a path that the table lacks is unchanged.

    Paths match if they are equal, or uniquely up to backslashes, a prefix ``./`` and Unicode normal form.

    Args:
        listed: Paths as they stand in a list.
        paths: Paths of the table.

    Examples:
        >>> own_paths(["crack\\a.jpg", "./b.jpg", "gone.jpg"], ["crack/a.jpg", "b.jpg"])
        {'crack\\a.jpg': 'crack/a.jpg', './b.jpg': 'b.jpg', 'gone.jpg': 'gone.jpg'}
    """
    exact = set(paths)
    alike = defaultdict(list)
    for path in paths:
        alike[_plain(path)].append(path)
    matched = {}
    for path in listed:
        candidates = alike.get(_plain(path), [])
        matched[path] = candidates[0] if path not in exact and len(candidates) == 1 else path
    return matched


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))
