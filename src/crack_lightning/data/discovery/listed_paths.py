"""Paths of tiles in lists that other systems wrote, matched with those of a table."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def own_paths(listed: Iterable[str], paths: Sequence[str]) -> dict[str, str]:
    r"""Return a table's path for each one of a list; a path that the table lacks stays as it is.

    The same path is meant, or the only one that differs in what another system writes for it: backslashes,
    ``./`` before it, accents apart from their letters.

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
    found = {}
    for path in listed:
        candidates = alike.get(_plain(path), [])
        found[path] = candidates[0] if path not in exact and len(candidates) == 1 else path
    return found


def _plain(path: str) -> str:
    return unicodedata.normalize("NFC", path.replace("\\", "/").removeprefix("./"))
