"""Tests on the same tiles, against statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from crack_lightning.evaluation.paired import difference_interval, holm, mcnemar_exact, paired_t


@pytest.mark.parametrize("seed", range(5))
def test_mcnemars_exact_test_equals_statsmodels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = rng.random(300) < 0.95, rng.random(300) < 0.9
    table = [[(one & other).sum(), (one & ~other).sum()], [(~one & other).sum(), (~one & ~other).sum()]]
    assert mcnemar_exact(one, other) == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-9)


def test_models_that_agree_do_not_differ() -> None:
    right = np.arange(50) > 2
    assert mcnemar_exact(right, right) == 1.0
    assert difference_interval(right, right, np.arange(50)) == (0.0, 0.0)


@pytest.mark.parametrize("number", [1, 2, 7])
def test_holms_method_equals_statsmodels(number: int) -> None:
    p_values = np.random.default_rng(number).random(number) * 0.1
    assert holm(p_values.tolist()) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_no_tests_need_no_adjustment() -> None:
    assert holm([]) == []


def test_the_difference_lies_in_its_interval_and_groups_widen_it() -> None:
    rng = np.random.default_rng(0)
    group = np.repeat(np.arange(30), 20)
    bad = rng.random(30)[group] < 0.2
    one, other = rng.random(600) < 0.98, (rng.random(600) < 0.97) & ~bad
    low, high = difference_interval(one, other, group)
    assert low < one.mean() - other.mean() < high
    low_alone, high_alone = difference_interval(one, other, np.arange(600))
    assert high - low > 1.5 * (high_alone - low_alone)


def test_settings_over_seeds_are_compared_by_students_t() -> None:
    one, other = [0.9, 0.92, 0.94, 0.91], [0.89, 0.9, 0.95, 0.88]
    mean, interval, p_value = paired_t(one, other)
    expected = stats.ttest_rel(one, other)
    assert mean == pytest.approx(np.mean(one) - np.mean(other))
    assert p_value == pytest.approx(expected.pvalue)
    assert interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


@pytest.mark.parametrize("gain", [0.0, 0.1])
def test_differences_that_do_not_vary_are_not_tested(gain: float) -> None:
    other = [0.7, 0.5, 0.3]
    mean, interval, p_value = paired_t([value + gain for value in other], other)
    assert mean == pytest.approx(gain)
    assert (interval, p_value) == (None, None)
