"""Photos with pixel masks, cut into labelled tiles that are kept in the cache with their masks."""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from crack_lightning.cache_entries import cached_entry
from crack_lightning.data.decoding import UnreadableImageError, decode_image
from crack_lightning.data.left_out import count_left_out
from crack_lightning.data.masks import MaskRules, crack_width, read_mask
from crack_lightning.data.progress import with_bar
from crack_lightning.data.sources.cut import CutTile, read_table, write_table
from crack_lightning.data.sources.folders import (
    Tile,
    check_root,
    group_by_photo,
    has_images,
    list_pictures,
    no_images,
    unused,
)
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

log = logging.getLogger(__name__)
_VERSION = 1
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
    """Return the tiles of photos with masks; cut them where the cache has none.

    Args:
        root: The folder that holds the folders of photos and masks.
        rules: Where masks are, and what their values mean.
        group_pattern: Regular expression on a photo's path; its first group names the photo, where several
            files are of one. A file is a photo by default.
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
    made_of = {
        "cut": _VERSION,
        "files": _digest(pairs),
        "groups": groups,
        "rules": {key: _plain(value) for key, value in vars(rules).items()},
    }

    def cut(folder: Path) -> None:
        for name in ("images", "masks"):
            (folder / name).mkdir()
        title = "Cutting tiles" if show_progress else None
        work = with_bar(zip(pairs, groups, strict=True), title, total=len(pairs))
        rows: list[CutTile] = []
        seen = _Seen()
        for number, ((photo, mask), group) in enumerate(work):
            rows += _cut_photo(folder, number, photo, mask, group, rules=rules, seen=seen)
        _check_labels(root, rows, seen, rules=rules, one_class=one_class)
        log.info("masks: %d photos were too small, %d tiles had too little crack", seen.small, seen.unclear)
        write_table(folder, rows, source="masked_photos")

    entry = cached_entry("masked", made_of, cut, cache=cache)
    table = replace(read_table(entry), left_out=count_left_out(_left_out(root, pairs, rules)))
    if not one_class and len(np.unique(table.label)) < 2:
        raise _one_class_only(root, int(table.label.sum()), len(table))
    log.info("masks: %d photos, %d tiles; tiles are in '%s'", len(pairs), len(table), entry)
    return table


@dataclass
class _Seen:
    """What was met while cutting: mask values by pixels, photos below a tile's size, tiles left out."""

    values: Counter[int] = field(default_factory=Counter)
    small: int = 0
    unclear: int = 0


def _pairs(root: Path, rules: MaskRules) -> list[tuple[Path, Path]]:
    """Find each photo's mask."""
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
        found, by_stem = list_pictures(root / images), _masks_by_stem(root / masks)
        if images == masks:
            found = [path for path in found if not _is_mask(path, rules)]
        if not has_images(found):
            raise no_images(root / images)
        for photo in found:
            stem = photo.relative_to(root / images).with_suffix("")
            names = by_stem.get(stem.with_name(f"{stem.name}{rules.mask_suffix}").as_posix(), [])
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
    """Yield what lies under the root beside photos with masks, each a relative path and the reason."""
    elsewhere = "in no folder of photos or masks"
    for path, reason in unused(root, (path for pair in pairs for path in pair), elsewhere):
        of_masks = any((root / path).is_relative_to(root / folder) for folder in rules.masks)
        yield path, "a mask of no photo" if of_masks and reason == elsewhere else reason


def _masks_by_stem(folder: Path) -> dict[str, list[Path]]:
    """List what may be masks by their relative path without the suffix, the most exact formats first."""
    found: dict[str, list[Path]] = {}
    for suffix in _MASK_SUFFIXES:
        for path in sorted(folder.rglob("*")):
            if path.suffix.lower() == suffix and path.is_file():
                found.setdefault(path.relative_to(folder).with_suffix("").as_posix(), []).append(path)
    return found


def _is_mask(path: Path, rules: MaskRules) -> bool:
    """Say whether a picture beside the photos is a mask: by its suffix, or as it is no JPEG."""
    if rules.mask_suffix:
        return path.stem.endswith(rules.mask_suffix)
    return path.suffix.lower() not in (".jpg", ".jpeg")


def _cut_photo(
    folder: Path,
    number: int,
    photo_path: Path,
    mask_path: Path,
    group: str,
    *,
    rules: MaskRules,
    seen: _Seen,
) -> Iterator[CutTile]:
    photo, mask = _read_photo(photo_path), read_mask(mask_path)
    if photo.shape[:2] != mask.shape:
        raise DataError(
            f"data.masked.masks: '{mask_path}' is {mask.shape[1]} x {mask.shape[0]} pixels and its photo "
            f"{photo.shape[1]} x {photo.shape[0]}; both must be of one size."
        )
    seen.values.update({int(value): int((mask == value).sum()) for value in np.unique(mask)})
    seen.small += min(mask.shape) < rules.tile_px
    crack, side = rules.is_crack(mask), rules.tile_px
    for top in range(0, photo.shape[0] - side + 1, rules.stride_px):
        for left in range(0, photo.shape[1] - side + 1, rules.stride_px):
            window = np.s_[top : top + side, left : left + side]
            if 0 < crack[window].sum() < rules.least_crack_px:
                seen.unclear += 1
                continue
            name = f"{number:05d}_{photo_path.stem}_{top}_{left}.png"
            data = cv2.imencode(".png", cv2.cvtColor(photo[window], cv2.COLOR_RGB2BGR))[1].tobytes()
            (folder / "images" / name).write_bytes(data)
            shown = crack[window].astype(np.uint8) * 255
            (folder / "masks" / name).write_bytes(cv2.imencode(".png", shown)[1].tobytes())
            alike = [value for value in rules.hard_negatives if (mask[window] == value).any()]
            yield CutTile(
                path=f"images/{name}",
                cracked=bool(crack[window].any()),
                group=group,
                sha256=hashlib.sha256(data).hexdigest(),
                crack_width_px=crack_width(crack[window]) if rules.mask_width == "true" else float("nan"),
                distractors="+".join(f"mask value {value}" for value in alike),
                mask=f"masks/{name}",
            )


def _read_photo(path: Path) -> NDArray[np.uint8]:
    try:
        return decode_image(path)
    except UnreadableImageError as error:
        raise DataError(
            f"data.masked.images: cannot read '{path}': {error.reason}. "
            "Mend the photo, or remove it with its mask."
        ) from None


def _check_labels(root: Path, rows: list[CutTile], seen: _Seen, *, rules: MaskRules, one_class: bool) -> None:
    """Refuse tiles of one class; where one is enough, masks whose values mean nothing."""
    cracked = sum(row["cracked"] for row in rows)
    unexplained = seen.values.keys() - {0, *rules.hard_negatives}
    if 0 < cracked < len(rows) or (one_class and rows and (cracked or not unexplained)):
        return
    values = ", ".join(f"{value} ({number:,})" for value, number in seen.values.most_common(_LISTED))
    seen_values = f"; {seen.small} photos are smaller than a tile, and the masks' values are {values}"
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
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
            digest.update(path.name.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, list | tuple) else value
