"""The METU set: 20,000 cracked and 20,000 intact tiles of 227 px, cut from 458 photos of 4032 x 3024.

Özgenel, Ç. F. (2019), "Concrete Crack Images for Classification", Mendeley Data, V2,
doi 10.17632/5y9wdsg2zt.2, CC BY 4.0. The published set does not name the photo of a tile.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from crack_lightning.data.discovery.class_names import CRACK, INTACT
from crack_lightning.data.discovery.tile_listing import (
    Tile,
    find_dataset_folder,
    group_by_photo,
    has_images,
    list_pictures,
    make_table,
    no_images_error,
    unused_files,
)
from crack_lightning.data.sources.shared_settings import GroupSettings, PublishedSet, PublishedSettings
from crack_lightning.data.sources.source import LoadContext, Source
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from crack_lightning.data.table import TileTable


@dataclass
class MetuSettings(PublishedSettings, GroupSettings):
    """The keys of ``data=metu``."""

    source: str = "metu"
    published: ClassVar[PublishedSet] = PublishedSet(
        name="metu",
        page="https://data.mendeley.com/datasets/5y9wdsg2zt/2",
        url=(
            "https://data.mendeley.com/public-files/datasets/5y9wdsg2zt/files/"
            "8a70d8a5-bce9-4291-bab9-b48cfb3e87c3/file_downloaded"
        ),
        file_name="Concrete Crack Images for Classification.rar",
        sha256="08d7dc505a4f5a0330cee2fa2a1ae4b5b4f98bcffd0549b774caf7959bb1f02f",
        doi="10.17632/5y9wdsg2zt.2",
        licence="CC BY 4.0",
    )


_CLASS_BY_FOLDER = {"Negative": INTACT, "Positive": CRACK}


def load(root: Path, *, group_pattern: str | None = None, one_class: bool = False) -> TileTable:
    """Read the published layout, folders ``Positive`` and ``Negative``.

    Args:
        root: The folder that holds both, or its parent.
        group_pattern: Regular expression on the relative path, where file names contain the photo; its first
            group is the photo.
        one_class: Whether one of the two folders is enough.

    Returns:
        The tiles, sorted by path, classes ``intact`` and ``crack``; paths begin with ``Positive`` or
        ``Negative`` wherever the two folders were found.

    Raises:
        ConfigError: If ``group_pattern`` does not fit the paths.
        DataError: If a folder is missing or holds no image.
    """
    home, folders = find_dataset_folder(root, _CLASS_BY_FOLDER, expected="the folders Positive and Negative")
    tiles, used, above = [], [], len((home / "a").as_posix()) - 1
    for name, class_name in _CLASS_BY_FOLDER.items():
        if name not in folders:
            if one_class:
                continue
            raise DataError(
                f"data.root: '{home}' has no folder {name}; set data.root=<the published folder>."
            )
        paths = list_pictures(folders[name])
        if not has_images(paths):
            raise no_images_error(folders[name])
        used += paths
        tiles += [Tile(path.as_posix()[above:], class_name) for path in paths]
    return make_table(
        home,
        group_by_photo(tiles, group_pattern),
        class_names=(INTACT, CRACK),
        positive_class=CRACK,
        source="metu",
        left_out=unused_files(root, used, "outside the folders Positive and Negative"),
    )


def _load(settings: MetuSettings, context: LoadContext) -> TileTable:
    return load(
        settings.locate(context),
        group_pattern=settings.group_pattern,
        one_class=bool(context.known_classes),
    )


SOURCE = Source(settings=MetuSettings, preflight=MetuSettings.check_location, load=_load)
