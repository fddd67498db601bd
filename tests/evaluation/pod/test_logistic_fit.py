"""Maximum likelihood fits of logistic curves against statsmodels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import statsmodels.api as sm

from crack_lightning.evaluation.pod.bounds import fit_curve
from crack_lightning.evaluation.pod.logistic_fit import fit_many

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    RandomSets = Callable[[str, int], Iterator[tuple[Floats, NDArray[np.bool_]]]]


def overlap(x: Floats, hit: NDArray[np.bool_]) -> bool:
    """Return whether no width separates hits from misses, by trying every width."""
    if hit.all() or not hit.any():
        return False
    return not any(
        (hit[x > at].all() and not hit[x < at].any()) or (hit[x < at].all() and not hit[x > at].any())
        for at in np.unique(x)
    )


@pytest.mark.parametrize("distribution", ["log-uniform", "uniform", "default"])
def test_every_fit_equals_statsmodels_and_exists_only_with_overlap(
    random_sets: RandomSets, distribution: str
) -> None:
    fitted = 0
    for x, hit in random_sets(distribution, 334):
        curve = fit_curve(x, hit)
        assert (curve is not None) == overlap(x, hit)
        if curve is None:
            continue
        model = sm.GLM(hit.astype(float), sm.add_constant(x), family=sm.families.Binomial())
        reference = model.fit(tol=1e-14, maxiter=100)
        assert (curve.intercept, curve.slope) == pytest.approx(tuple(reference.params), rel=1e-6, abs=1e-6)
        assert curve.log_likelihood == pytest.approx(reference.llf, abs=1e-6)
        fitted += 1
    assert fitted > 150


@pytest.mark.parametrize("distribution", ["log-uniform", "uniform", "default"])
def test_fitting_many_curves_equals_fitting_each(random_sets: RandomSets, distribution: str) -> None:
    rng = np.random.default_rng(1)
    for x, hit in random_sets(distribution, 8):
        places, at = np.unique(x, return_inverse=True)
        weights = rng.poisson(1.0, (20, len(x))).astype(float)
        tried = np.stack([np.bincount(at, row, len(places)) for row in weights]).astype(np.float64)
        hits = np.stack([np.bincount(at, row * hit, len(places)) for row in weights]).astype(np.float64)
        together = fit_many(places, hits, tried, start=np.array([0.0, 1.0]))
        for row, fitted in zip(weights, together, strict=True):
            drawn_again = np.repeat(np.arange(len(x)), row.astype(int))
            alone = fit_curve(x[drawn_again], hit[drawn_again])
            if alone is None:
                assert np.isnan(fitted).all()
            else:
                assert fitted == pytest.approx(alone[:2], rel=1e-6, abs=1e-6)


def test_one_overlapping_pair_has_a_maximum_likelihood_fit() -> None:
    x, hit = np.linspace(-1, 2, 200), np.arange(200) >= 80
    hit[79], hit[80] = True, False
    curve = fit_curve(x, hit)
    assert curve is not None
    reference = sm.GLM(hit.astype(float), sm.add_constant(x), family=sm.families.Binomial()).fit(
        tol=1e-14, maxiter=200
    )
    assert curve.log_likelihood >= reference.llf - 1e-9
    assert curve.slope == pytest.approx(reference.params[1], rel=1e-5)
