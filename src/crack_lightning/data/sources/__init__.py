"""Registry of data sources, one file a source: files on disk, or drawn, to a TileTable."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from crack_lightning.data.table import TileTable


@dataclass(frozen=True, kw_only=True)
class Source:
    """What reads the tiles of one value of ``data.source``.

    Attributes:
        preflight: Raises where the settings lead to no files; takes the arguments of ``require_files``.
        load: Returns the tiles; takes the arguments of ``load_source``.
    """

    preflight: Callable[..., None]
    load: Callable[..., TileTable]


def require_files(source: str, *, root: Path | None, archive: Path | None, download: bool) -> None:
    """Refuse settings that lead to nothing that is there; reads no picture. Arguments as for ``load_source``.

    Raises:
        ConfigError: If the source is not registered, or the settings do not lead to a folder.
        DataError: If there is no such folder or archive.
    """
    _registered(source).preflight(root=root, archive=archive, download=download)


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
        source: A key of ``SOURCES``; of painted tiles the source below.
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
        ConfigError: If the source is not registered, or the settings do not lead to a folder.
        DataError: If the folder is not what the source expects.
    """
    return _registered(source).load(
        seed=seed,
        root=root,
        archive=archive,
        download=download,
        class_names=class_names,
        positive_class=positive_class,
        group_pattern=group_pattern,
        drawn=drawn,
        masked=masked,
        num_workers=num_workers,
        cache=cache,
        show_progress=show_progress,
        known_classes=known_classes,
    )


def _registered(source: str) -> Source:
    if source not in SOURCES:
        raise ConfigError(
            f"data.source: expected a registered source ({', '.join(SOURCES)}), got '{source}'; "
            "register it in data/sources/__init__.py, or use another."
        )
    return SOURCES[source]


def _no_files_needed(**_: Any) -> None:
    """Accept any settings: the tiles are drawn."""


def _load_synthetic(
    *, seed: int, drawn: Mapping[str, Any], num_workers: int, cache: Path, show_progress: bool, **_: Any
) -> TileTable:
    from crack_lightning.data.sources import synthetic

    return synthetic.load(
        seed=seed, num_workers=num_workers, cache=cache, show_progress=show_progress, **drawn
    )


def _require_image_folder(*, root: Path | None, **_: Any) -> None:
    from crack_lightning.data.sources.tile_listing import check_root

    check_root(_given(root, "one folder a class"))


def _load_image_folder(
    *,
    root: Path | None,
    class_names: Mapping[str, str] | None,
    positive_class: str,
    group_pattern: str | None,
    known_classes: Sequence[str],
    **_: Any,
) -> TileTable:
    from crack_lightning.data.sources import image_folder

    return image_folder.load(
        _given(root, "one folder a class"),
        class_names=class_names,
        positive_class=positive_class,
        group_pattern=group_pattern,
        known_classes=known_classes,
    )


def _require_masked_photos(*, root: Path | None, **_: Any) -> None:
    from crack_lightning.data.sources.tile_listing import check_root

    check_root(_given(root, "photos and masks"))


def _load_masked_photos(
    *,
    root: Path | None,
    masked: Mapping[str, Any],
    group_pattern: str | None,
    cache: Path,
    show_progress: bool,
    known_classes: Sequence[str],
    **_: Any,
) -> TileTable:
    from crack_lightning.data.io.masks import MaskRules
    from crack_lightning.data.sources import masked_photos

    return masked_photos.load(
        _given(root, "photos and masks"),
        rules=MaskRules(**masked),
        group_pattern=group_pattern,
        cache=cache,
        show_progress=show_progress,
        one_class=bool(known_classes),
    )


def _require_metu(**ways: Any) -> None:
    from crack_lightning.data.downloads import published as published

    published.check_dataset(published.METU, **ways)


def _load_metu(*, group_pattern: str | None, known_classes: Sequence[str], **settings: Any) -> TileTable:
    from crack_lightning.data.downloads import published as published
    from crack_lightning.data.sources import metu

    root = published.locate_dataset(published.METU, **_ways(settings))
    return metu.load(root, group_pattern=group_pattern, one_class=bool(known_classes))


def _require_sdnet2018(**ways: Any) -> None:
    from crack_lightning.data.downloads import published as published

    published.check_dataset(published.SDNET2018, **ways)


def _load_sdnet2018(*, known_classes: Sequence[str], **settings: Any) -> TileTable:
    from crack_lightning.data.downloads import published as published
    from crack_lightning.data.sources import sdnet2018

    root = published.locate_dataset(published.SDNET2018, **_ways(settings))
    return sdnet2018.load(root, one_class=bool(known_classes))


def _ways(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings by which a published set is found, fetched or unpacked."""
    return {key: settings[key] for key in ("root", "archive", "download", "cache", "show_progress")}


def _given(root: Path | None, held: str) -> Path:
    if root is None:
        raise ConfigError(f"data.root: expected a folder with {held}, got none; set data.root=<folder>.")
    return root


SOURCES: Mapping[str, Source] = {
    "synthetic": Source(preflight=_no_files_needed, load=_load_synthetic),
    "metu": Source(preflight=_require_metu, load=_load_metu),
    "sdnet2018": Source(preflight=_require_sdnet2018, load=_load_sdnet2018),
    "image_folder": Source(preflight=_require_image_folder, load=_load_image_folder),
    "masked_photos": Source(preflight=_require_masked_photos, load=_load_masked_photos),
}
