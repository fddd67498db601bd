"""Masks of photos that EXIF turns: drawn on the turned photo, or on its pixels as stored."""

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


def mask_turns(pairs: Sequence[tuple[Path, Path]], *, exif: str) -> tuple[list[int], str]:
    """Return the orientation by which each mask must be turned to lie on its upright photo.

    Where ``exif`` is ``auto``, a mask of the turned photo's size is drawn on that, one of the stored photo's
    on the stored pixels. Where both are of one size (after half a turn, after mirroring, or where a photo is
    square) it is as the other masks of the set. A mask that has an orientation of its own is left to that.

    Args:
        pairs: N photos with their masks.
        exif: ``auto``, ``applied`` or ``ignored``; see ``crack_lightning.data.io.masks.MaskRules``.

    Returns:
        N orientations, 1 for no turn, and what was assumed, in a sentence; empty where EXIF turns no photo.

    Raises:
        DataError: If nothing shows how the masks of some photos lie.
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
    except UnreadableContentError:  # cutting will name the photo
        return UPRIGHT
