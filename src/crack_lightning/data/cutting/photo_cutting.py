"""Cutting of one photo and its mask into labelled tiles that cover every pixel."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from itertools import product
from typing import TYPE_CHECKING

import cv2
import numpy as np

from crack_lightning.data.cutting.tile_cache import CutTile
from crack_lightning.data.io.decoding import UnreadableImageError, decode_image
from crack_lightning.data.io.mask_files import read_mask, snap_to_declared
from crack_lightning.data.io.masks import crack_width
from crack_lightning.data.io.orientation import UPRIGHT, turn_upright
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.paths import portable_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any

    from numpy.typing import NDArray

    from crack_lightning.data.io.masks import MaskRules

    Label = tuple[NDArray[np.integer[Any]], NDArray[np.bool_]]

_LISTED = 8


@dataclass
class CutCounts:
    """Counts of a cut, for notes to the user.

    Attributes:
        assumed: Sentence on the orientation of masks; empty if no photo has an EXIF orientation.
        values: Number of pixels by mask value.
        snapped: Number of JPEG masks, whose pixels were rounded to declared values.
        small: Number of photos smaller than a tile.
        unclear: Number of tiles left out for too few crack pixels.
    """

    assumed: str = ""
    values: Counter[int] = field(default_factory=Counter)
    snapped: int = 0
    small: int = 0
    unclear: int = 0

    def notes(self, rules: MaskRules) -> list[str]:
        """Return notes on the tiles for the user, a sentence each."""
        strange = Counter({value: n for value, n in self.values.items() if rules.undeclared(value)})
        notes = [self.assumed] if self.assumed else []
        if strange:
            named = ", ".join(
                f"{value} ({number:,} pixels)" for value, number in strange.most_common(_LISTED)
            )
            notes.append(
                f"data.masked: {len(strange)} values of the masks are not declared and taken for no crack: "
                f"{named}; set data.masked.crack_values, crack_from or hard_negatives if they mean something"
            )
        if self.snapped:
            notes.append(
                f"masks: {self.snapped} are JPEG files; each pixel is taken for the nearest declared value"
            )
        if self.small or self.unclear:
            notes.append(
                f"masks: {self.small} photos were too small, {self.unclear} tiles had too little crack"
            )
        return notes


def cut_photo(
    folder: Path,
    number: int,
    pair: tuple[Path, Path],
    group: str,
    *,
    turn: int,
    rules: MaskRules,
    counts: CutCounts,
) -> Iterator[CutTile]:
    """Write the tiles of a photo and yield their rows; the last ones overlap so that no pixel is left out.

    Args:
        folder: Folder with ``images`` and ``masks``, to which tiles are written.
        number: Number of the photo, for file names.
        pair: The photo and its mask.
        group: The photo's name.
        turn: Orientation to apply to the mask, unless it has one of its own.
        rules: Settings of masks.
        counts: Counts, updated in place.

    Raises:
        DataError: If a file cannot be read, or the mask is not of its photo's size.
    """
    photo = read_photo(pair[0])
    mask, crack = _read_labels(pair[1], turn=turn, rules=rules, counts=counts)
    if photo.shape[:2] != mask.shape:
        raise DataError(
            f"data.masked.masks: '{pair[1]}' is {mask.shape[1]} x {mask.shape[0]} pixels and its photo "
            f"{photo.shape[1]} x {photo.shape[0]}; both must be of one size."
        )
    counts.small += min(mask.shape) < rules.tile_px
    side = rules.tile_px
    tops, lefts = (_starts(length, side, rules.step_px) for length in mask.shape)
    for top, left in product(tops, lefts):
        window = np.s_[top : top + side, left : left + side]
        if 0 < crack[window].sum() < rules.least_crack_px:
            counts.unclear += 1
            continue
        name = f"{number:05d}_{portable_name(pair[0].stem)}_{top}_{left}.png"
        yield _write_tile(folder, name, photo[window], (mask[window], crack[window]), group, rules=rules)


def read_photo(path: Path) -> NDArray[np.uint8]:
    """Decode a photo.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        return decode_image(path)
    except UnreadableImageError as error:
        hint = "Repair the photo, or remove it with its mask." if error.of_content else "Run again."
        raise DataError(f"data.masked.images: cannot read '{path}': {error.reason}. {hint}") from None


def _read_labels(path: Path, *, turn: int, rules: MaskRules, counts: CutCounts) -> Label:
    """Return a mask's values and its crack pixels, both oriented like the upright photo."""
    mask = read_mask(path)
    values, crack = mask.values, rules.is_crack(mask.values)
    if mask.lossy and (rules.crack_from is None or rules.hard_negatives):
        crack_values = rules.crack_values if rules.crack_from is None else [255 - rules.background]
        declared = [rules.background, *crack_values, *rules.hard_negatives]
        values = snap_to_declared(np.asarray(values, np.uint8), declared, path=path)
        crack = rules.is_crack(values) if rules.crack_from is None else crack
        counts.snapped += 1
    levels, frequencies = np.unique(values, return_counts=True)
    counts.values.update(dict(zip(levels.tolist(), frequencies.tolist(), strict=True)))
    own = turn if mask.orientation == UPRIGHT else mask.orientation
    return turn_upright(values, own), turn_upright(crack, own)


def _starts(length: int, side: int, stride: int) -> list[int]:
    """Return where tiles begin along an axis; the last one ends with it."""
    starts = list(range(0, length - side + 1, stride))
    return starts if not starts or starts[-1] == length - side else [*starts, length - side]


def _write_tile(
    folder: Path, name: str, photo: NDArray[np.uint8], label: Label, group: str, *, rules: MaskRules
) -> CutTile:
    mask, crack = label
    data = cv2.imencode(".png", cv2.cvtColor(photo, cv2.COLOR_RGB2BGR))[1].tobytes()
    (folder / "images" / name).write_bytes(data)
    shown = crack.astype(np.uint8) * 255
    (folder / "masks" / name).write_bytes(cv2.imencode(".png", shown)[1].tobytes())
    alike = [value for value in rules.hard_negatives if (mask == value).any()]
    return CutTile(
        path=f"images/{name}",
        cracked=bool(crack.any()),
        group=group,
        sha256=hashlib.sha256(data).hexdigest(),
        crack_width_px=crack_width(crack) if rules.mask_width == "true" else float("nan"),
        distractors="+".join(f"mask value {value}" for value in alike),
        mask=f"masks/{name}",
    )
