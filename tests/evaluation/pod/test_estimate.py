"""The estimate of the probability of detection, and the reasons where it cannot be estimated."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.proportion import proportion_confint

from crack_lightning.evaluation.pod.estimate import probability_of_detection

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Draw = Callable[..., tuple[Floats, NDArray[np.bool_]]]


def test_a50_and_a90_are_those_of_the_simulated_curve(draw_cracks: Draw) -> None:
    pod = probability_of_detection(*draw_cracks(2000), np.arange(2000))
    assert pod["a50_px"] == pytest.approx(2.0, rel=0.1)
    assert pod["a90_px"] == pytest.approx(2 * 9**0.25, rel=0.1)
    assert pod["a50_px"] < pod["a90_px"] < pod["a90_95_px"] < 1.3 * pod["a90_px"]
    assert pod["widest_px"] == pytest.approx(12, rel=0.01)


def test_the_fit_to_mostly_wide_cracks_equals_scikit_learn() -> None:
    rng = np.random.default_rng(4)
    width = np.append(rng.uniform(4, 12, 285), rng.uniform(0.7, 1.4, 15))
    detected = rng.random(300) < expit(-2.3 + 3.1 * np.log(width))
    pod = probability_of_detection(width, detected, np.arange(300) // 2)
    reference = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    reference.fit(np.log(width)[:, None], detected)
    assert pod["intercept"] == pytest.approx(reference.intercept_[0], rel=1e-6)
    assert pod["slope"] == pytest.approx(reference.coef_[0, 0], rel=1e-6)
    assert pod["a90_95_px_by_photos"] >= pod["a90_95_px"] > pod["a90_px"] > pod["a50_px"]


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e3, 1e30])
def test_widths_in_another_unit_give_the_same_curve(draw_cracks: Draw, factor: float) -> None:
    width, detected = draw_cracks()
    pod, scaled = (probability_of_detection(w, detected, np.arange(300)) for w in (width, factor * width))
    for name in ("a50_px", "a90_px", "a90_95_px"):
        assert scaled[name] / factor == pytest.approx(pod[name], rel=1e-6)
    assert scaled["slope"] == pytest.approx(pod["slope"], rel=1e-6)
    np.testing.assert_allclose(scaled["curve"]["low"], pod["curve"]["low"], atol=1e-6)


def test_nearly_equal_widths_have_a_curve(draw_cracks: Draw) -> None:
    width, detected = draw_cracks()
    narrow = 5 * width**1e-6
    pod = probability_of_detection(narrow, detected, np.arange(300))
    expected = probability_of_detection(width, detected, np.arange(300))
    assert pod["slope"] * 1e-6 == pytest.approx(expected["slope"], rel=1e-4)
    assert np.log(pod["a90_px"] / 5) * 1e6 == pytest.approx(np.log(expected["a90_px"]), rel=1e-4)


RISING = np.linspace(1, 9, 80)


@pytest.mark.parametrize(
    ("width", "detected", "reason"),
    [
        (
            RISING[:59],
            np.arange(59) % 2 == 0,
            "60 cracks of known width are needed, got 59; .* 39.5 %",
        ),
        (RISING[:0], np.zeros(0, np.bool_), r"60 cracks of known width are needed, got 0\."),
        (RISING, np.ones(80, np.bool_), "every crack was detected; .* at least 96.3 % "),
        (RISING, np.zeros(80, np.bool_), "no crack was detected; .* at least 0.0 %"),
        (
            RISING,
            np.arange(80) >= 30,
            "every detected crack is wider than every missed one, .* at least 52.7 %",
        ),
        (np.maximum(RISING, 4), RISING > 4.01, "every detected crack is wider than every missed one"),
        (
            RISING,
            np.arange(80) % 2 == 0,
            "recall does not depend significantly on crack width .* at least 40.3 %",
        ),
        (
            RISING,
            np.random.default_rng(0).random(80) > np.arange(80) / 80,
            "recall decreases with crack width",
        ),
        (np.full(80, 4.0), np.arange(80) % 2 == 0, "all cracks have the same width; .* at least 40.3 %"),
        (np.full(80, 4.0), np.ones(80, np.bool_), "every crack was detected; .* at least 96.3 %"),
        (
            np.maximum(RISING, 4),
            (RISING > 4.01) | (np.arange(80) < 5),
            "every detected crack is at least as wide as every missed one, .* infinite; .* at least ",
        ),
        (RISING, np.arange(80) < 30, "recall decreases with crack width; .* at least 28.4 %"),
    ],
)
def test_without_a_curve_the_reason_and_a_recall_bound_are_given(
    width: Floats, detected: NDArray[np.bool_], reason: str
) -> None:
    pod = probability_of_detection(width, detected, np.arange(len(width)))
    assert not pod["estimable"]
    assert not {"a50_px", "a90_px", "a90_95_px", "curve"} & pod.keys()
    assert re.search(reason, pod["reason"])
    if len(width):
        hits = int(detected.sum())
        low, _ = proportion_confint(hits, len(width), alpha=0.1, method="beta")
        assert f"at least {100 * low if hits else 0:.1f} % " in pod["reason"]


def test_unknown_widths_are_left_out(draw_cracks: Draw) -> None:
    width, detected = draw_cracks()
    more = np.concatenate([width, [np.nan, 0.0]]), np.concatenate([detected, [True, False]])
    again = probability_of_detection(*more, np.arange(302))
    assert again == probability_of_detection(width, detected, np.arange(300))
