"""Photos with pixel masks, cut into labelled tiles; the cache holds tiles and masks."""

from __future__ import annotations

import hashlib
import logging
import unicodedata
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.cutting.mask_orientation import mask_orientations
from crack_lightning.data.cutting.photo_cutting import CutCounts, cut_photo
from crack_lightning.data.cutting.tile_cache import CutTile, read_table, write_table
from crack_lightning.data.discovery.left_out import count_left_out
from crack_lightning.data.discovery.tile_listing import (
    Tile,
    check_root,
    group_by_photo,
    has_images,
    list_pictures,
    no_images_error,
    unused_files,
)
from crack_lightning.data.io.decoding import DECODING_VERSION, UnreadableContentError, read_file
from crack_lightning.data.scan.progress import progress_bar
from crack_lightning.runtime.cache import cached_entry
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.atomic_write import write_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from crack_lightning.data.io.masks import MaskRules
    from crack_lightning.data.table import TileTable

log = logging.getLogger(__name__)
_VERSION = 2
_NOTES = "notes.txt"
_MASK_SUFFIXES = (".png", ".bmp", ".tif", ".tiff", ".jpg", ".jpeg", ".mat")
_LISTED = 8


def load(
    root: Path,
    *,
    rules: MaskRules,
    group_pattern: str | None,
    cache: Path,
    show_progress: bool,
    one_class: bool = False,
) -> TileTable:
    """Return the tiles of photos with masks from the cache; cut them if it has none.

    Args:
        root: The folder that holds the folders of photos and masks.
        rules: Where masks are, and what their values mean.
        group_pattern: Regular expression on a file's path; its first group names the photo that files share.
            By default each file is a photo.
        cache: The cache folder; tiles go to ``masked/<digest>`` in it.
        show_progress: Whether to show a bar on standard error.
        one_class: Whether tiles of one class are enough.

    Returns:
        The tiles, by photo and place; extra columns ``crack_width_px`` (95th percentile of the local width
        along the centre line, for cracks of at least 20 px; NaN where unknown), ``distractors``, ``mask``.

    Raises:
        ConfigError: If ``group_pattern`` does not fit the paths.
        DataError: If a folder, a mask or a crack is missing, or a mask is not of its photo's size.
    """
    check_root(root)
    pairs = _pairs(root, rules)
    photos = group_by_photo([Tile(path.relative_to(root).as_posix(), "") for path, _ in pairs], group_pattern)
    groups = [photo.group or photo.path for photo in photos]
    fingerprint = {
        "cut": [_VERSION, DECODING_VERSION],
        "files": _digest(pairs),
        "groups": groups,
        "rules": vars(rules) | {"stride_px": rules.step_px},
    }

    def cut(folder: Path) -> None:
        for name in ("images", "masks"):
            (folder / name).mkdir()
        title = "Cutting tiles" if show_progress else None
        work = progress_bar(zip(pairs, groups, strict=True), title, total=len(pairs))
        rows: list[CutTile] = []
        turns, assumed = mask_orientations(pairs, exif=rules.exif)
        counts = CutCounts(assumed=assumed)
        for number, (pair, group) in enumerate(work):
            rows += cut_photo(folder, number, pair, group, turn=turns[number], rules=rules, counts=counts)
        _check_labels(root, rows, counts, rules=rules, one_class=one_class)
        write_text(folder / _NOTES, "\n".join(counts.notes(rules)))
        write_table(folder, rows, source="masked_photos")

    entry = cached_entry("masked", fingerprint, cut, cache=cache)
    for note in (entry / _NOTES).read_text(encoding="utf-8").splitlines():
        log.warning("%s", note)
    table = read_table(entry)
    table = replace(
        table, left_out=count_left_out([*_left_out(root, pairs, rules), *_without_tiles(root, pairs, table)])
    )
    if not one_class and len(np.unique(table.label)) < 2:
        raise _one_class_only(root, int(table.label.sum()), len(table))
    log.info("masks: %d photos, %d tiles; tiles are in '%s'", len(pairs), len(table), entry)
    return table


