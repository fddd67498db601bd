"""Orientation of masks: drawn on the photo as rotated by EXIF, or on its stored pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crack_lightning.data.cutting.photo_cutting import read_photo
from crack_lightning.data.io.decoding import UnreadableContentError, read_file
from crack_lightning.data.io.mask_files import read_mask
from crack_lightning.data.io.orientation import UPRIGHT, orientation_of, swaps_sides
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def mask_orientations(pairs: Sequence[tuple[Path, Path]], *, exif: str) -> tuple[list[int], str]:
    """Return the EXIF orientation to apply to each mask, so that it matches its upright photo.

    With ``exif=auto`` the size of a mask shows whether it is drawn on the upright photo or on the stored
    pixels. Where both sizes are equal (rotation by 180 degrees, mirroring, square photos), the other masks
    of the set decide. A mask with an EXIF orientation of its own is not changed.

    Args:
        pairs: N photos with their masks.
        exif: ``auto``, ``applied`` or ``ignored``; see ``crack_lightning.data.io.masks.MaskRules``.

    Returns:
        N orientations, 1 for none, and a sentence on what was assumed; empty if no photo has an orientation.

    Raises:
        DataError: If the orientation of some masks cannot be inferred.
    """
    turned = {row: turn for row, (photo, _) in enumerate(pairs) if (turn := _orientation(photo)) != UPRIGHT}
    turned = {row: turn for row, turn in turned.items() if read_mask(pairs[row][1]).orientation == UPRIGHT}
    drawn_on = dict.fromkeys(turned, exif)
    if exif == "auto":
        drawn_on = _by_size(pairs, turned)
    ignored = {row for row, drawn in drawn_on.items() if drawn == "ignored"}
    turns = [turned[row] if row in ignored else UPRIGHT for row in range(len(pairs))]
    if not turned:
        return turns, ""
    how = "by their sizes" if exif == "auto" else "by data.masked.exif"
    return turns, (
        f"masks: EXIF turns {len(turned)} photos; {len(turned) - len(ignored)} of their masks are taken as "
        f"drawn on the turned photo and {len(ignored)} as drawn on the pixels as stored, {how}"
    )


def _by_size(pairs: Sequence[tuple[Path, Path]], turned: Mapping[int, int]) -> dict[int, str]:
    drawn_on = {}
    for row, turn in turned.items():
        upright, mask = read_photo(pairs[row][0]).shape[:2], read_mask(pairs[row][1]).values.shape
        stored = upright[::-1] if swaps_sides(turn) else upright
        drawn_on[row] = "" if upright == stored else "ignored" if mask == stored else "applied"
    known = {drawn for drawn in drawn_on.values() if drawn}
    unknown = [row for row, drawn in drawn_on.items() if not drawn]
    if unknown and len(known) != 1:
        raise DataError(
            f"data.masked.exif: EXIF turns {len(unknown)} photos ('{pairs[unknown[0]][0]}' among them), and "
            "their size stays the same, so that their masks may be drawn on the turned photo, as in viewers, "
            "or on the pixels as stored. Look at one, and set data.masked.exif=applied or "
            "data.masked.exif=ignored."
        )
    return {row: drawn or next(iter(known)) for row, drawn in drawn_on.items()}


def _orientation(photo: Path) -> int:
    try:
        return orientation_of(read_file(photo))
    except UnreadableContentError:  # cutting reports the photo
        return UPRIGHT
