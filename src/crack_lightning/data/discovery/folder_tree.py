"""Folder layout for error messages: a small tree with numbers of pictures."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_DEPTH = 3
_LISTED = 6


def folder_tree(folders: Mapping[tuple[str, ...], int]) -> str:
    """Draw folders as an indented tree, each with the pictures in and below it.

    Args:
        folders: Number of pictures directly in a folder, by the parts of its path below the root.

    Examples:
        >>> print(folder_tree({(): 2, ("a", "x"): 3, ("a",): 1, ("b",): 4}))
        2 pictures beside the folders
        a/ 4
          x/ 3
        b/ 4
    """
    below: Counter[tuple[str, ...]] = Counter()
    for parts, number in folders.items():
        below.update({parts[:depth]: number for depth in range(1, min(len(parts), _DEPTH) + 1)})
    loose = folders.get((), 0)
    lines = [f"{loose:,} pictures beside the folders"] if loose else []
    return "\n".join([*lines, *_lines(below, ())])


def _lines(below: Mapping[tuple[str, ...], int], parent: tuple[str, ...]) -> list[str]:
    children = sorted(parts for parts in below if parts[:-1] == parent)
    lines: list[str] = []
    for parts in children[:_LISTED]:
        lines += [f"{'  ' * len(parent)}{parts[-1]}/ {below[parts]:,}", *_lines(below, parts)]
    if len(children) > _LISTED:
        lines.append(f"{'  ' * len(parent)}… and {len(children) - _LISTED:,} folders more")
    return lines