def _pairs(root: Path, rules: MaskRules) -> list[tuple[Path, Path]]:
    """Return the photos with the mask of each."""
    if len(rules.images) != len(rules.masks):
        raise DataError(
            f"data.masked.masks: expected a folder for each of the {len(rules.images)} of "
            f"data.masked.images, got {len(rules.masks)}."
        )
    pairs, lacking = [], []
    for images, masks in zip(rules.images, rules.masks, strict=True):
        if not (root / images).is_dir():
            raise DataError(
                f"data.masked.images: expected a folder of photos, got '{root / images}', which does not "
                "exist; set data.root=<folder>, or 'data.masked.images=[<folder below it>]'."
            )
        photos, by_stem = list_pictures(root / images), _masks_by_stem(root / masks)
        if images == masks:
            photos = [path for path in photos if not _is_mask(path, rules)]
        if not has_images(photos):
            raise no_images_error(root / images)
        for photo in photos:
            stem = photo.relative_to(root / images).with_suffix("")
            names = by_stem.get(_composed(stem.with_name(f"{stem.name}{rules.mask_suffix}")), [])
            mask = next((path for path in names if path != photo), None)
            if mask is None:
                lacking.append(photo)
            else:
                pairs.append((photo, mask))
    if lacking:
        named = ", ".join(f"'{photo.relative_to(root).as_posix()}'" for photo in lacking[:3])
        suffix = f"'{rules.mask_suffix}' and " if rules.mask_suffix else ""
        raise DataError(
            f"data.masked.masks: {len(lacking)} photos have no mask ({named}); expected the photo's name "
            f"with {suffix}one of {', '.join(_MASK_SUFFIXES)} in {', '.join(rules.masks)}; set "
            "data.masked.masks or data.masked.mask_suffix."
        )
    return pairs


def _left_out(root: Path, pairs: list[tuple[Path, Path]], rules: MaskRules) -> Iterator[tuple[str, str]]:
    """Yield the unused files under the root, each a relative path and the reason."""
    elsewhere = "in no folder of photos or masks"
    for path, reason in unused_files(root, (path for pair in pairs for path in pair), elsewhere):
        of_masks = any((root / path).is_relative_to(root / folder) for folder in rules.masks)
        yield path, "a mask of no photo" if of_masks and reason == elsewhere else reason


def _without_tiles(root: Path, pairs: list[tuple[Path, Path]], table: TileTable) -> Iterator[tuple[str, str]]:
    """Yield the photos without tiles; the names of tiles begin with the photo's number."""
    numbers = {int(path.removeprefix("images/").partition("_")[0]) for path in table.path.tolist()}
    for number, (photo, _) in enumerate(pairs):
        if number not in numbers:
            yield (
                photo.relative_to(root).as_posix(),
                "smaller than a tile, or with too little crack in every tile",
            )


def _masks_by_stem(folder: Path) -> dict[str, list[Path]]:
    """Return possible mask files by relative path without suffix, lossless formats first."""
    by_stem: dict[str, list[Path]] = {}
    for suffix in _MASK_SUFFIXES:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() == suffix and path.is_file():
                by_stem.setdefault(_composed(path.relative_to(folder).with_suffix("")), []).append(path)
    return by_stem


def _composed(path: Path) -> str:
    """Return a path in NFC; some systems store accents as separate characters."""
    return unicodedata.normalize("NFC", path.as_posix())


def _is_mask(path: Path, rules: MaskRules) -> bool:
    """Return whether an image beside the photos is a mask: by its suffix, else by not being a JPEG."""
    if rules.mask_suffix:
        return path.stem.endswith(rules.mask_suffix)
    return path.suffix.lower() not in (".jpg", ".jpeg")


def _check_labels(
    root: Path, rows: list[CutTile], counts: CutCounts, *, rules: MaskRules, one_class: bool
) -> None:
    """Refuse one class alone; with ``one_class``, only all-intact tiles with undeclared mask values."""
    cracked = sum(row["cracked"] for row in rows)
    unexplained = any(rules.undeclared(value) for value in counts.values)
    if 0 < cracked < len(rows) or (one_class and rows and (cracked or not unexplained)):
        return
    values = ", ".join(f"{value} ({number:,})" for value, number in counts.values.most_common(_LISTED))
    seen_values = f"; {counts.small} photos are smaller than a tile, and the masks' values are {values}"
    raise _one_class_only(root, cracked, len(rows), seen_values)


def _one_class_only(root: Path, cracked: int, tiles: int, seen_values: str = "") -> DataError:
    return DataError(
        f"data.masked: of {tiles} tiles from '{root}' {cracked} are cracked, and both classes are "
        f"needed{seen_values}. Set data.masked.crack_values, crack_from, tile_px or least_crack_px."
    )


def _digest(pairs: list[tuple[Path, Path]]) -> str:
    digest = hashlib.sha256()
    for pair in pairs:
        for path in pair:
            digest.update(hashlib.sha256(_read(path)).digest())
            digest.update(path.name.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _read(path: Path) -> bytes:
    try:
        return read_file(path)
    except UnreadableContentError as error:
        raise DataError(
            f"data.masked: cannot read '{path}' ({error}); repair it, or remove the photo with its mask."
        ) from None
