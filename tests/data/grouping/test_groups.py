"""Groups join where near-duplicates or identical files do, and a split says what it leaks."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import f1_score

from crack_lightning.data.grouping import groups
from crack_lightning.data.grouping.groups import (
    LARGEST_SHARE,
    PhotoClues,
    has_known_photo,
    has_near_duplicate_in,
    large_set_rules,
    leaked_pairs,
    merge_groups,
)
from crack_lightning.data.splits.assign import split_table
from crack_lightning.data.table import TileTable

NO_PAIRS = np.empty((0, 2), np.int64)


def table(sha256: str, group: list[str] | None = None) -> TileTable:
    """A tile a letter; equal letters are identical files."""
    number = len(sha256)
    return TileTable(
        root=Path("tiles"),
        class_names=("intact", "crack"),
        positive_class="crack",
        path=np.array([f"{row:02d}.jpg" for row in range(number)]),
        label=np.arange(number) % 2,
        group=np.array(group or [""] * number),
        source=np.full(number, "test"),
        split=np.full(number, "", dtype="U5"),
        sha256=np.array(list(sha256)),
    )


def test_near_duplicates_and_identical_files_become_one_group_named_after_the_first() -> None:
    given = table("abcad")
    joined = merge_groups(given, near_duplicates=np.array([[1, 3]]), clues=None)
    assert joined.group.tolist() == ["00.jpg", "00.jpg", "", "00.jpg", ""]
    assert joined.extra["near_duplicates"].tolist() == joined.group.tolist()
    same = "near_duplicates"
    assert joined.extra["group_from"].tolist() == [same, same, "", same, ""]
    assert not has_known_photo(joined).any()
    assert given.extra == {}


def test_photos_that_share_a_near_duplicate_become_one_and_their_other_tiles_none() -> None:
    joined = merge_groups(
        table("abcde", ["p", "p", "q", "q", "r"]), near_duplicates=np.array([[1, 2]]), clues=None
    )
    assert joined.group.tolist() == ["p", "p", "p", "p", "r"]
    assert joined.extra["near_duplicates"].tolist() == ["", "01.jpg", "01.jpg", "", ""]


def test_a_tile_of_no_known_photo_joins_the_photo_of_its_near_duplicate() -> None:
    joined = merge_groups(table("abc", ["", "p", ""]), near_duplicates=np.array([[0, 1]]), clues=None)
    assert joined.group.tolist() == ["p", "p", ""]


def clues(
    touching: list[list[int]], continuing: list[list[int]], distance: list[float] | None = None
) -> PhotoClues:
    return PhotoClues(
        adjacent=np.array(touching, np.int64).reshape(-1, 2),
        continuing=np.array(continuing, np.int64).reshape(-1, 2),
        distance=np.array(distance or range(len(continuing)), np.float32),
    )


def test_tiles_that_touch_are_one_photo() -> None:
    joined = merge_groups(
        table("abcdefghij"), near_duplicates=np.array([[7, 9]]), clues=clues([[0, 3], [3, 9]], [])
    )
    recovered = np.isin(np.arange(10), [0, 3, 7, 9])
    assert joined.group.tolist() == np.where(recovered, "00.jpg", "").tolist()
    assert joined.extra["group_from"].tolist() == np.where(recovered, "recovery", "").tolist()
    assert has_known_photo(joined).tolist() == recovered.tolist()


def test_a_tile_between_those_that_touch_is_of_their_photo_but_none_between_near_duplicates() -> None:
    joined = merge_groups(
        table("abcdefgh"), near_duplicates=np.array([[5, 7]]), clues=clues([[0, 1], [1, 3]], [])
    )
    assert joined.group.tolist() == [*["00.jpg"] * 4, "", "05.jpg", "", "05.jpg"]


def test_photos_that_the_source_knows_are_not_joined_by_a_guess() -> None:
    known = table("abcdef", ["p", "p", "q", "q", "", ""])
    joined = merge_groups(known, near_duplicates=NO_PAIRS, clues=clues([[1, 2], [3, 4]], [[1, 2], [0, 5]]))
    assert joined.group.tolist() == ["p", "p", "q", "q", "q", ""]
    assert joined.extra["group_from"].tolist() == ["source"] * 5 + [""]


def test_names_place_only_what_touches_nothing() -> None:
    many = table("".join(chr(0x4E00 + row) for row in range(200)))
    joined = merge_groups(many, near_duplicates=NO_PAIRS, clues=clues([[0, 1]], [[1, 2], [2, 3]]))
    assert joined.group.tolist()[:4] == ["00.jpg", "00.jpg", "02.jpg", "02.jpg"]


def test_a_chain_of_names_is_cut_at_its_weakest_links_but_near_duplicates_stay() -> None:
    number = 400
    many = table("".join(chr(0x4E00 + row) for row in range(number)))
    chain = [[row, row + 1] for row in range(number - 1)]
    distance = [9.0 if row % 10 == 9 else 1.0 for row in range(number - 1)]
    twins = np.array([[9, 10]])
    joined = merge_groups(many, near_duplicates=twins, clues=clues([], chain, distance))
    sizes = np.unique(joined.group, return_counts=True)[1]
    assert sizes.max() <= LARGEST_SHARE * number
    assert joined.group[9] == joined.group[10]
    runs = joined.group.reshape(-1, 10)
    assert (runs == runs[:, :1]).all()


def test_what_surely_belongs_together_may_pass_the_bound() -> None:
    many = table("".join(chr(0x4E00 + row) for row in range(100)))
    touching = [[row, row + 1] for row in range(30)]
    joined = merge_groups(many, near_duplicates=NO_PAIRS, clues=clues(touching, []))
    assert (joined.group == "00.jpg").sum() == 31


def test_near_duplicates_among_very_many_tiles_join_photos_to_bounded_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number, tiles_a_photo = 400, 4
    photos = [f"p{row // tiles_a_photo:03d}" for row in range(number)]
    many = table("".join(chr(0x4E00 + row) for row in range(number)), photos)
    chain = np.array([[row, row + 1] for row in range(number - 1)])
    assert set(merge_groups(many, near_duplicates=chain, clues=None).group) == {"p000"}
    monkeypatch.setattr(groups, "MAX_EXHAUSTIVE", number - 1)
    joined = merge_groups(many, near_duplicates=chain, clues=None)
    _, sizes = np.unique(joined.group, return_counts=True)
    assert sizes.tolist() == [LARGEST_SHARE * number] * 20
    assert (joined.group.reshape(-1, tiles_a_photo) == joined.group[::tiles_a_photo, None]).all()


@pytest.mark.parametrize(("number", "rules"), [(50_000, 0), (50_001, 1), (100_001, 2)])
def test_the_rules_that_bound_groups_are_stated_where_they_hold(number: int, rules: int) -> None:
    assert len(large_set_rules(number)) == rules


def test_leaks_are_counted_pair_by_pair() -> None:
    joined = merge_groups(table("abcdef"), near_duplicates=np.array([[0, 1], [1, 2], [3, 4]]), clues=None)
    split = joined.with_columns(split=np.array(["train", "test", "test", "train", "train", "val"]))
    assert leaked_pairs(split) == 2
    assert has_near_duplicate_in(split, "train").tolist() == [False, True, True, False, False, False]
    assert leaked_pairs(joined) == 0


def test_identical_files_leak_without_a_search_for_near_duplicates() -> None:
    leaky = table("aab").with_columns(split=np.array(["train", "test", "test"]))
    assert leaked_pairs(leaky) == 1
    assert has_near_duplicate_in(leaky, "train").tolist() == [False, True, False]


def test_a_grouped_split_leaks_nothing_and_a_random_one_does() -> None:
    letters = "".join(chr(0x4E00 + row // 2) for row in range(400))
    joined = merge_groups(table(letters), near_duplicates=NO_PAIRS, clues=None)
    assert leaked_pairs(split_table(joined, seed=0)) == 0
    assert leaked_pairs(split_table(joined, seed=0, strategy="random")) > 50


@pytest.mark.real_data
def test_boundaries_between_photos_of_metu_that_were_seen_by_eye_are_found(metu_table: TileTable) -> None:
    group = np.where(metu_table.group == "", metu_table.path, metu_table.group)
    group_of = dict(zip(metu_table.path.tolist(), group.tolist(), strict=True))
    with (Path(__file__).parents[1] / "metu_neighbours.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    real = np.array([row["photo"] == "another" for row in rows])
    found = np.array([group_of[row["one"]] != group_of[row["other"]] for row in rows])
    assert real.sum() == 100
    assert f1_score(real, found) > 0.9
    sizes = np.unique(metu_table.group[metu_table.group != ""], return_counts=True)[1]
    assert sizes.max() <= 0.05 * len(metu_table)
