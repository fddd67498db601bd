"""Writing of shards, each whole or not at all; shards of an earlier attempt are kept."""

from __future__ import annotations

import hashlib
import tarfile
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.progress import Progress

from crack_lightning.data.io.decoding import UnreadableContentError, read_file
from crack_lightning.data.shards.index import BLOCK_BYTES, ROW_DIGITS, ShardIndex, encoded
from crack_lightning.data.shards.manifest import Manifest
from crack_lightning.data.shards.members import forget_shards
from crack_lightning.data.shards.plan import PlannedShard, plan_digest, plan_shards
from crack_lightning.runtime.errors import DataError, is_disk_full
from crack_lightning.runtime.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from crack_lightning.data.table import TileTable


def write_shards(table: TileTable, folder: Path, *, tiles_per_shard: int, show_progress: bool) -> Manifest:
    """Write the tiles of a table and their masks as shards, as they are on the disk.

    A shard that is there already with the same tiles is kept, so that an interrupted call continues.

    Args:
        table: Tiles with digests, groups and splits, at least one.
        folder: Folder of the shards.
        tiles_per_shard: Tiles in a shard; the tiles of one photo are in one shard.
        show_progress: Whether to show a bar on standard error.

    Returns:
        The list of the shards.

    Raises:
        DataError: If a tile cannot be read, is no longer that of its digest, or the disk is full.
    """
    forget_shards()
    shards = plan_shards(table, tiles_per_shard=tiles_per_shard)
    listed: dict[str, Any] = {
        "class_names": table.class_names,
        "positive_class": table.positive_class,
        "num_tiles": len(table),
        "shards": tuple(shard.path for shard in shards),
    }
    with (
        _explain_disk_errors(folder),
        Progress(console=Console(stderr=True), disable=not show_progress, transient=True) as progress,
    ):
        Manifest(**listed, complete=False).write(folder)
        bar = progress.add_task("Writing shards", total=len(table))
        for shard in shards:
            digest = plan_digest(table, shard.rows)
            if not _is_written(folder / shard.path, digest):
                _write_shard(table, shard, folder / shard.path, digest)
            progress.update(bar, advance=len(shard.rows))
        manifest = Manifest(**listed, complete=True)
        manifest.write(folder)
    return manifest


def _is_written(tar: Path, digest: str) -> bool:
    try:
        return ShardIndex.read(tar.with_suffix(".index"), with_columns=False).plan == digest
    except DataError:
        return False


def _write_shard(table: TileTable, shard: PlannedShard, tar: Path, digest: str) -> None:
    """Write a tar, then its index, which marks it as complete."""
    index = tar.with_suffix(".index")
    index.unlink(missing_ok=True)
    part = table.select(shard.rows)
    masks = part.extra.get("mask", np.full(len(part), ""))
    places: dict[str, tuple[int, int]] = {}
    paths, mask_names = [], []
    with atomic_write(tar) as temporary, temporary.open("wb") as file:
        for row, path, mask, sha256 in zip(
            shard.rows.tolist(), part.path.tolist(), masks.tolist(), part.sha256.tolist(), strict=True
        ):
            name = f"{row:0{ROW_DIGITS}d}/{path}"
            places[name] = _add(file, name, _content(table.root / path, sha256))
            paths.append(name)
            mask_name = ""
            if mask:
                mask_name = str(PurePosixPath(name).with_suffix(f".mask{PurePosixPath(mask).suffix}"))
                places[mask_name] = _add(file, mask_name, _content(table.root / mask, ""))
            mask_names.append(mask_name)
        file.write(bytes(2 * BLOCK_BYTES))
    columns = part.columns() | {"path": np.array(paths, np.str_), "name": part.name}
    if any(mask_names):
        columns["mask"] = np.array(mask_names, np.str_)
    names = encoded(np.array(list(places), np.str_))
    place = np.array(list(places.values()), np.int64)
    order = np.argsort(names)
    made = ShardIndex(
        name=names[order],
        offset=place[order, 0],
        length=place[order, 1],
        row=shard.rows,
        columns=columns,
        tar_bytes=tar.stat().st_size,
        plan=digest,
    )
    made.check_places()
    made.check_columns()
    with atomic_write(index) as temporary:
        made.write(temporary)


def _content(path: Path, sha256: str) -> bytes:
    try:
        data = read_file(path)
    except UnreadableContentError as error:
        raise DataError(f"data.root: cannot read '{path}' ({error}); restore it and resume.") from None
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise DataError(
            f"data.root: '{path}' has changed since it was checked; leave the files alone, and resume."
        )
    return data


def _add(file: IO[bytes], name: str, content: bytes) -> tuple[int, int]:
    """Append a file to a tar, and return the place and the size of its content."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    file.write(info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape"))
    offset = file.tell()
    file.write(content)
    file.write(bytes(-len(content) % BLOCK_BYTES))
    return offset, len(content)


@contextmanager
def _explain_disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "the disk is full" if is_disk_full(error) else error.strerror or str(error)
        raise DataError(
            f"hydra.run.dir: cannot write shards in '{folder}' ({reason}); make room and continue with "
            f"crack-lightning shards resume={folder}, or set hydra.run.dir=<folder on another disk>."
        ) from error
