"""Expansion of the user's paths, portable file names, and unique output paths."""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST_NAME = 255
"""Longest file name in bytes on common file systems."""
_ROOM = 48
"""Bytes reserved for a suffix such as ``.explained.jpg`` and for that of a temporary file."""
_RESERVED = re.compile(r'[<>:"|?*\\/\x00-\x1f\x7f\ud800-\udfff]')
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|\Z)", re.IGNORECASE)


def expand_user(path: str) -> str:
    """Replace a leading ``~`` or ``~user`` of a path by that home folder.

    The name of an existing file, or of no user, is unchanged.
    """
    return path if not path.startswith("~") or os.path.lexists(path) else os.path.expanduser(path)  # noqa: PTH111


def name_key(name: str) -> str:
    """Return a key that is equal for names that differ only in case or Unicode normal form."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def portable_name(name: str) -> str:
    r"""Return a file name that is valid on every system, with space for a suffix.

    Examples:
        >>> portable_name("wall 3:4?.jpg"), portable_name("aux.jpg"), portable_name("north. ")
        ('wall 3_4_.jpg', '_aux.jpg', 'north._')
        >>> len(portable_name("ü" * 120 + ".jpg").encode())
        207
    """
    safe = _RESERVED.sub("_", name)
    if safe.endswith((".", " ")):
        safe = f"{safe[:-1]}_"
    if _DEVICE.match(safe):
        safe = f"_{safe}"
    if len(safe.encode()) <= _LONGEST_NAME - _ROOM:
        return safe
    end = f"~{hashlib.sha256(os.fsencode(name)).hexdigest()[:8]}{PurePath(safe).suffix[:16]}"
    room = _LONGEST_NAME - _ROOM - len(end.encode())
    return safe.encode()[:room].decode(errors="ignore") + end


def output_paths(files: Sequence[Path], folder: Path) -> list[Path]:
    """Return a unique output path below a folder for each file.

    Subfolders below the files' common parent are preserved. Paths that differ only in case or normal form get
    a number, because some file systems treat them as equal.

    Args:
        files: N different files, in any folders.
        folder: The output folder.
    """
    paths = [PurePath(os.path.abspath(file)) for file in files]  # noqa: PTH100  # resolves "..", not links
    try:
        depth = len(PurePath(os.path.commonpath([path.parent for path in paths])).parts) if paths else 0
    except ValueError:  # several drives
        depth = 0
    used_keys: set[str] = set()
    return [
        folder.joinpath(*_free([portable_name(part) for part in path.parts[depth:]], used_keys))
        for path in paths
    ]


def _free(parts: list[str], used_keys: set[str]) -> list[str]:
    """Return the parts of a path that is not used yet, and mark it as used."""
    *folders, name = parts
    stem, suffix = PurePath(name).stem, PurePath(name).suffix
    number = 1
    while (key := name_key("/".join([*folders, name]))) in used_keys:
        number += 1
        name = f"{stem}_{number}{suffix}"
    used_keys.add(key)
    return [*folders, name]
