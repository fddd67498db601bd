"""The image files of a ``source``, and images with a caption."""

from __future__ import annotations

import glob
import os
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from crack_lightning.data.discovery.file_listing import REPEATED, list_files
from crack_lightning.data.discovery.left_out import LeftOut, count_left_out
from crack_lightning.data.io.formats import IMAGE_SUFFIXES
from crack_lightning.data.shards.reading import shard_paths
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files.atomic_write import atomic_write
from crack_lightning.runtime.files.paths import expand_user

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

_POSITIVE_COLOUR, _OTHER_COLOUR = (213, 94, 0), (0, 114, 178)


def find_images(sources: Sequence[str]) -> tuple[list[Path], list[LeftOut]]:
    """Return the image files of files, folders and glob patterns, and the other files of the folders.

    Args:
        sources: Existing paths, or patterns such as ``site/**/*.jpg``. A file is taken with any suffix; of a
            folder, the images in it and its subfolders, or in its shards.

    Returns:
        Each image file once, in the order of the sources and then by path; the other files of the folders.

    Raises:
        DataError: If a source matches no file.
    """
    images: list[Path] = []
    left_out: list[LeftOut] = []
    for source in sources:
        path = Path(expand_user(source))
        files: list[Path] = []
        for match in [path] if os.path.lexists(path) else _matching(path):
            if (tiles := shard_paths(match)) is not None:
                files += tiles
            elif match.is_dir():
                listing = list_files(match)
                files += [match / name for name in listing.pictures]
                left_out += [_within(match, item) for item in count_left_out(listing.others)]
            else:
                files.append(match)
        if not files:
            raise _nothing(source, path)
        images += files
    return _once(images, left_out)


def _once(images: Sequence[Path], left_out: Sequence[LeftOut]) -> tuple[list[Path], list[LeftOut]]:
    """Keep each file once; add its other links to the files left out."""
    first: dict[str, Path] = {}
    again: list[tuple[str, str]] = []
    for path in images:
        earlier = first.setdefault(os.path.realpath(path), path)
        if earlier.absolute() != path.absolute():
            again.append((path.as_posix(), REPEATED))
    return list(first.values()), [*left_out, *count_left_out(again)]


def _within(folder: Path, item: LeftOut) -> LeftOut:
    return item._replace(folder=(folder / item.folder).as_posix())


def _nothing(source: str, path: Path) -> DataError:
    what = "no pictures in this folder" if path.is_dir() else "no such file, folder or pattern"
    suffixes = f" (looked for {', '.join(IMAGE_SUFFIXES)})" if path.is_dir() else ""
    return DataError(f"source: {what}: '{source}'{suffixes}; give files, folders or patterns that exist.")


def _matching(pattern: Path) -> list[Path]:
    """Return the files and folders of a glob pattern; an existing folder is no pattern."""
    home = next(folder for folder in pattern.parents if folder.is_dir())
    rest = pattern.relative_to(home).as_posix()
    names = glob.glob(rest, root_dir=home, recursive=True)  # noqa: PTH207  # "**" means files, too
    return sorted(home / name for name in names)


def annotate(pixels: NDArray[np.uint8], destination: Path, *, text: str, positive: bool) -> None:
    """Write an image with a caption in a band above it.

    Args:
        pixels: The picture, RGB, uint8 ``(H, W, 3)``.
        destination: The JPEG to write.
        text: The caption, one line.
        positive: Whether the positive class is predicted, which sets the band's colour.
    """
    image = Image.fromarray(pixels)
    font = ImageFont.load_default(size=max(12, image.width // 14))
    left, top, right, bottom = map(int, font.getbbox(text))
    pad = max(3, (bottom - top) // 3)
    width = max(image.width, right - left + 2 * pad)
    band = bottom - top + 2 * pad
    framed = Image.new("RGB", (width, image.height + band), _POSITIVE_COLOUR if positive else _OTHER_COLOUR)
    framed.paste(image, (0, band))
    ImageDraw.Draw(framed).text((pad - left, pad - top), text, fill="white", font=font)
    with atomic_write(destination) as temporary:
        framed.save(temporary, format="JPEG", quality=92)
