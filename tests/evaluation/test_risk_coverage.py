"""Risk-coverage curves against a direct implementation of their definition."""

from __future__ import annotations

import numpy as np
import pytest

from crack_lightning.evaluation.risk_coverage import aurc, risk_coverage


def test_risk_is_the_error_rate_of_the_accepted_tiles() -> None:
    rng = np.random.default_rng(0)
    doubt, wrong = rng.normal(size=50), rng.random(50) < 0.3
    curve = risk_coverage(doubt, wrong)
    order = np.argsort(doubt)
    np.testing.assert_allclose(curve["risk"], [wrong[order[: kept + 1]].mean() for kept in range(50)])
    np.testing.assert_allclose(curve["coverage"], np.linspace(0.02, 1, 50))


def test_the_area_is_the_mean_over_the_orders_of_ties() -> None:
    rng = np.random.default_rng(1)
    doubt, wrong = rng.integers(0, 4, 30).astype(float), rng.random(30) < 0.4
    found = []
    for _ in range(4000):
        order = np.lexsort([rng.random(30), doubt])
        found.append(np.mean(np.cumsum(wrong[order]) / np.arange(1, 31)))
    assert aurc(risk_coverage(doubt, wrong)) == pytest.approx(np.mean(found), abs=0.004)


def test_constant_doubt_gives_the_error_rate() -> None:
    wrong = np.array([True, False, False, True, False])
    curve = risk_coverage(np.zeros(5), wrong)
    assert aurc(curve) == pytest.approx(0.4)
    assert aurc(risk_coverage(wrong.astype(float), wrong)) < 0.4
