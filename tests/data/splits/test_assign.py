from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from crack_lightning.data.splits.assign import split_table
from crack_lightning.data.splits.stratified_groups import assign_splits
from crack_lightning.data.table import SPLITS, TileTable
from crack_lightning.runtime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def make(
    label: Sequence[int], group: Sequence[str] | None = None, split: Sequence[str] | None = None
) -> TileTable:
    number = len(label)
    return TileTable(
        root=Path("tiles"),
        class_names=("intact", "crack") if max(label) < 2 else ("crack", "intact", "spalling"),
        positive_class="crack",
        path=np.array([f"{index:05d}.jpg" for index in range(number)]),
        label=np.array(label, dtype=np.int64),
        group=np.array(group or [""] * number, dtype=np.str_),
        source=np.full(number, "test"),
        split=np.array(split or [""] * number, dtype=np.str_),
        sha256=np.full(number, ""),
    )


def photos(num_photos: int, low: int, high: int, *, seed: int = 0) -> TileTable:
    """Photos of unlike size and unlike share of cracked tiles."""
    rng = np.random.default_rng(seed)
    label, group = [], []
    for photo in range(num_photos):
        size = int(rng.integers(low, high))
        label += (rng.random(size) < rng.beta(0.5, 0.5)).astype(int).tolist()
        group += [f"photo{photo}"] * size
    return make(label, group)


def shares(table: TileTable, label: int) -> list[float]:
    return [float((table.split[table.label == label] == split).mean()) for split in SPLITS]


@pytest.mark.parametrize("num_tiles", [40, 1000, 4001])
def test_ungrouped_tiles_get_the_shares_asked_for_in_every_class(num_tiles: int) -> None:
    table = split_table(make([int(index % 5 == 0) for index in range(num_tiles)]), seed=0)
    for label in (0, 1):
        count = int((table.label == label).sum())
        for got, asked in zip(shares(table, label), (0.70, 0.15, 0.15), strict=True):
            assert abs(got * count - asked * count) < 1


def test_tiles_of_one_photo_share_a_split() -> None:
    table = split_table(photos(60, 5, 80), seed=3)
    for photo in np.unique(table.group):
        assert len(set(table.split[table.group == photo])) == 1, photo


@pytest.mark.parametrize("seed", range(5))
def test_grouped_shares_are_within_two_points(seed: int) -> None:
    table = split_table(photos(60, 100, 300, seed=seed), seed=seed)
    for split, asked in zip(SPLITS, (0.70, 0.15, 0.15), strict=True):
        inside = table.split == split
        assert inside.mean() == pytest.approx(asked, abs=0.02)
        assert table.label[inside].mean() == pytest.approx(table.label.mean(), abs=0.02)


def test_single_tiles_make_up_for_a_large_photo() -> None:
    table = make([1] * 400 + [0] * 600, ["wall"] * 300 + [""] * 700)
    split = split_table(table, seed=0, tolerance=0.05)
    assert set(split.split[:300]) == {"train"}
    assert shares(split, 0) == pytest.approx([420 / 600, 90 / 600, 90 / 600])
    # 280 of the 400 cracked tiles were wanted in train; the other two share what is left
    assert shares(split, 1) == pytest.approx([300 / 400, 50 / 400, 50 / 400])


@pytest.mark.parametrize("folds", [None, 5])
def test_shares_that_photos_do_not_allow_are_refused_with_what_they_do(folds: int | None) -> None:
    table = make([1] * 400 + [0] * 600, ["wall"] * 300 + [""] * 700)
    with pytest.raises(
        DataError, match=r"of 'crack', and .* were requested. Set data\.split\.tolerance=0"
    ) as refused:
        split_table(table, seed=0, folds=folds)
    enough = float(str(refused.value).split("data.split.tolerance=")[1].split(",")[0])
    assert len(split_table(table, seed=0, folds=folds, tolerance=enough)) == 1000
    with pytest.raises(DataError, match=r"data\.split\.tolerance"):
        split_table(table, seed=0, folds=folds, tolerance=enough - 0.02)


def test_one_tile_more_or_less_is_no_mistake() -> None:
    assert len(split_table(make([0, 1] * 5), seed=0, tolerance=0.0)) == 10


