"""Which files a ``source`` means, and pictures with the answer written on them."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from crack_lightning.data.formats import IMAGE_SUFFIXES, is_picture_name
from crack_lightning.errors import DataError
from crack_lightning.run_folder import whole_file

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_CALLED, _OTHER = (213, 94, 0), (0, 114, 178)


def find_pictures(sources: Sequence[str]) -> list[Path]:
    """Return the files that files, folders and glob patterns mean.

    Args:
        sources: Each a path that exists, or a pattern such as ``site/**/*.jpg``. A file is taken whatever its
            suffix; of a folder, the pictures in it and below.

    Returns:
        Each file once, in the order of the sources and then by path.

    Raises:
        DataError: If a source means no file.
    """
    found: dict[Path, None] = {}
    for source in sources:
        path = Path(source).expanduser()
        if path.is_dir():
            files = sorted(file for file in path.rglob("*") if is_picture_name(file) and file.is_file())
        elif path.exists():
            files = [path]
        else:
            files = _matching(path)
        if not files:
            what = "no pictures in this folder" if path.is_dir() else "no such file, folder or pattern"
            looked = f" (looked for {', '.join(IMAGE_SUFFIXES)})" if path.is_dir() else ""
            raise DataError(
                f"source: {what}: '{source}'{looked}; give files, folders or patterns that exist."
            )
        found |= dict.fromkeys(files)
    return list(found)


def _matching(pattern: Path) -> list[Path]:
    """Return the files that a glob pattern means; what folders are named that exist is no pattern."""
    home = next(folder for folder in pattern.parents if folder.is_dir())
    rest = pattern.relative_to(home).as_posix()
    names = glob.glob(rest, root_dir=home, recursive=True)  # noqa: PTH207  # "**" means files, too
    return sorted(path for name in names if (path := home / name).is_file())


def places(pictures: Sequence[Path], folder: Path) -> list[Path]:
    """Return where what is made of pictures goes in a folder; folders below their common one are kept."""
    paths = [path.absolute() for path in pictures]
    base = Path(os.path.commonpath([path.parent for path in paths]))
    return [folder / path.relative_to(base) for path in paths]


def annotate(pixels: NDArray[np.uint8], destination: Path, *, text: str, positive: bool) -> None:
    """Write a picture with what the model says of it on a band above it.

    Args:
        pixels: The picture, RGB, uint8 ``(H, W, 3)``.
        destination: The JPEG to write.
        text: What is said, in one line.
        positive: Whether the model calls it the positive class; it decides the band's colour.
    """
    image = Image.fromarray(pixels)
    font = ImageFont.load_default(size=max(12, image.width // 14))
    left, top, right, bottom = map(int, font.getbbox(text))
    pad = max(3, (bottom - top) // 3)
    width = max(image.width, right - left + 2 * pad)
    band = bottom - top + 2 * pad
    framed = Image.new("RGB", (width, image.height + band), _CALLED if positive else _OTHER)
    framed.paste(image, (0, band))
    ImageDraw.Draw(framed).text((pad - left, pad - top), text, fill="white", font=font)
    with whole_file(destination) as temporary:
        framed.save(temporary, format="JPEG", quality=92)
