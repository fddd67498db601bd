"""Confidence bounds of the POD curve against the modified likelihood root of statsmodels' fits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import statsmodels.api as sm

from crack_lightning.evaluation.pod.estimate import probability_of_detection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Draw = Callable[..., tuple[Floats, NDArray[np.bool_]]]
    RandomSets = Callable[[str, int], Iterator[tuple[Floats, NDArray[np.bool_]]]]

ONE_SIDED_95 = 1.6448536


def root_by_statsmodels(width: Floats, detected: NDArray[np.bool_], *, at_px: float, chance: float) -> float:
    """Return the modified root of the best curve through a point, from two fits of statsmodels."""
    logit, away = np.log(chance / (1 - chance)), np.log(width / at_px)
    whole = sm.Logit(detected.astype(float), sm.add_constant(away)).fit(disp=0, tol=1e-12)
    through = sm.GLM(
        detected.astype(float), away, family=sm.families.Binomial(), offset=np.full(len(away), logit)
    ).fit(tol=1e-12)
    gap = whole.params[0] - logit
    root = np.sign(gap) * np.sqrt(2 * (whole.llf - through.llf))
    wald = gap * np.sqrt(through.cov_params()[0, 0] / np.linalg.det(whole.cov_params()))
    return float(root + np.log(wald / root) / root)


def test_fit_and_lower_limits_equal_statsmodels(draw_cracks: Draw) -> None:
    width, detected = draw_cracks()
    pod = probability_of_detection(width, detected, np.arange(300))
    reference = sm.Logit(detected.astype(float), sm.add_constant(np.log(width))).fit(disp=0, tol=1e-12)
    assert (pod["intercept"], pod["slope"]) == pytest.approx(tuple(reference.params), rel=1e-6)
    at = sm.add_constant(np.log(np.array(pod["curve"]["width_px"])))
    np.testing.assert_allclose(pod["curve"]["pod"], reference.predict(at), rtol=1e-6)
    limits = list(zip(pod["curve"]["width_px"], pod["curve"]["low"], strict=True))
    for at_px, low in [*limits[::10], (pod["a90_95_px"], 0.9)]:
        assert root_by_statsmodels(width, detected, at_px=at_px, chance=low) == pytest.approx(
            ONE_SIDED_95, abs=1e-3
        )


def test_lower_limits_of_many_cracks_are_near_those_of_the_normal_approximation(draw_cracks: Draw) -> None:
    width, detected = draw_cracks(20_000)
    pod = probability_of_detection(width, detected, np.arange(20_000))
    reference = sm.Logit(detected.astype(float), sm.add_constant(np.log(width))).fit(disp=0)
    at = sm.add_constant(np.log(np.array(pod["curve"]["width_px"])))
    error = np.sqrt(np.einsum("gi,ij,gj->g", at, reference.cov_params(), at))
    expected = 1 / (1 + np.exp(ONE_SIDED_95 * error - at @ reference.params))
    np.testing.assert_allclose(pod["curve"]["low"], expected, atol=1e-3)


@pytest.mark.parametrize("distribution", ["log-uniform", "uniform", "default"])
def test_bounds_equal_statsmodels_and_increase_with_the_width(
    random_sets: RandomSets, distribution: str
) -> None:
    estimable = 0
    for x, hit in random_sets(distribution, 12):
        pod = probability_of_detection(np.exp(x), hit, np.arange(len(x)))
        if not pod["estimable"]:
            continue
        estimable += 1
        assert (np.diff(pod["curve"]["low"]) >= 0).all()
        assert (np.diff(pod["curve"]["pod"]) >= 0).all()
        assert (np.array(pod["curve"]["low"]) <= np.array(pod["curve"]["pod"])).all()
        root = root_by_statsmodels(np.exp(x), hit, at_px=pod["a90_95_px"], chance=0.9)
        assert root == pytest.approx(ONE_SIDED_95, abs=1e-3)
        above = np.array(pod["curve"]["width_px"]) >= pod["a90_95_px"] * (1 + 1e-6)
        assert (np.array(pod["curve"]["low"])[above] >= 0.9 - 1e-6).all()
    assert estimable > 3
