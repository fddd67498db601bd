"""Paired tests of two models against statsmodels and scipy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from crack_lightning.evaluation.paired_tests import (
    difference_intervals,
    holm,
    paired_t,
    photo_codes,
    sign_flip_p_value,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


def gains(right: NDArray[np.bool_], other: NDArray[np.bool_], photo: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([int(right[photo == p].sum()) - int(other[photo == p].sum()) for p in np.unique(photo)])


@pytest.mark.parametrize("seed", range(5))
def test_with_one_tile_per_photo_the_test_is_mcnemars_exact_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.random(300) < 0.95, rng.random(300) < 0.9
    table = [[(one & other).sum(), (one & ~other).sum()], [(~one & other).sum(), (~one & ~other).sum()]]
    p_value = sign_flip_p_value(gains(one, other, np.arange(300)))
    assert p_value == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_sign_flip_test_equals_scipys_exact_permutation_test(seed: int) -> None:
    rng = np.random.default_rng(seed)
    photo = rng.integers(0, 11, 200) ** 2 // 10  # of very unequal sizes
    one, other = rng.random(200) < 0.9, rng.random(200) < 0.8
    gain = gains(one, other, photo)
    reference = stats.permutation_test(
        (gain,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    )
    assert sign_flip_p_value(gain) == pytest.approx(reference.pvalue, abs=1e-12)


def test_equal_predictions_have_a_p_value_of_one() -> None:
    assert sign_flip_p_value(np.zeros(50, np.int64)) == 1.0
    assert difference_intervals(np.zeros((1, 50), np.int64), np.full(50, 3)) == [(0.0, 0.0)]


def test_a_p_value_below_the_smallest_float_is_zero() -> None:
    assert sign_flip_p_value(np.full(3000, 2)) == pytest.approx(0.0, abs=1e-300)


def rejected(rng: np.random.Generator, sizes: NDArray[np.int64], correlation: float, trials: int) -> float:
    """How often two equally good models, whose errors share photos, are found to differ at 5 %."""
    photo, spread = np.repeat(np.arange(len(sizes)), sizes), (1 - correlation) / correlation
    found = 0
    for _ in range(trials):
        one, other = (
            rng.random(len(photo)) < rng.beta(0.9 * spread, 0.1 * spread, len(sizes))[photo] for _ in range(2)
        )
        found += sign_flip_p_value(np.bincount(photo, one.astype(int) - other).astype(np.int64)) < 0.05
    return found / trials


@pytest.mark.parametrize("photos", [10, 40])
def test_the_false_positive_rate_is_at_most_5_percent(photos: int) -> None:
    rng = np.random.default_rng(photos)
    for sizes in (np.full(photos, 30), rng.integers(1, 8, photos) ** 3):
        assert 0.02 < rejected(rng, sizes, 0.14, 800) < 0.075


def test_tiles_of_unknown_photo_count_as_one_photo() -> None:
    assert photo_codes(np.array(["b", "", "a", "", "b"])).tolist() == [2, 0, 1, 0, 2]


@pytest.mark.parametrize("number", [1, 2, 7])
def test_holms_method_equals_statsmodels(number: int) -> None:
    p_values = np.random.default_rng(number).random(number) * 0.1
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1])
    assert holm([]) == []


def test_the_difference_lies_in_its_interval_and_groups_widen_it() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 20)
    bad = rng.random(30)[group] < 0.2
    one, other = rng.random(600) < 0.98, (rng.random(600) < 0.97) & ~bad
    [(low, high)] = difference_intervals(gains(one, other, group)[None], np.full(30, 20))
    assert low < one.mean() - other.mean() < high
    alone = one.astype(np.int64) - other
    [(low_alone, high_alone)] = difference_intervals(alone[None], np.ones(600, np.int64))
    assert high - low > 1.5 * (high_alone - low_alone)


def test_intervals_of_many_runs_equal_scipys_bootstrap_of_each() -> None:
    rng = np.random.default_rng(2)
    tiles = rng.integers(1, 60, 40)
    gain = np.stack([rng.integers(-tiles // 4, tiles // 3 + 1) for _ in range(3)])
    for row, (low, high) in zip(gain, difference_intervals(gain, tiles), strict=True):
        reference = stats.bootstrap(
            (row, tiles),
            lambda a, b, axis=-1: a.sum(axis) / b.sum(axis),
            paired=True,
            method="percentile",
            rng=np.random.default_rng(1),
        ).confidence_interval
        assert (low, high) == pytest.approx(tuple(reference), abs=0.1 * (reference.high - reference.low))


def test_settings_over_seeds_are_compared_by_the_paired_t_test() -> None:
    one, other = [0.9, 0.92, 0.94, 0.91], [0.89, 0.9, 0.95, 0.88]
    mean, interval, p_value = paired_t(one, other)
    expected = stats.ttest_rel(one, other)
    assert mean == pytest.approx(np.mean(one) - np.mean(other))
    assert p_value == pytest.approx(expected.pvalue)
    assert interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_equal_differences_have_no_p_value(gain: float) -> None:
    other = [0.7, 0.5, 0.3]
    mean, interval, p_value = paired_t([value + gain for value in other], other)
    assert mean == pytest.approx(gain)
    assert (interval, p_value) == (None, None)
