"""One file a source: files on disk, or drawn, to a TileTable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from crack_lightning.data.table import TileTable

_HELD = {"image_folder": "one folder a class", "masked_photos": "photos and masks"}


def require_files(source: str, *, root: Path | None, archive: Path | None, download: bool) -> None:
    """Refuse settings that lead to nothing that is there; reads no picture. Arguments as for ``load_source``.

    Raises:
        ConfigError: If the settings do not lead to a folder.
        DataError: If there is no such folder or archive.
    """
    if source in _HELD:
        from crack_lightning.data.sources.folders import check_root

        check_root(_given(root, source))
    elif source != "synthetic":
        from crack_lightning.data import download as published

        wanted = published.METU if source == "metu" else published.SDNET2018
        published.require_way(wanted, root=root, archive=archive, download=download)


def load_source(
    source: str,
    *,
    seed: int,
    root: Path | None,
    archive: Path | None,
    download: bool,
    class_names: Mapping[str, str] | None,
    positive_class: str,
    group_pattern: str | None,
    drawn: Mapping[str, Any],
    masked: Mapping[str, Any],
    num_workers: int,
    cache: Path,
    show_progress: bool,
    known_classes: Sequence[str] = (),
) -> TileTable:
    """Return the tiles of a source; arguments are the keys of ``data`` that it reads.

    Args:
        source: ``synthetic``, ``metu``, ``sdnet2018``, ``image_folder`` or ``masked_photos``; of painted
            tiles the one below.
        seed: Which photos are drawn.
        root: Folder of the images.
        archive: The published archive.
        download: Fetch the published archive.
        class_names: Class by folder name.
        positive_class: The class that means "crack".
        group_pattern: Regular expression on the relative path; its first group names the photo.
        drawn: Arguments of the drawn source.
        masked: Where masks are, and what their values mean.
        num_workers: Processes that draw.
        cache: The cache folder.
        show_progress: Whether to show bars.
        known_classes: The classes of the model that is to be tested; files of one class are then enough.

    Raises:
        ConfigError: If the settings do not lead to a folder.
        DataError: If the folder is not what the source expects.
    """
    if source == "synthetic":
        from crack_lightning.data.sources import synthetic

        return synthetic.load(
            seed=seed, num_workers=num_workers, cache=cache, show_progress=show_progress, **drawn
        )
    if source == "image_folder":
        from crack_lightning.data.sources import image_folder

        return image_folder.load(
            _given(root, source),
            class_names=class_names,
            positive_class=positive_class,
            group_pattern=group_pattern,
            known_classes=known_classes,
        )
    if source == "masked_photos":
        from crack_lightning.data.masks import MaskRules
        from crack_lightning.data.sources import masked_photos

        return masked_photos.load(
            _given(root, source),
            rules=MaskRules(**masked),
            group_pattern=group_pattern,
            cache=cache,
            show_progress=show_progress,
            one_class=bool(known_classes),
        )
    from crack_lightning.data import download as published
    from crack_lightning.data.sources import metu, sdnet2018

    ways: dict[str, Any] = {
        "root": root,
        "archive": archive,
        "download": download,
        "cache": cache,
        "show_progress": show_progress,
    }
    if source == "metu":
        root = published.obtain(published.METU, **ways)
        return metu.load(root, group_pattern=group_pattern, one_class=bool(known_classes))
    return sdnet2018.load(published.obtain(published.SDNET2018, **ways), one_class=bool(known_classes))


def _given(root: Path | None, source: str) -> Path:
    if root is None:
        raise ConfigError(
            f"data.root: expected a folder with {_HELD[source]}, got none; set data.root=<folder>."
        )
    return root
