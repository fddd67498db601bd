"""Reading of mask files: grey values of 8 or 16 bits, MATLAB labels, and JPEG, which alters values."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from PIL import Image

from crack_lightning.data.io.decoding import (
    MAX_PIXELS,
    FailedAccessError,
    UnreadableContentError,
    as_content_error,
    check_tags,
    read_file,
)
from crack_lightning.data.io.jpeg import DamagedJpegError, decode_jpeg, read_header
from crack_lightning.data.io.matlab_files import read_segmentation
from crack_lightning.data.io.orientation import UPRIGHT, orientation_in
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_FORMATS = ("PNG", "BMP", "TIFF", "JPEG")
_EXACT_MODES = ("L", "I", "F")
_LEAST_GAP, _NEAR = 64, 32
_PLATEAU, _PLATEAU_SHARE, _LEAST_PX = 9, 0.2, 64


class Mask(NamedTuple):
    """A mask file.

    Attributes:
        values: Stored values, orientation not applied, integers ``(H, W)``.
        lossy: Whether they are JPEG-compressed.
        orientation: EXIF orientation of the file; 1 if it has none.
    """

    values: NDArray[np.integer[Any]]
    lossy: bool = False
    orientation: int = UPRIGHT


def read_mask(path: Path) -> Mask:
    """Read a mask: grey values of 8 or 16 bits, or the labels in ``Segmentation`` of a MATLAB file.

    Raises:
        DataError: If the file is damaged or no mask, or its values are no integers.
    """
    try:
        data = read_file(path)
        with as_content_error(data):
            if path.suffix.lower() == ".mat":
                return Mask(_whole_numbers(read_segmentation(data)))
            return _read_picture(data)
    except UnreadableContentError as error:
        hint = "run again" if isinstance(error, FailedAccessError) else "repair or replace it"
        raise DataError(f"data.masked.masks: cannot read '{path}' ({error}); {hint}.") from error


def snap_to_declared(mask: NDArray[np.uint8], declared: Sequence[int], *, path: Path) -> NDArray[np.uint8]:
    """Round each pixel of a JPEG-compressed mask to the nearest declared value.

    Args:
        mask: Grey values, uint8 ``(H, W)``.
        declared: Grey values that have a meaning.
        path: The file, for the errors.

    Raises:
        DataError: If two declared values are less than 64 apart, so that JPEG may mix them up, or many pixels
            are far from every declared value.
    """
    levels = np.unique(np.array(declared))
    named = ", ".join(map(str, levels.tolist()))
    if len(levels) > 1 and np.diff(levels).min() < _LEAST_GAP:
        raise DataError(
            f"data.masked.masks: '{path}' is a JPEG, which changes values, and those declared ({named}) are "
            f"less than {_LEAST_GAP} apart; save the masks as PNG from their source, or set "
            "data.masked.crack_from."
        )
    distance = np.abs(np.arange(256)[:, None] - levels)
    counts = np.bincount(mask.ravel(), minlength=256)
    strange = np.where(distance.min(axis=1) > _NEAR, counts, 0)
    around = np.convolve(strange, np.ones(_PLATEAU, np.int64), "same")
    if around.max() > max(_LEAST_PX, _PLATEAU_SHARE * counts[_NEAR + 1 :].sum()):
        raise DataError(
            f"data.masked.masks: '{path}' has {around.max():,} pixels of about {strange.argmax()}; expected "
            f"{named}, within {_NEAR} as it is a JPEG. Declare the value in data.masked.crack_values or "
            "data.masked.hard_negatives, or set data.masked.crack_from."
        )
    return np.asarray(levels.astype(np.uint8)[distance.argmin(axis=1)][mask], np.uint8)


def _read_picture(data: bytes) -> Mask:
    _check_jpeg(data)
    check_tags(data)
    with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise UnreadableContentError(f"{image.width} x {image.height} pixels, over {MAX_PIXELS:,}")
        lossy = image.format in {"JPEG", "MPO"} or image.info.get("compression") == "jpeg"
        image.load()
        exact = image if image.mode.startswith(_EXACT_MODES) and image.mode != "LA" else image.convert("L")
        return Mask(_whole_numbers(np.array(exact)), lossy=lossy, orientation=orientation_in(image))


def _check_jpeg(data: bytes) -> None:
    """Refuse a damaged JPEG, which Pillow reads without a warning."""
    header = read_header(data)
    if header is None or header.height * header.width > MAX_PIXELS:
        return
    try:
        decode_jpeg(data, header)
    except DamagedJpegError as error:
        raise UnreadableContentError(f"damaged: {error}") from None


def _whole_numbers(values: NDArray[Any]) -> NDArray[np.integer[Any]]:
    if values.ndim != 2 or values.dtype.kind not in "buif":
        raise UnreadableContentError(f"no grey values, but {values.dtype} of shape {values.shape}")
    if values.dtype.kind == "f":
        if not (np.isfinite(values) & (values == np.rint(values))).all():
            raise UnreadableContentError(f"values that are no whole numbers, up to {np.nanmax(values):g}")
        return values.astype(np.int64)
    return values.astype(np.uint8) if values.dtype.kind == "b" else values
