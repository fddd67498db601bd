"""Writing that is interrupted goes on where it stopped, and never leaves half a shard."""

from __future__ import annotations

import errno
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning.data.shards import writing
from crack_lightning.data.shards.reading import read_shards
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from crack_lightning.data.table import TileTable


def contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def stop_at(number: int, error: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    """Raise an error in place of the write of a tile."""
    add, added = writing._add, []

    def stopping(*arguments: Any) -> tuple[int, int]:
        added.append(arguments)
        if len(added) == number:
            raise error
        return add(*arguments)

    monkeypatch.setattr(writing, "_add", stopping)


def test_writing_goes_on_after_the_last_whole_shard_with_the_same_bytes(
    written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = contents(folder := written(tiles_per_shard=6))
    for path in folder.rglob("*.*"):
        path.unlink()
    with monkeypatch.context() as patch:
        stop_at(17, KeyboardInterrupt(), patch)
        with pytest.raises(KeyboardInterrupt):
            written(tiles_per_shard=6)
    with pytest.raises(DataError, match=r"not complete; finish them with crack-lightning shards resume="):
        read_shards(folder)
    kept = {path: path.stat().st_mtime_ns for path in folder.rglob("*.tar")}
    assert len(kept) == 1
    assert not [*folder.rglob("*.part")]
    assert contents(written(tiles_per_shard=6)) == whole
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


@pytest.mark.parametrize("damage", ["truncated", "no index", "another tar"])
def test_a_shard_that_is_not_whole_is_written_again(damage: str, written: Callable[..., Path]) -> None:
    whole = contents(folder := written())
    tar = folder / "train" / "00000.tar"
    if damage == "truncated":
        tar.write_bytes(tar.read_bytes()[:-1])
    elif damage == "no index":
        tar.with_suffix(".index").unlink()
    else:
        tar.write_bytes(b"")
    assert contents(written()) == whole


def test_shards_of_other_tiles_are_not_taken_for_those_to_write(
    table: TileTable, written: Callable[..., Path]
) -> None:
    written()
    other = replace(
        table, group=np.full(len(table), "one wall"), extra=table.extra | {"mask": np.full(30, "")}
    )
    assert set(read_shards(written(other)).group) == {"one wall"}


def test_a_full_disk_is_named_with_the_way_on(
    written: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    stop_at(20, OSError(errno.ENOSPC, "No space left on device"), monkeypatch)
    said = r"hydra\.run\.dir: cannot write shards in .*the disk is full.* continue with .*shards resume="
    with pytest.raises(DataError, match=said):
        written()


def test_a_tile_that_changed_or_went_since_it_was_checked_is_named(
    table: TileTable, written: Callable[..., Path]
) -> None:
    path = table.root / str(table.path[7])
    path.write_bytes(b"another picture")
    with pytest.raises(DataError, match=r"07\.png' has changed since it was checked; .* resume"):
        written()
    path.unlink()
    with pytest.raises(DataError, match=r"cannot read '.*07\.png' \(no such file\); restore it and resume"):
        written()
