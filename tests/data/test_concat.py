"""Sources are joined by class names, and each keeps its own photos and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from crack_lightning.data.concat import merge
from crack_lightning.data.discovery.left_out import LeftOut
from crack_lightning.data.splits.assign import split_table
from crack_lightning.data.splits.by_source import split_by_source
from crack_lightning.data.table import TileTable
from crack_lightning.runtime.errors import DataError


def table(
    root: str, number: int, *, classes: tuple[str, ...] = ("intact", "crack"), **changes: Any
) -> TileTable:
    rows = np.arange(number)
    columns: dict[str, Any] = {
        "path": np.array([f"{row}.jpg" for row in rows]),
        "label": rows % 2,
        "group": np.array([f"photo {row // 4}" for row in rows]),
        "source": np.full(number, "own"),
        "split": np.full(number, ""),
        "sha256": np.array([f"{root} {row}" for row in rows]),
        "extra": {},
    }
    return TileTable(root=Path(root), class_names=classes, positive_class="crack", **columns | changes)


def test_tiles_keep_their_files_classes_and_photos() -> None:
    swapped = table("/data/b/deep", 8, classes=("crack", "intact"))
    joined = merge({"one": table("/data/a", 4), "two": swapped})
    assert joined.root == Path("/data")
    assert joined.path[[0, 4]].tolist() == ["a/0.jpg", "b/deep/0.jpg"]
    assert joined.source.tolist() == ["one"] * 4 + ["two"] * 8
    assert joined.label[:6].tolist() == [0, 1, 0, 1, 1, 0]
    assert set(joined.group) == {"one:photo 0", "two:photo 0", "two:photo 1"}


def test_what_each_source_leaves_out_is_named_with_the_source() -> None:
    left_out = (LeftOut("more", 3, "loose"),)
    joined = merge({"a": table("/d/a", 4, left_out=left_out), "b": table("/d/b", 4, left_out=left_out)})
    assert joined.left_out == (LeftOut("a:more", 3, "loose"), LeftOut("b:more", 3, "loose"))


def test_what_a_source_does_not_know_is_empty() -> None:
    known = {
        "crack_width_px": np.full(4, 2.0),
        "crack_lines": np.ones(4),
        "mask": np.array(["m/0.png", "", "", ""]),
    }
    joined = merge({"a": table("/d/a", 4, extra=known), "b": table("/d/b", 4, group=np.full(4, ""))})
    assert joined.extra["mask"][:2].tolist() == ["a/m/0.png", ""]
    assert np.isnan(joined.extra["crack_width_px"][4:].astype(float)).all()
    assert np.isnan(joined.extra["crack_lines"][4:].astype(float)).all()
    assert joined.group[4:].tolist() == [""] * 4


def test_where_sources_lie_does_not_decide_their_splits() -> None:
    def dealt(*roots: str) -> list[str]:
        alone = {f"s{number}": table(root, 80, group=np.full(80, "")) for number, root in enumerate(roots)}
        return [str(split) for split in split_table(merge(alone), seed=3).split]

    assert dealt("/data/a", "/data/b") == dealt("/elsewhere/deep/x", "/elsewhere/y")
    assert dealt("/data/a", "/data/b")[:80] != dealt("/data/a", "/data/b")[80:]


def test_sources_of_other_classes_are_refused() -> None:
    with pytest.raises(DataError, match=r"data\.sources\.b: its classes are dry, crack, and"):
        merge({"a": table("/d/a", 4), "b": table("/d/b", 4, classes=("dry", "crack"))})


@pytest.fixture
def three() -> TileTable:
    return merge({name: table(f"/d/{name}", 80) for name in ("a", "b", "c")})


def splits_of(done: TileTable, source: str) -> set[str]:
    return set(done.split[done.source == source].tolist())


def test_a_source_that_only_tests_gives_all_its_tiles(three: TileTable) -> None:
    done = split_by_source(
        three, train_sources=["a"], test_sources=["b"], seed=0, fractions=[0.7, 0.15, 0.15]
    )
    assert splits_of(done, "a") == {"train", "val"}
    assert splits_of(done, "b") == {"test"}
    assert splits_of(done, "c") == {""}


def test_a_source_of_both_lists_is_split_as_ever(three: TileTable) -> None:
    done = split_by_source(three, train_sources=["a", "b"], test_sources=["b", "c"], seed=0)
    assert splits_of(done, "a") == {"train", "val"}
    assert splits_of(done, "b") == {"train", "val", "test"}
    assert splits_of(done, "c") == {"test"}
    groups = {(group, split) for group, split in zip(done.group.tolist(), done.split.tolist(), strict=True)}
    assert len({group for group, _ in groups}) == len(groups)


def test_without_lists_nothing_changes(three: TileTable) -> None:
    plain = split_by_source(three, seed=0)
    assert set(plain.split.tolist()) == {"train", "val", "test"}
    listed = split_by_source(three, train_sources=["c", "b", "a"], seed=0)
    assert np.array_equal(plain.split, listed.split)


def test_a_twin_of_a_training_tile_is_no_test_tile(three: TileTable) -> None:
    group = three.group.astype("U20")
    group[[0, 80]] = "the same spot"
    done = split_by_source(three.with_columns(group=group), train_sources=["a"], test_sources=["b"], seed=0)
    assert done.split[0] in {"train", "val"}
    assert done.split[80] == ""
    assert (done.split[81:160] == "test").all()


def test_a_split_that_would_lack_a_class_is_refused() -> None:
    lone = merge({"a": table("/d/a", 80), "b": table("/d/b", 8, label=np.zeros(8, np.int64))})
    with pytest.raises(DataError, match="the test split has no tile of 'crack'"):
        split_by_source(lone, train_sources=["a"], test_sources=["b"], seed=0)


def test_a_random_split_minds_no_groups(three: TileTable) -> None:
    same = three.with_columns(group=np.full(len(three), "one wall"))
    done = split_by_source(same, train_sources=["a", "b"], test_sources=["b", "c"], seed=0, strategy="random")
    assert {split for split in done.split.tolist() if split} == {"train", "val", "test"}
    assert (done.split != "").all()
    assert set(done.group) == {"one wall"}


def test_splits_that_folders_decided_are_not_mixed_with_others() -> None:
    decided = table("/d/a", 8, split=np.array(["train", "train", "val", "val"] + ["test"] * 4))
    with pytest.raises(DataError, match=r"data\.sources: the folders of a decide .* and those of b do not"):
        merge({"a": decided, "b": table("/d/b", 8)})
    both = merge({"a": decided, "b": decided})
    assert split_by_source(both, seed=0).split.tolist() == decided.split.tolist() * 2
    with pytest.raises(DataError, match=r"data\.test_sources: the folders under '/d/a' decide"):
        split_by_source(both, train_sources=["a"], test_sources=["b"], seed=0)
