"""Anyone's images: one folder a class, with or without ready-made splits above."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from crack_lightning.data.sources.class_names import known_class, name_classes, order_classes
from crack_lightning.data.sources.folders import (
    Tile,
    check_root,
    group_by_photo,
    has_images,
    list_pictures,
    make_table,
    no_images,
    subfolders,
)
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from crack_lightning.data.table import TileTable

_log = logging.getLogger(__name__)

_SPLIT_BY_FOLDER = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "val"),
    **dict.fromkeys(("test", "testing"), "test"),
}


def load(
    root: Path,
    *,
    class_names: Mapping[str, str] | None,
    positive_class: str,
    group_pattern: str | None,
    known_classes: Sequence[str] = (),
) -> TileTable:
    """Find the images of class folders and say which folder became which class.

    Args:
        root: Holds a folder a class, or ``train``, ``val`` (``valid``, ``validation``) and ``test`` folders
            that do; images may lie in folders below. For a given model it may also be one class folder.
        class_names: Class by folder; ``None`` where the folders' names say it.
        positive_class: The class that means "crack".
        group_pattern: Regular expression on the path relative to ``root``; its first group names the photo.
        known_classes: The classes of the model that is to be tested; one of them is then enough.

    Returns:
        The tiles, sorted by path; ``split`` is filled where folders decide it.

    Raises:
        ConfigError: If ``class_names`` or ``group_pattern`` does not fit what is there.
        DataError: If there are no images, fewer than two classes, or folders that do not say their class.
    """
    check_root(root)
    found = _find(root)
    if class_names is None and not any(known_class(tile.class_name, known_classes) for tile in found):
        found = _of_root(root, known_classes) or found
    if not found:
        raise no_images(root)
    folders = sorted({tile.class_name for tile in found})
    mapping = name_classes(
        folders, class_names=class_names, positive_class=positive_class, known_classes=known_classes
    )
    if not known_classes and len(set(mapping.values())) < 2:
        raise _one_class(root, mapping)
    _log.info("classes: %s", ", ".join(f"{folder} → {name}" for folder, name in mapping.items()))
    tiles = [tile._replace(class_name=mapping[tile.class_name]) for tile in found]
    tiles = group_by_photo(tiles, group_pattern)
    classes, positive = order_classes(list(mapping.values()), positive_class)
    return make_table(root, tiles, class_names=classes, positive_class=positive, source="image_folder")


def _find(root: Path) -> list[Tile]:
    """List the pictures with their folders' names as classes."""
    found = []
    for base, split in _bases(root):
        for folder in subfolders(base):
            paths = list_pictures(folder)
            if has_images(paths):
                found += [Tile(path.relative_to(root).as_posix(), folder.name, split=split) for path in paths]
    return found


def _of_root(root: Path, known_classes: Sequence[str]) -> list[Tile]:
    """List the pictures of a root that is itself the folder of a model's class; none of any other."""
    name = root.resolve().name
    if known_class(name, known_classes) is None:
        return []
    paths = list_pictures(root)
    return [Tile(path.relative_to(root).as_posix(), name) for path in paths] if has_images(paths) else []


def _bases(root: Path) -> list[tuple[Path, str]]:
    """List the folders that hold class folders, with the split that each stands for."""
    splits = [(folder, _SPLIT_BY_FOLDER.get(folder.name.casefold(), "")) for folder in subfolders(root)]
    named = [(folder, split) for folder, split in splits if split]
    if not named:
        return [(root, "")]
    if [split for _, split in named] == ["train"]:
        return [(folder, "") for folder, _ in named]
    _check_splits(root, splits)
    return named


def _check_splits(root: Path, splits: list[tuple[Path, str]]) -> None:
    names = [split for _, split in splits if split]
    if "train" not in names or len(names) > len(set(names)):
        listed = ", ".join(folder.name for folder, split in splits if split)
        raise DataError(
            f"data.root: '{root}' has the folders {listed}; expected train and one each of val and test at "
            "most. Rename them, or move the class folders to one place."
        )
    for folder, split in splits:
        if not split and has_images(list_pictures(folder)):
            raise DataError(
                f"data.root: '{folder}' has images beside train, val and test folders; "
                "move it into one of them or away."
            )


def _one_class(root: Path, mapping: Mapping[str, str]) -> DataError:
    (name,) = set(mapping.values())
    folders = ", ".join(f"'{folder}'" for folder in mapping)
    below = (
        [child.name for folder in mapping for child in subfolders(root / folder)] if len(mapping) == 1 else []
    )
    hint = (
        f" If its folders {', '.join(below[:4])} are the classes, set data.root to it."
        if len(below) > 1
        else ""
    )
    return DataError(
        f"data.root: images of one class only under '{root}' ({folders} → {name}); "
        f"expected a folder for each of two classes or more.{hint} "
        "Add the other class's folder, or set data.root."
    )
