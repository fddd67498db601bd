"""The curve is the logistic one, its bound holds, and no number is given where there is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import statsmodels.api as sm

from crack_lightning.evaluation.detection import probability_of_detection

if TYPE_CHECKING:
    from numpy.typing import NDArray


def drawn(
    number: int = 300, *, a50: float = 2.0, slope: float = 4.0, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    width = np.exp(rng.uniform(np.log(0.7), np.log(12), number))
    return width, rng.random(number) < 1 / (1 + np.exp(-slope * np.log(width / a50)))


def test_the_fit_and_its_band_equal_statsmodels() -> None:
    width, found = drawn()
    told = probability_of_detection(width, found)
    reference = sm.Logit(found.astype(float), sm.add_constant(np.log(width))).fit(disp=0)
    assert (told["intercept"], told["slope"]) == pytest.approx(tuple(reference.params), abs=1e-5)
    at = sm.add_constant(np.log(np.array(told["curve"]["width_px"])))
    expected = reference.get_prediction(at).summary_frame(alpha=0.10)
    np.testing.assert_allclose(told["curve"]["pod"], expected["predicted"], atol=1e-5)
    linear = at @ reference.params
    error = np.sqrt(np.einsum("gi,ij,gj->g", at, reference.cov_params(), at))
    np.testing.assert_allclose(
        told["curve"]["low"], 1 / (1 + np.exp(-(linear - 1.6448536 * error))), atol=1e-3
    )


def test_the_widths_of_half_and_nine_tenths_are_on_the_curve() -> None:
    told = probability_of_detection(*drawn(2000))
    assert told["a50_px"] == pytest.approx(2.0, rel=0.1)
    assert told["a90_px"] == pytest.approx(2 * 9**0.25, rel=0.1)
    assert told["a50_px"] < told["a90_px"] < told["a90_95_px"] < 1.3 * told["a90_px"]


def test_the_bound_lies_above_the_true_width_as_often_as_it_says() -> None:
    truth = 2 * 9**0.25
    bounds = [probability_of_detection(*drawn(200, seed=seed))["a90_95_px"] for seed in range(200)]
    assert 0.90 <= np.mean([bound is None or bound > truth for bound in bounds]) <= 0.99


@pytest.mark.parametrize(
    ("width", "found", "reason"),
    [
        (np.full(59, 2.0), np.arange(59) % 2 == 0, "Only 59 cracks have a known width"),
        (np.linspace(1, 9, 80), np.ones(80, np.bool_), "Every crack was found; .* at least 96.3% are found"),
        (np.linspace(1, 9, 80), np.zeros(80, np.bool_), "No crack was found; .* at least 0.0%"),
        (np.linspace(1, 9, 80), np.arange(80) >= 30, "Every found crack is wider than every missed one"),
        (np.linspace(1, 9, 80), np.arange(80) % 2 == 0, "Found cracks are not wider than missed ones"),
        (np.linspace(1, 9, 80), np.random.default_rng(0).random(80) > np.arange(80) / 80, "less often"),
    ],
)
def test_where_there_is_no_curve_no_number_is_given(
    width: NDArray[np.float64], found: NDArray[np.bool_], reason: str
) -> None:
    told = probability_of_detection(width, found)
    assert not told["estimable"]
    assert "a90_px" not in told
    assert re.search(reason, told["reason"])


def test_unknown_widths_are_left_out() -> None:
    width, found = drawn()
    more = np.concatenate([width, [np.nan, 0.0]]), np.concatenate([found, [True, False]])
    assert probability_of_detection(*more) == probability_of_detection(width, found)