def test_the_same_seed_gives_the_same_split_whatever_the_order_of_the_rows() -> None:
    for table in (photos(40, 3, 30), make([index % 2 for index in range(300)])):
        first = split_table(table, seed=7)
        order = np.random.default_rng(1).permutation(len(table))
        again = split_table(table.select(order), seed=7)
        np.testing.assert_array_equal(again.split, first.split[order])


@pytest.mark.parametrize("table", [photos(60, 10, 50), make([index % 2 for index in range(1000)])])
def test_another_seed_gives_another_split(table: TileTable) -> None:
    first, second = split_table(table, seed=0), split_table(table, seed=1)
    # Two independent splits agree in 0.7² + 0.15² + 0.15² = 53.5 % of the tiles
    assert (first.split == second.split).mean() == pytest.approx(0.535, abs=0.15)


def test_three_classes_are_all_in_every_split() -> None:
    table = split_table(make([0] * 100 + [1] * 60 + [2] * 20), seed=0)
    for label in range(3):
        assert shares(table, label) == pytest.approx([0.70, 0.15, 0.15], abs=0.01)


@pytest.mark.parametrize(("present", "cut"), [("test", "val"), ("val", "test")])
def test_a_missing_split_is_cut_from_train_by_photo(present: str, cut: str) -> None:
    base = photos(40, 20, 60)
    ready = np.where(np.arange(len(base)) % 5 == 0, present, "train")
    table = split_table(replace(base, split=ready), seed=0)
    np.testing.assert_array_equal(table.split[ready == present], present)
    rest = table.split[ready == "train"]
    assert set(rest) == {"train", cut}
    assert (rest == cut).mean() == pytest.approx(0.15 / 0.85, abs=0.02)
    for photo in np.unique(table.group):
        assert len(set(rest[table.group[ready == "train"] == photo])) == 1


def test_ready_made_splits_stay_and_a_photo_that_they_share_is_reported(
    caplog: pytest.LogCaptureFixture,
) -> None:
    split = ["train", "val", "test"] * 2
    table = split_table(make([0, 0, 0, 1, 1, 1], ["a", "a", "b", "c", "d", "e"], split), seed=0)
    assert table.split.tolist() == split
    assert "tiles of 1 photos in more than one split" in caplog.text


def test_the_extra_columns_and_the_order_of_rows_stay() -> None:
    table = replace(make([0, 1] * 20), extra={"crack_width_px": np.arange(40.0)})
    done = split_table(table, seed=0)
    np.testing.assert_array_equal(done.path, table.path)
    np.testing.assert_array_equal(done.extra["crack_width_px"], np.arange(40.0))


@pytest.mark.parametrize("fractions", [(0.5, 0.5), (0.8, 0.2, 0.0), (0.7, 0.2, 0.2)])
def test_fractions_that_make_no_three_splits_are_refused(fractions: tuple[float, ...]) -> None:
    with pytest.raises(ConfigError, match=rf"data\.split\.fractions: .*got \[{fractions[0]}, {fractions[1]}"):
        split_table(make([0, 1] * 10), seed=0, fractions=fractions)


def test_a_split_without_a_class_is_refused_with_the_number_of_tiles_and_photos() -> None:
    table = make([0] * 50 + [1] * 50, [f"a{index}" for index in range(50)] + ["one"] * 25 + ["two"] * 25)
    with pytest.raises(
        DataError, match=r"split has no tile of 'crack'; there are 50 such tiles from 2 photos"
    ):
        split_table(table, seed=0)


@pytest.mark.parametrize(
    "fractions", [(0.7, 0.15, 0.15), (0.9, 0.05, 0.05), (0.05, 0.05, 0.9), (1 / 3, 1 / 3, 1 / 3)]
)
@pytest.mark.parametrize("number", [3, 4, 5, 7, 11])
def test_each_split_gets_one_of_a_few_tiles_first(number: int, fractions: tuple[float, ...]) -> None:
    for seed in range(5):
        done = split_table(make([0] * 60 + [1] * number), seed=seed, fractions=fractions)
        counts = [int(((done.split == split) & (done.label == 1)).sum()) for split in SPLITS]
        assert min(counts) >= 1
        assert sum(counts) == number


