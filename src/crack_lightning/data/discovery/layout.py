"""Class and split of each picture from its folders."""

from __future__ import annotations

import logging
import re
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from crack_lightning.data.discovery.folder_levels import FolderLevels
from crack_lightning.data.discovery.folder_names import is_mask_folder, split_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from crack_lightning.data.discovery.folder_levels import Parts

_LOOSE = "in no class folder"
_MASKS = "masks or annotations, by their folder's name"
_MASK = "a mask of the picture beside it, by its name"
_MASK_NAME = re.compile(r"(.+)[ _.-](?:mask|gt|groundtruth|ground_truth|label|seg)[.]\w+", re.IGNORECASE)
_log = logging.getLogger(__name__)


class Placed(NamedTuple):
    """A picture with its class folder and its split, which is empty where no folder gives one."""

    path: str
    folder: str
    split: str


def place_pictures(
    paths: Sequence[str], *, root: str, names_class: Callable[[str], bool], classes_given: bool
) -> tuple[list[Placed], list[tuple[str, str]]]:
    """Return the class folder and the split of each picture, and the pictures that are left out.

    Args:
        paths: POSIX paths relative to the root.
        root: The root, for errors.
        names_class: Whether a folder's name stands for a class.
        classes_given: Whether the user named the class folders.

    Returns:
        The pictures in class folders; the others, each with the reason.

    Raises:
        DataError: If the layout is ambiguous; the error shows it and the settings to use.
    """
    folder_of = {path: tuple(path.split("/")[:-1]) for path in paths}
    masks = _mask_folders(set(folder_of.values()), names_class)
    folders = Counter(parts for parts in folder_of.values() if parts not in masks)
    levels = FolderLevels(
        folders=folders, root=root, names_class=names_class, classes_given=classes_given
    ).find()
    if levels is not None and str(levels) != "<class>":
        _log.info("layout: %s", levels)
    stems = {path.rpartition(".")[0] for path in paths}
    placed, left_out = [], []
    for path, parts in folder_of.items():
        if parts in masks:
            left_out.append((path, _MASKS))
        elif (match := _MASK_NAME.fullmatch(path)) and match[1] in stems:
            left_out.append((path, _MASK))
        elif levels is None or len(parts) <= levels.classes:
            left_out.append((path, _LOOSE))
        else:
            split = split_of(parts[levels.split]) if levels.split is not None else None
            placed.append(Placed(path, parts[levels.classes], split or ""))
    return placed, left_out


def _mask_folders(folders: Collection[Parts], names_class: Callable[[str], bool]) -> set[Parts]:
    """Return the folders named like masks; none if all subfolders are."""
    masks = {
        parts for parts in folders if any(is_mask_folder(name) and not names_class(name) for name in parts)
    }
    return masks if len(masks) < len([parts for parts in folders if parts]) else set()
