"""One rule for paths: how those that are given are read, and where what is made of files is written."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

PATH_KEYS = frozenset(
    {
        *("source", "runs", "checkpoint", "resume", "sweep.resume", "outputs"),
        *("data.root", "data.archive", "data.exclude", "data.split.file", "model.weights"),
    }
)
"""Keys of paths; those of ``data`` stand below ``data.sources.<name>`` too."""
_LONGEST_NAME = 255
"""Bytes of a name on the file systems of today."""
_ROOM = 48
"""Bytes of a name left for an ending such as ``.explained.jpg`` and for the mark of a half-written file."""
_RESERVED = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f\ud800-\udfff]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|\Z)", re.IGNORECASE)


def expanded(path: str) -> str:
    """Return a path with a leading ``~`` or ``~user`` replaced by that home folder.

    A file whose own name begins so is itself, and so is a name that no user has.
    """
    return path if not path.startswith("~") or os.path.lexists(path) else os.path.expanduser(path)  # noqa: PTH111


def expand_paths(settings: Any, *, key: str = "") -> Any:
    """Return a command's settings with every path expanded.

    Args:
        settings: Plain values, nested in dictionaries and lists.
        key: The key of ``settings`` themselves, its parts joined by dots.
    """
    if isinstance(settings, dict):
        return {name: expand_paths(item, key=f"{key}.{name}".lstrip(".")) for name, item in settings.items()}
    if isinstance(settings, list):
        return [expand_paths(item, key=key) for item in settings]
    of_source = re.sub(r"^data[.]sources[.][^.]+[.]", "data.", key)
    return expanded(settings) if isinstance(settings, str) and of_source in PATH_KEYS else settings


def same_name(name: str) -> str:
    """Return what two names share that differ in case or in Unicode's normal form only."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def portable_name(name: str) -> str:
    r"""Return a name that every system's files can have, with room for an ending.

    Examples:
        >>> portable_name("wall 3:4?.jpg"), portable_name("aux.jpg"), portable_name("north. ")
        ('wall 3_4_.jpg', '_aux.jpg', 'north._')
        >>> len(portable_name("ü" * 120 + ".jpg").encode())
        207
    """
    kept = _RESERVED.sub("_", name)
    if kept.endswith((".", " ")):
        kept = f"{kept[:-1]}_"
    if _DEVICE.match(kept):
        kept = f"_{kept}"
    if len(kept.encode()) <= _LONGEST_NAME - _ROOM:
        return kept
    end = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}{PurePath(kept).suffix[:16]}"
    room = _LONGEST_NAME - _ROOM - len(end.encode())
    return kept.encode()[:room].decode(errors="ignore") + end


def places(files: Sequence[Path], folder: Path) -> list[Path]:
    """Return where what is made of each file goes: inside a folder, each in a place of its own.

    Folders below the one that all files share are kept. Places that differ in case or normal form only get a
    number, for some systems take them for one.

    Args:
        files: N different files, wherever they lie.
        folder: Where to write.
    """
    paths = [PurePath(os.path.abspath(file)) for file in files]  # noqa: PTH100  # resolves "..", not links
    try:
        depth = len(PurePath(os.path.commonpath([path.parent for path in paths])).parts) if paths else 0
    except ValueError:  # several drives
        depth = 0
    taken: set[str] = set()
    return [
        folder.joinpath(*_free([portable_name(part) for part in path.parts[depth:]], taken)) for path in paths
    ]


def _free(parts: list[str], taken: set[str]) -> list[str]:
    """Return a place that is not taken yet, and take it."""
    *folders, name = parts
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    number = 1
    while (key := same_name("/".join([*folders, name]))) in taken:
        number += 1
        name = f"{stem}_{number}{suffix}"
    taken.add(key)
    return [*folders, name]
