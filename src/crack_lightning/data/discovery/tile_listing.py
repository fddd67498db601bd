"""Common parts of sources on disk: search for folders and pictures, and construction of the tile table."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from crack_lightning.data.discovery.file_listing import folders_in, list_files
from crack_lightning.data.discovery.left_out import count_left_out
from crack_lightning.data.io.formats import IMAGE_SUFFIXES, is_document_name, suffix_problem
from crack_lightning.runtime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from crack_lightning.data.table import TileTable


class Tile(NamedTuple):
    """A picture file: its POSIX path relative to the root, its class, its group and its split."""

    path: str
    class_name: str
    group: str = ""
    split: str = ""


def check_root(root: Path) -> None:
    """Refuse a root that is no folder.

    Raises:
        DataError: If it does not exist or is a file.
    """
    if not root.is_dir():
        what = "is a file" if root.is_file() else "does not exist"
        raise DataError(
            f"data.root: '{root}' {what}; expected a folder of images. "
            "Set data.root=<folder>, or use data=synthetic."
        )


def no_images_error(folder: Path) -> DataError:
    """Return the error for a folder without supported pictures."""
    pictures = list_files(folder).pictures
    if loose := sum(map(_is_read, pictures)):
        return DataError(
            f"data.root: {loose:,} images under '{folder}' lie in no folder of a class; expected one "
            "folder a class. Sort them into such folders, or set data.root=<the folder above them>."
        )
    others = len(pictures)
    hint = (
        f" Its {others} files in other formats (HEIC, raw, PDF …) need exporting as JPEG." if others else ""
    )
    return DataError(
        f"data.root: no images under '{folder}' (looked for {', '.join(IMAGE_SUFFIXES)}).{hint} "
        "Set data.root=<folder>, or use data=synthetic."
    )


def find_dataset_folder(root: Path, names: Iterable[str], *, expected: str) -> tuple[Path, dict[str, Path]]:
    """Find the folder that holds folders of given names, at the root or one level below.

    Args:
        root: The folder, or the one above it.
        names: Names of which at least one must exist, without regard to case.
        expected: Description of the layout, for the error.

    Returns:
        The folder, and its folders of these names, by name.

    Raises:
        DataError: If the root does not exist, or has no folder of these names.
    """
    check_root(root)
    for parent in (root, *folders_in(root)):
        present = {child.name.casefold(): child for child in folders_in(parent)}
        folders = {name: present[name.casefold()] for name in names if name.casefold() in present}
        if folders:
            return parent, folders
    raise DataError(
        f"data.root: '{root}' has not {expected}, nor has a folder in it. "
        "Set data.root=<the published folder>, or use data=image_folder."
    )


def list_pictures(folder: Path) -> list[Path]:
    """List the pictures in a folder and below, each once; see :func:`list_files`."""
    listing = list_files(folder)
    repeated = listing.repeated(listing.pictures)
    return [folder / path for path in listing.pictures if path not in repeated]


def has_images(paths: Iterable[Path | str]) -> bool:
    """Return whether at least one of the files has a supported suffix."""
    return any(map(_is_read, paths))


def _is_read(path: Path | str) -> bool:
    return suffix_problem(Path(path)) is None


def group_by_photo(tiles: Sequence[Tile], pattern: str | None) -> list[Tile]:
    r"""Set each tile's group to the photo's name in its path.

    Args:
        tiles: N tiles.
        pattern: Regular expression, searched anywhere in the relative path; its first group is the photo.
            ``None`` leaves the tiles as they are.

    Returns:
        N tiles with their groups.

    Raises:
        ConfigError: If the pattern is invalid, has no group, or leaves a tile without a photo.

    Examples:
        >>> group_by_photo([Tile("crack/7001-12.jpg", "crack")], r"(\d+)-")[0].group
        '7001'
    """
    if pattern is None:
        return list(tiles)
    compiled = compile_group_pattern(pattern)
    matches = [compiled.search(tile.path) for tile in tiles]
    photos = [(match.group(1) or "") if match else "" for match in matches]
    if "" in photos:
        raise ConfigError(
            f"data.group_pattern: '{pattern}' finds no photo in {photos.count('')} of {len(tiles)} paths, "
            f"the first '{tiles[photos.index('')].path}'; its first group must match in every path below "
            "data.root."
        )
    return [tile._replace(group=photo) for tile, photo in zip(tiles, photos, strict=True)]


def compile_group_pattern(pattern: str) -> re.Pattern[str]:
    """Return ``data.group_pattern`` compiled.

    Raises:
        ConfigError: If it is no regular expression, or has no group.
    """
    key = f"data.group_pattern: '{pattern}'"
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{key} is not a regular expression ({error}); fix it.") from None
    if compiled.groups < 1:
        raise ConfigError(f"{key} has no group; put the photo's name in parentheses, as in (\\d+)-.")
    return compiled


def make_table(
    root: Path,
    tiles: Iterable[Tile],
    *,
    class_names: tuple[str, ...],
    positive_class: str | None,
    source: str,
    left_out: Iterable[tuple[str, str]] = (),
) -> TileTable:
    """Build the table of tiles, sorted by path.

    Args:
        root: The folder that the paths are relative to.
        tiles: N tiles in any order.
        class_names: The K classes in order of their index.
        positive_class: One of them, or ``None``.
        source: Name of the source.
        left_out: Files under the root that are not used, each a relative path and the reason.
    """
    import numpy as np

    from crack_lightning.data.table import TileTable

    ordered = sorted(tiles)
    index = {name: number for number, name in enumerate(class_names)}
    return TileTable(
        root=root,
        class_names=class_names,
        positive_class=positive_class,
        path=np.array([tile.path for tile in ordered], dtype=np.str_),
        label=np.array([index[tile.class_name] for tile in ordered], dtype=np.int64),
        group=np.array([tile.group for tile in ordered], dtype=np.str_),
        source=np.full(len(ordered), source),
        split=np.array([tile.split for tile in ordered], dtype=np.str_),
        sha256=np.full(len(ordered), ""),
        left_out=count_left_out(item for item in left_out if not is_document_name(Path(item[0]))),
    )


def unused_files(root: Path, used: Iterable[Path], reason: str) -> list[tuple[str, str]]:
    """Return the unused files under a root, each a relative path and the reason."""
    listing = list_files(root)
    taken = {path.relative_to(root).as_posix() for path in used}
    repeated = listing.repeated(sorted(listing.pictures, key=lambda path: path not in taken))
    others = [(path, repeated.get(path, reason)) for path in listing.pictures if path not in taken]
    return [*listing.others, *others]
