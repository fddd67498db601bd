"""SDNET2018: 56,092 tiles of 256 px, cut from 230 photos of bridge decks, walls and pavements.

Dorafshan, Thomas, Maguire (2018), "SDNET2018: An annotated image dataset for non-contact concrete crack
detection using deep convolutional neural networks", Data in Brief 21, doi 10.15142/T3TD19, CC BY 4.0.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from crack_lightning.data.discovery.class_names import CRACK, INTACT, common_class
from crack_lightning.data.discovery.file_listing import folders_in
from crack_lightning.data.discovery.tile_listing import (
    Tile,
    find_dataset_folder,
    has_images,
    list_pictures,
    make_table,
    no_images_error,
    unused_files,
)
from crack_lightning.data.sources.shared_settings import PublishedSet, PublishedSettings
from crack_lightning.data.sources.source import LoadContext, Source
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from crack_lightning.data.table import TileTable


@dataclass
class Sdnet2018Settings(PublishedSettings):
    """The keys of ``data=sdnet2018``."""

    source: str = "sdnet2018"
    published: ClassVar[PublishedSet] = PublishedSet(
        name="sdnet2018",
        page="https://digitalcommons.usu.edu/all_datasets/48/",
        url=(
            "https://digitalcommons.usu.edu/cgi/viewcontent.cgi"
            "?filename=2&article=1047&context=all_datasets&type=additional"
        ),
        file_name="SDNET2018.zip",
        sha256=None,
        doi="10.15142/T3TD19",
        licence="CC BY 4.0",
    )


_PLACE_BY_FOLDER = {"D": "D", "W": "W", "P": "P", "Decks": "D", "Walls": "W", "Pavements": "P"}
_PHOTO_AND_TILE = re.compile(r"(\d+)-\d+")


def load(root: Path, *, one_class: bool = False) -> TileTable:
    """Read the published layout ``D/CD``, ``D/UD``, ``W/CW``, … with names ``<photo>-<tile>.jpg``.

    Whole words (``Decks/Cracked``) are read too, and some of the three places are enough.

    Args:
        root: The folder that holds ``D``, ``W`` and ``P``, or the one above it.
        one_class: Whether a place may have one of the two classes alone.

    Returns:
        The tiles, sorted by path, classes ``intact`` and ``crack``; the group is the photo, as ``D/7001``.

    Raises:
        DataError: If no place is there, a class is missing in one, or a name has no photo.
    """
    home, places = find_dataset_folder(root, _PLACE_BY_FOLDER, expected="the folders D, W and P")
    tiles = [
        tile
        for name, folder in places.items()
        for tile in _read_place(folder, home, _PLACE_BY_FOLDER[name], one_class=one_class)
    ]
    return make_table(
        home,
        tiles,
        class_names=(INTACT, CRACK),
        positive_class=CRACK,
        source="sdnet2018",
        left_out=unused_files(
            root, [home / tile.path for tile in tiles], "outside the folders of cracked and intact tiles"
        ),
    )


def _read_place(place: Path, home: Path, letter: str, *, one_class: bool) -> list[Tile]:
    folders = {
        name: folder for folder in folders_in(place) if (name := common_class(folder.name)) is not None
    }
    if len(folders) < (1 if one_class else 2):
        raise DataError(
            f"data.root: '{place}' has not the folders C{letter} (cracked) and U{letter} (intact); "
            "set data.root=<the published folder>."
        )
    tiles = []
    for class_name, folder in folders.items():
        paths = list_pictures(folder)
        if not has_images(paths):
            raise no_images_error(folder)
        tiles += [
            Tile(path.relative_to(home).as_posix(), class_name, group=f"{letter}/{_photo(path)}")
            for path in paths
        ]
    return tiles


def _photo(path: Path) -> str:
    match = _PHOTO_AND_TILE.fullmatch(path.stem)
    if match is None:
        raise DataError(
            f"data.root: '{path}' is not named photo-tile like 7001-115.jpg, so its photo is unknown; "
            "remove or rename it, or use data=image_folder."
        )
    return match.group(1)


def _load(settings: Sdnet2018Settings, context: LoadContext) -> TileTable:
    return load(settings.locate(context), one_class=bool(context.known_classes))


SOURCE = Source(
    settings=Sdnet2018Settings,
    preflight=Sdnet2018Settings.check_location,
    load=_load,
    provides=frozenset({"photos"}),
)
