"""Source ``image_folder``: one folder per class, with or without split folders above."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from crack_lightning.data.discovery.class_names import known_class, name_classes, names_class, order_classes
from crack_lightning.data.discovery.file_listing import folders_in, list_files
from crack_lightning.data.discovery.layout import place_pictures
from crack_lightning.data.discovery.tile_listing import (
    Tile,
    check_root,
    group_by_photo,
    has_images,
    make_table,
    no_images_error,
)
from crack_lightning.data.discovery.typed_class_names import read_class_names
from crack_lightning.data.sources.shared_settings import GroupSettings, RootSettings
from crack_lightning.data.sources.source import LoadContext, Source
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.settings import setting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from crack_lightning.data.discovery.file_listing import Listing
    from crack_lightning.data.table import TileTable

_log = logging.getLogger(__name__)
_CONTENT = "one folder a class"


@dataclass
class ImageFolderSettings(RootSettings, GroupSettings):
    """The keys of ``data=image_folder``."""

    source: str = "image_folder"
    class_names: Any = setting(
        None, "Class by folder name, where the names of the folders are ambiguous.", text="plain"
    )
    positive_class: str = setting("crack", 'The class that means "crack".')

    def __post_init__(self) -> None:
        super().__post_init__()
        self.class_names = read_class_names(self.class_names)


def load(
    root: Path,
    *,
    class_names: Mapping[str, str] | None,
    positive_class: str,
    group_pattern: str | None,
    known_classes: Sequence[str] = (),
) -> TileTable:
    """Return the images of class folders, and log the class of each folder.

    Args:
        root: Has a folder per class, or ``train``, ``val`` (``valid``, ``validation``) and ``test`` folders
            that do; images may lie in folders below. For a given model it may also be one class folder.
        class_names: Class by folder; ``None`` to derive it from the folders' names.
        positive_class: The class that means "crack".
        group_pattern: Regular expression on the path relative to ``root``; its first group names the photo.
        known_classes: The classes of the model that is to be tested; one of them is then enough.

    Returns:
        The tiles, sorted by path; ``split`` is set where there are split folders.

    Raises:
        ConfigError: If ``class_names`` or ``group_pattern`` does not fit what is there.
        DataError: If there are no images, fewer than two classes, or folders of ambiguous class.
    """
    check_root(root)
    listing = list_files(root)
    is_class = partial(
        names_class, class_names=class_names, positive_class=positive_class, known_classes=known_classes
    )
    classes_given = class_names is not None or bool(known_classes)
    placed_tiles, left_out = _of_root(listing, is_class, known_classes) or _find(
        listing, is_class, classes_given=classes_given
    )
    if not has_images(tile.path for tile in placed_tiles):
        raise no_images_error(root)
    empty = [folder for folder in listing.empty if is_class(folder.rpartition("/")[2])]
    folders = sorted({tile.class_name for tile in placed_tiles})
    mapping = name_classes(
        folders, class_names=class_names, positive_class=positive_class, known_classes=known_classes
    )
    if not known_classes and len(set(mapping.values())) < 2:
        raise _one_class(root, mapping, empty)
    _log_classes(mapping, empty)
    tiles = [tile._replace(class_name=mapping[tile.class_name]) for tile in placed_tiles]
    tiles = group_by_photo(tiles, group_pattern)
    classes, positive = order_classes(list(mapping.values()), positive_class)
    return make_table(
        root,
        tiles,
        class_names=classes,
        positive_class=positive,
        source="image_folder",
        left_out=left_out,
    )


def _find(
    listing: Listing, is_class: Callable[[str], bool], *, classes_given: bool
) -> tuple[list[Tile], list[tuple[str, str]]]:
    """Return tiles with folder names as classes, and the files left out with the reason of each."""
    placed, left_out = place_pictures(
        listing.pictures, root=str(listing.root), names_class=is_class, classes_given=classes_given
    )
    repeated = listing.repeated(item.path for item in placed)
    placed_tiles = [Tile(path, folder, split=split) for path, folder, split in placed if path not in repeated]
    return placed_tiles, [*listing.others, *left_out, *repeated.items()]


def _of_root(
    listing: Listing, is_class: Callable[[str], bool], known_classes: Sequence[str]
) -> tuple[list[Tile], list[tuple[str, str]]] | None:
    """Return the result of :func:`_find` for a root that is itself a class folder, else ``None``."""
    name = listing.root.resolve().name
    folders = {folder for path in listing.pictures for folder in path.split("/")[:-1]}
    if known_class(name, known_classes) is None or any(map(is_class, folders)):
        return None
    repeated = listing.repeated(listing.pictures)
    tiles = [Tile(path, name) for path in listing.pictures if path not in repeated]
    return tiles, [*listing.others, *repeated.items()]


def _log_classes(mapping: Mapping[str, str], empty: Sequence[str]) -> None:
    _log.info("classes: %s", ", ".join(f"{folder} → {name}" for folder, name in mapping.items()))
    if empty:
        _log.warning("classes: no pictures in %s", ", ".join(f"'{folder}'" for folder in empty))


def _one_class(root: Path, mapping: Mapping[str, str], empty: Sequence[str]) -> DataError:
    (name,) = set(mapping.values())
    folders = ", ".join(f"'{folder}'" for folder in mapping)
    below = (
        [child.name for folder in mapping for child in folders_in(root / folder)] if len(mapping) == 1 else []
    )
    hint = (
        f" If its folders {', '.join(below[:4])} are the classes, set data.root to it."
        if len(below) > 1
        else ""
    )
    if empty:
        hint = f" No pictures lie in {', '.join(f'{folder!r}' for folder in empty)}.{hint}"
    return DataError(
        f"data.root: images of one class only under '{root}' ({folders} → {name}); "
        f"expected a folder for each of two classes or more.{hint} "
        "Add the other class's folder, or set data.root."
    )


def _preflight(settings: ImageFolderSettings) -> None:
    settings.folder(_CONTENT)


def _load(settings: ImageFolderSettings, context: LoadContext) -> TileTable:
    return load(
        settings.folder(_CONTENT),
        class_names=settings.class_names,
        positive_class=settings.positive_class,
        group_pattern=settings.group_pattern,
        known_classes=context.known_classes,
    )


SOURCE = Source(settings=ImageFolderSettings, preflight=_preflight, load=_load)
