"""Detection of the levels of class folders and split folders below a root."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from crack_lightning.data.discovery.folder_names import is_fold, mentions_split, split_of
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.paths import name_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    Parts = tuple[str, ...]

_ORDER = ("train", "val", "test")
_TREE_DEPTH = 3
_TREE_LISTED = 6


@dataclass(frozen=True, kw_only=True)
class Levels:
    """The depths below the root, from 0, of the folders of classes and of splits; ``None`` for no splits."""

    classes: int
    split: int | None

    def __str__(self) -> str:
        """Return the layout as a path, ``*`` for a level that is read as neither."""
        named = {self.split: "<split>", self.classes: "<class>"}
        return "/".join(named.get(depth, "*") for depth in range(max(self.classes, self.split or 0) + 1))


@dataclass(frozen=True, kw_only=True)
class FolderLevels:
    """A tree of folders, read level by level.

    Attributes:
        folders: Number of pictures directly in a folder, by the parts of its path below the root.
        root: The root, for errors.
        names_class: Whether a folder's name stands for a class.
        classes_given: Whether the user named the class folders.
    """

    folders: Mapping[Parts, int]
    root: str
    names_class: Callable[[str], bool]
    classes_given: bool

    def find(self) -> Levels | None:
        """Return the levels of classes and splits; ``None`` if there is no class folder.

        The level of the classes is the first one with a folder that names a class. Above it may be levels of
        splits and of sites, such as buildings; below it, splits.

        Raises:
            DataError: If the layout is ambiguous; the error shows it and the settings to use.
        """
        depth, split = 0, None
        while below := self._below(depth):
            if any(map(self.names_class, below)):
                self._check_siblings(depth)
                return Levels(classes=depth, split=self._split_below(depth, split))
            if split is None and any(map(split_of, below)):
                split = depth if self._decides_splits(depth) else None
            elif not self._is_of_sites(below):
                self._check_unknown(below)
                return Levels(classes=depth, split=self._split_below(depth, split))
            depth += 1
        return None

    def _below(self, depth: int) -> dict[str, list[Parts]]:
        """Map folder names at a depth to the paths below them."""
        below = defaultdict(list)
        for parts in self.folders:
            if len(parts) > depth:
                below[parts[depth]].append(parts[depth + 1 :])
        return below

    def _split_below(self, classes: int, split: int | None) -> int | None:
        """Return the depth of splits that lie below the classes, as in ``crack/train``, if none are above."""
        inside = [parts for parts in self.folders if len(parts) > classes]
        for depth in range(classes + 1, max(map(len, inside))):
            if split is None and any(map(split_of, self._below(depth))):
                for parts in inside:
                    if len(parts) <= depth:
                        raise self._beside(parts, "folders of splits in it")
                return depth if self._decides_splits(depth) else None
        return split

    def _decides_splits(self, depth: int) -> bool:
        """Return whether folders of a depth define the splits; a training folder alone does not."""
        children: dict[Parts, set[str]] = defaultdict(set)
        for parts in self.folders:
            if len(parts) > depth:
                children[parts[:depth]].add(parts[depth])
        for parent, names in children.items():
            given = sorted(filter(split_of, names), key=lambda name: _ORDER.index(split_of(name) or ""))
            for other in sorted(names - set(given)):
                raise self._beside((*parent, other), ", ".join(given) or "folders of splits")
            if len(given) > len(set(map(split_of, given))):
                raise self._not_one_each(given)
        splits = {split_of(name) for names in children.values() for name in names}
        if "train" not in splits:
            raise self._not_one_each(set.union(*children.values()))
        return len(splits) > 1

    def _is_of_sites(self, below: Mapping[str, Iterable[Parts]]) -> bool:
        """Return whether each of several folders holds classes; refuse if only some of them do."""
        classes = [
            {name_key(name) for parts in tails for name in parts if self.names_class(name)}
            for tails in below.values()
        ]
        if len(classes) == 1 or not any(classes):
            return False
        folds = any(map(is_fold, below)) and not self.classes_given
        if all(classes) and not folds and (self.classes_given or len(set.union(*classes)) > 1):
            return True
        raise self._uncertain()

    def _check_siblings(self, depth: int) -> None:
        """Refuse folders beside those of classes that stand for splits or hold classes themselves."""
        for name, tails in self._below(depth).items():
            nested = any(self.names_class(inner) for parts in tails for inner in parts)
            if not self.names_class(name) and (nested or (not self.classes_given and _is_of_split(name))):
                raise self._beside((name,), "class folders")

    def _check_unknown(self, below: Mapping[str, Iterable[Parts]]) -> None:
        """Refuse unknown folders that are likelier splits or sites than classes."""
        inner = [{parts[0] for parts in tails if parts} for tails in below.values()]
        repeated = [name for name in set.intersection(*inner) if not split_of(name)]
        inside_splits = [p for tails in below.values() for p in tails if any(map(split_of, p[:-1]))]
        of_sites = len(below) > 1 and (len(repeated) > 1 or inside_splits)
        if not self.classes_given and (of_sites or any(map(_is_of_split, below)) or any(map(is_fold, below))):
            raise self._uncertain()

    def _beside(self, folder: Parts, what: str) -> DataError:
        place = "/".join((self.root, *folder))
        return DataError(
            f"data.root: '{place}' has images beside {what}:\n{_folder_tree(self.folders)}\n"
            "Move it into one of them or away, or set data.root=<the folder to read alone>."
        )

    def _not_one_each(self, names: Iterable[str]) -> DataError:
        return DataError(
            f"data.root: '{self.root}' has the folders {', '.join(sorted(names))}; expected train and one "
            f"each of val and test at most:\n{_folder_tree(self.folders)}\n"
            "Rename them, or move the class folders to one place."
        )

    def _uncertain(self) -> DataError:
        return DataError(
            f"data.root: it is not certain which folders under '{self.root}' are the classes:\n"
            f"{_folder_tree(self.folders)}\n"
            "Set 'data.class_names={<folder>: <class>, …}' for the folders that are classes, or "
            "data.root=<the folder that holds them>."
        )


def _is_of_split(folder: str) -> bool:
    return split_of(folder) is not None or mentions_split(folder)


def _folder_tree(folders: Mapping[Parts, int]) -> str:
    """Draw folders as an indented tree, each with the number of pictures in and below it.

    Examples:
        >>> print(_folder_tree({(): 2, ("a", "x"): 3, ("a",): 1, ("b",): 4}))
        2 pictures beside the folders
        a/ 4
          x/ 3
        b/ 4
    """
    below: Counter[Parts] = Counter()
    for parts, number in folders.items():
        below.update({parts[:depth]: number for depth in range(1, min(len(parts), _TREE_DEPTH) + 1)})
    loose = folders.get((), 0)
    lines = [f"{loose:,} pictures beside the folders"] if loose else []
    return "\n".join([*lines, *_tree_lines(below, ())])


def _tree_lines(below: Mapping[Parts, int], parent: Parts) -> list[str]:
    children = sorted(parts for parts in below if parts[:-1] == parent)
    lines: list[str] = []
    for parts in children[:_TREE_LISTED]:
        lines += [f"{'  ' * len(parent)}{parts[-1]}/ {below[parts]:,}", *_tree_lines(below, parts)]
    if len(children) > _TREE_LISTED:
        lines.append(f"{'  ' * len(parent)}… and {len(children) - _TREE_LISTED:,} folders more")
    return lines
