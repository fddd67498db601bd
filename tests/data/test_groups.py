"""Groups join where twins or identical files do, and a split says what it leaks."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from crack_lightning.data.groups import has_twin_in, leaked_pairs, with_twins
from crack_lightning.data.splits import split_table
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


def test_twins_and_identical_files_become_one_group_named_after_the_first() -> None:
    joined = with_twins(table("abcad"), np.array([[1, 3]]))
    assert joined.group.tolist() == ["00.jpg", "00.jpg", "", "00.jpg", ""]
    assert joined.extra["twins"].tolist() == joined.group.tolist()


def test_the_table_that_was_given_stays_as_it_is() -> None:
    given = table("aab")
    with_twins(given, NO_PAIRS)
    assert given.extra == {}


def test_photos_that_share_a_twin_become_one_and_their_other_tiles_no_twins() -> None:
    joined = with_twins(table("abcde", ["p", "p", "q", "q", "r"]), np.array([[1, 2]]))
    assert joined.group.tolist() == ["p", "p", "p", "p", "r"]
    assert joined.extra["twins"].tolist() == ["", "01.jpg", "01.jpg", "", ""]


def test_a_tile_of_no_known_photo_joins_the_photo_of_its_twin() -> None:
    joined = with_twins(table("abc", ["", "p", ""]), np.array([[0, 1]]))
    assert joined.group.tolist() == ["p", "p", ""]


def test_leaks_are_counted_pair_by_pair() -> None:
    joined = with_twins(table("abcdef"), np.array([[0, 1], [1, 2], [3, 4]]))
    split = joined.with_columns(split=np.array(["train", "test", "test", "train", "train", "val"]))
    assert leaked_pairs(split) == 2
    assert has_twin_in(split, "train").tolist() == [False, True, True, False, False, False]
    assert leaked_pairs(joined) == 0


def test_identical_files_leak_without_a_search_for_twins() -> None:
    leaky = table("aab").with_columns(split=np.array(["train", "test", "test"]))
    assert leaked_pairs(leaky) == 1
    assert has_twin_in(leaky, "train").tolist() == [False, True, False]


def test_a_grouped_split_leaks_nothing_and_a_random_one_does() -> None:
    letters = "".join(chr(0x4E00 + row // 2) for row in range(400))
    joined = with_twins(table(letters), NO_PAIRS)
    assert leaked_pairs(split_table(joined, seed=0)) == 0
    assert leaked_pairs(split_table(joined, seed=0, strategy="random")) > 50