def test_each_split_gets_one_of_a_few_photos_first_whatever_their_sizes() -> None:
    rng = np.random.default_rng(0)
    for case in range(150):
        sizes = [int(size) for size in rng.choice([2, 3, 5, 40, 300], size=int(rng.integers(3, 6)))]
        intact = [int(size) for size in rng.integers(2, 30, size=20)]
        single = int(rng.integers(0, 2))
        label = [1] * (sum(sizes) + single) + [0] * sum(intact)
        group = [f"c{place}" for place, size in enumerate(sizes) for _ in range(size)] + [""] * single
        group += [f"i{place}" for place, size in enumerate(intact) for _ in range(size)]
        done = split_table(make(label, group), seed=case, tolerance=1.0)
        for split in SPLITS:
            assert set(done.label[done.split == split].tolist()) == {0, 1}
        for name in set(group) - {""}:
            assert len(set(done.split[done.group == name].tolist())) == 1


def test_no_seed_is_advised_where_none_can_help() -> None:
    few = make([0] * 50 + [1] * 40, [""] * 50 + ["one"] * 20 + ["two"] * 20)
    with pytest.raises(DataError, match=r"from 2 photos, and each .* of its own; add images") as told:
        split_table(few, seed=0)
    assert "seed" not in str(told.value)
    for seed in range(30):  # nor does one
        with pytest.raises(DataError, match="no tile of 'crack'"):
            split_table(few, seed=seed, tolerance=1.0)


def test_two_tiles_of_a_class_are_too_few() -> None:
    with pytest.raises(DataError, match="no tile of 'crack'; there are 2 such tiles, and"):
        split_table(make([0] * 50 + [1] * 2), seed=0)


def test_few_groups_are_dealt_better_than_99_of_100_of_all_ways() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 30, (9, 2))
    label = np.concatenate([np.repeat([0, 1], pair) for pair in counts])
    group = np.repeat([f"g{index}" for index in range(9)], counts.sum(1))
    path = np.array([f"{index}" for index in range(len(label))])
    fractions = np.array([0.5, 0.25, 0.25])
    target = fractions[:, None] * counts.sum(0)

    def distance(split_of: NDArray[np.int64]) -> NDArray[np.float64]:
        filled = np.stack([((split_of == split)[..., None] * counts).sum(-2) for split in range(3)], axis=-2)
        return np.asarray(((filled - target) ** 2 / target).sum((-1, -2)))

    every_way = np.array(np.unravel_index(np.arange(3**9), (3,) * 9)).T
    all_distances = distance(every_way)
    for seed in range(5):
        chosen = assign_splits(path, label, group, seed=seed, shares=fractions)
        split_of = np.array([chosen[group == f"g{index}"][0] for index in range(9)])
        assert (all_distances < distance(split_of)).mean() < 0.01


def test_random_deals_tile_by_tile_and_keeps_what_is_known_of_the_photos() -> None:
    table = photos(60, 10, 50)
    grouped, random = (split_table(table, seed=0, strategy=name) for name in ("grouped", "random"))
    assert len(np.unique(np.stack([grouped.group, grouped.split]), axis=1).T) == 60
    assert len(np.unique(np.stack([random.group, random.split]), axis=1).T) > 120
    assert (random.group == table.group).all()


def test_every_tile_tests_in_exactly_one_fold_and_photos_stay_whole() -> None:
    table = photos(60, 10, 50)
    folds = [split_table(table, seed=0, folds=5, fold=fold) for fold in range(5)]
    tested = np.stack([fold.split == "test" for fold in folds])
    assert (tested.sum(axis=0) == 1).all()
    for fold in folds:
        assert len(np.unique(np.stack([fold.group, fold.split]), axis=1).T) == 60
        for label in (0, 1):
            np.testing.assert_allclose(
                shares(fold, label), [0.8 * 0.7 / 0.85, 0.8 * 0.15 / 0.85, 0.2], atol=0.02
            )


def test_folds_of_ready_made_splits_are_refused() -> None:
    table = photos(12, 10, 20)
    ready = table.with_columns(split=np.array(["train", "val", "test"])[np.arange(len(table)) % 3])
    with pytest.raises(DataError, match="folds=4"):
        split_table(ready, seed=0, folds=4)
