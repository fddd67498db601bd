"""Bounds on a90 and recall for cracks that share photos."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from crack_lightning.evaluation.pod.estimate import probability_of_detection

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]


def of_photos(seed: int, *, photos: int = 50, tiles: int = 8) -> tuple[Floats, NDArray[np.bool_], Codes]:
    """Simulate cracks in photos that differ in how easily their cracks are detected."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(photos), tiles)
    width = np.exp(rng.uniform(np.log(0.7), np.log(12), photos))[group]
    ease = rng.normal(0, 3, photos)[group]
    return width, rng.random(len(width)) < 1 / (1 + np.exp(-ease - 4 * np.log(width / 2))), group


def test_the_bound_over_photos_equals_scipys_bootstrap() -> None:
    width, detected, group = of_photos(0)
    pod = probability_of_detection(width, detected, group)
    assert pod["photos"] == 50

    def log_a90(photos: Codes) -> float:
        rows = np.concatenate([np.flatnonzero(group == photo) for photo in photos])
        fit = sm.Logit(detected[rows].astype(float), sm.add_constant(np.log(width[rows]))).fit(disp=0).params
        return float((np.log(9) - fit[0]) / fit[1])

    reference = stats.bootstrap(
        (np.arange(50),), log_a90, n_resamples=300, confidence_level=0.9, vectorized=False, rng=1
    )
    bound = np.exp(reference.confidence_interval.high)
    assert pod["a90_95_px_by_photos"] == pytest.approx(bound, rel=0.07)
    assert pod["a90_95_px_by_photos"] > pod["a90_95_px"]
    assert "photos" not in probability_of_detection(width, detected, np.arange(len(width)))


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_over_photos_is_not_below_the_wald_bound_with_clustered_covariance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(30), 8)
    log_width = rng.uniform(np.log(0.7), np.log(12), 30)[group]
    detected = rng.random(240) < 1 / (1 + np.exp(-rng.normal(0, 1, 30)[group] - 4 * (log_width - np.log(2))))
    model = sm.Logit(detected.astype(float), sm.add_constant(log_width))
    fit = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": group})
    log_a90 = (np.log(9) - fit.params[0]) / fit.params[1]
    gradient = -np.array([1, log_a90]) / fit.params[1]
    wald = log_a90 + stats.t.ppf(0.95, 29) * np.sqrt(gradient @ fit.cov_params() @ gradient)
    pod = probability_of_detection(np.exp(log_width), detected, group)
    assert pod["a90_px"] == pytest.approx(np.exp(log_a90))
    assert np.exp(wald) < pod["a90_95_px_by_photos"] < 4 * np.exp(wald)


def test_fewer_than_20_photos_give_no_bound() -> None:
    width, detected, group = of_photos(0)
    assert probability_of_detection(width, detected, group // 3)["a90_95_px_by_photos"] is None


def test_there_is_no_bound_if_the_slope_depends_on_one_photo() -> None:
    photo = np.arange(240) // 8
    width = np.tile(np.linspace(4, 12, 8), 30)
    thin = photo == 3
    width[thin] = np.linspace(1, 3, 8)
    detected = ~thin & ~((photo == 5) & (width > 10))
    pod = probability_of_detection(width, detected, photo)
    assert pod["a90_95_px"] > pod["a90_px"]
    assert pod["a90_95_px_by_photos"] is None


def test_the_recall_bound_without_a_curve_is_lower_for_cracks_that_share_photos() -> None:
    detected = np.ones(80, np.bool_)
    alone = probability_of_detection(np.linspace(1, 9, 80), detected, np.arange(80))["reason"]
    together = probability_of_detection(np.linspace(1, 9, 80), detected, np.arange(80) // 8)["reason"]
    shares = [float(re.findall(r"at least ([\d.]+) %", reason)[0]) for reason in (alone, together)]
    assert shares[1] < shares[0] - 5
