"""Shards of a stranger, and damaged ones: a sentence, and nothing outside the shard is read."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from crack_lightning.data.io.decoding import UnreadableImageError, decode_image
from crack_lightning.data.shards.index import BLOCK_BYTES, ShardIndex
from crack_lightning.data.shards.members import forget_shards
from crack_lightning.data.shards.reading import read_shards
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Written = Callable[..., Path]


@pytest.fixture
def index_path(written: Written) -> Path:
    return written() / "train" / "00000.index"


def rewrite(path: Path, **changes: Any) -> None:
    """Write an index with some of its arrays replaced."""
    index = ShardIndex.read(path)
    replace(index, **{name: change(getattr(index, name)) for name, change in changes.items()}).write(path)


def renamed(old: bytes, new: bytes) -> Callable[[Any], Any]:
    return lambda names: np.array([name.replace(old, new) for name in names.tolist()], "S400")


def set_first(value: int) -> Callable[[Any], Any]:
    return lambda numbers: np.array([value, *numbers[1:]], numbers.dtype)


ESCAPE = r"the name '.*' leaves the shard"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"name": renamed(b"/intact/10", b"/../../../etc/passwd")}, ESCAPE),
        ({"name": renamed(b"/intact/10.png", b"/..")}, ESCAPE),
        ({"name": renamed(b"/intact/10", b"//etc/passwd")}, ESCAPE),
        ({"name": renamed(b"/intact/10", b"/..\\..\\evil")}, ESCAPE),
        ({"name": renamed(b"/intact/10", b"/a\0b")}, ESCAPE),
        ({"name": renamed(b"000000000/", b"00000000/x")}, ESCAPE),
        ({"offset": set_first(2**62)}, r"places '.*' at 4,611,686,018,427,387,904"),
        ({"offset": set_first(-512)}, r"at -512 with"),
        ({"offset": set_first(0)}, r"at 0 with"),
        ({"offset": set_first(513)}, r"at 513 with"),
        ({"length": set_first(-1)}, r"with -1 bytes, in a tar of"),
        ({"length": set_first(2**62)}, r"with 4,611,686,018,427,387,904 bytes"),
        ({"length": lambda numbers: numbers[1:]}, r"\d+ names, \d+ places, \d+ sizes"),
        ({"row": lambda numbers: numbers[1:]}, r"its columns differ in length"),
        ({"name": lambda names: names[::-1]}, r"its names are not in order"),
        ({"row": set_first(-5)}, r"rows from -5"),
        ({"row": set_first(10**9)}, r"rows from .* to 1,?000,?000,?000"),
        ({"columns": lambda columns: columns | {"rusty": columns["label"]}}, r"no column 'rusty' is known"),
        ({"columns": lambda columns: {"path": columns["path"]}}, r"it lacks group, label"),
        ({"columns": lambda columns: columns | {"label": columns["path"]}}, r"label: expected int64"),
        (
            {"columns": lambda columns: columns | {"crack_width_px": np.full(len(columns["path"]), np.inf)}},
            "crack_width_px: expected finite numbers",
        ),
        ({"tar_bytes": lambda _: float("inf")}, "cannot convert float infinity"),
        (
            {"columns": lambda columns: columns | {"mask": columns["group"]}},
            r"it lists '.*', which is not in",
        ),
    ],
)
def test_an_index_that_leaves_its_tar_is_refused(
    changes: dict[str, Any], said: str, index_path: Path
) -> None:
    rewrite(index_path, **changes)
    with pytest.raises(
        DataError, match=rf"data\.root: cannot use the index .*00000\.index' \(.*{said}.*again"
    ):
        read_shards(index_path.parents[1])


@pytest.mark.parametrize("content", [b"", b"no index", b"\xff" * 100, b"\xff\xff\xff\xff\xff\xff\xff\x00{}"])
def test_a_file_that_is_no_index_is_refused(content: bytes, index_path: Path) -> None:
    index_path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot use the index .*; copy it again"):
        read_shards(index_path.parents[1])


def test_an_index_of_other_tensors_or_of_a_size_beyond_its_tar_is_refused(index_path: Path) -> None:
    save_file({"name": np.zeros(3)}, index_path)
    with pytest.raises(DataError, match="cannot use the index"):
        read_shards(index_path.parents[1])
    with index_path.open("r+b") as file:
        file.truncate(2**32)  # sparse
    with pytest.raises(DataError, match=r"it has 4,294,967,296 bytes for a tar of"):
        read_shards(index_path.parents[1])


@pytest.mark.parametrize("lost", [1, 512, 20_000])
def test_a_truncated_tar_is_named_before_anything_is_trained(lost: int, index_path: Path) -> None:
    tar = index_path.with_suffix(".tar")
    tar.write_bytes(tar.read_bytes()[:-lost])
    with pytest.raises(DataError, match=r"00000\.tar' has [\d,]+ bytes, expected [\d,]+ .* truncated"):
        read_shards(index_path.parents[1])


@pytest.mark.parametrize("suffix", [".tar", ".index"])
def test_a_missing_tar_or_index_is_named(suffix: str, index_path: Path) -> None:
    index_path.with_suffix(suffix).unlink()
    with pytest.raises(DataError, match=rf"00000{suffix}: No such file"):
        read_shards(index_path.parents[1])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_a_pipe_in_place_of_an_index_does_not_block(index_path: Path) -> None:
    index_path.unlink()
    os.mkfifo(index_path)
    with pytest.raises(DataError, match=r"00000\.index: No such file"):
        read_shards(index_path.parents[1])


def test_a_tile_that_is_not_where_the_index_places_it_is_named(index_path: Path) -> None:
    table = read_shards(index_path.parents[1])
    first = table.root / str(table.path[0])
    place = ShardIndex.read(index_path).offset[0]
    with index_path.with_suffix(".tar").open("r+b") as file:
        file.seek(place - BLOCK_BYTES)
        file.write(bytes(BLOCK_BYTES))
    with pytest.raises(UnreadableImageError, match=r"does not hold it where the index places it"):
        decode_image(first)
    with pytest.raises(UnreadableImageError, match=r"its shard's index does not list it"):
        decode_image(first.with_name("elsewhere.jpg"))


def test_a_tar_that_was_cut_while_it_is_open_is_named(index_path: Path) -> None:
    table = read_shards(index_path.parents[1])
    decode_image(table.root / str(table.path[0]))
    with index_path.with_suffix(".tar").open("r+b") as file:
        file.truncate(BLOCK_BYTES * 2 + 10)
    with pytest.raises(UnreadableImageError, match=r"(ends before its last byte|does not hold it)"):
        decode_image(table.root / str(table.path[0]))


def test_damaged_pixels_are_named_as_those_of_a_file(index_path: Path) -> None:
    table = read_shards(index_path.parents[1])
    index = ShardIndex.read(index_path)
    with index_path.with_suffix(".tar").open("r+b") as file:
        file.seek(index.offset[0])
        file.write(bytes(int(index.length[0])))
    forget_shards()
    with pytest.raises(
        UnreadableImageError, match=r"train/00000\.tar/000000000/.*a\.jpg': nothing but zero bytes"
    ):
        decode_image(table.root / str(table.path[0]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"shards": ["../../etc/00000.tar"]}, r"expected shards such as train/00000\.tar, got '\.\./"),
        ({"shards": ["/etc/00000.tar"]}, "expected shards such as"),
        ({"shards": ["train/00000.tar", "train/00000.tar"]}, "one comes twice"),
        ({"shards": []}, "no shards"),
        ({"shards": "train/00000.tar"}, "shards: expected list"),
        ({"class_names": ["crack", "crack"]}, "classes"),
        ({"positive_class": "rust"}, "the positive class 'rust'"),
        ({"schema_version": 2}, "schema_version 2, expected 1"),
        ({"complete": False}, "are not complete"),
        ({"num_tiles": 7}, "hold 30 tiles, expected 7"),
        ({"class_names": ["crack"]}, "tiles of other classes than crack"),
        ({"shards": ["train/00000.tar"]}, r"hold \d+ tiles, expected 30"),
    ],
)
def test_a_list_of_shards_that_is_wrong_is_refused(
    changes: dict[str, Any], said: str, written: Written
) -> None:
    path = written() / "shards.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(DataError, match=said):
        read_shards(path.parent)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"schema_version": 1}'])
def test_a_list_that_is_damaged_is_refused(content: str, written: Written) -> None:
    path = written() / "shards.json"
    path.write_text(content)
    with pytest.raises(DataError, match=r"data\.root: cannot use '.*shards\.json'"):
        read_shards(path.parent)
