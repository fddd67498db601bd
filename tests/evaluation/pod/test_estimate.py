"""The curve is the logistic one, its bound holds, and no number is given where there is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.proportion import proportion_confint

from crack_lightning.evaluation.pod.bounds import fit_curve
from crack_lightning.evaluation.pod.estimate import probability_of_detection
from crack_lightning.evaluation.pod.logistic_fit import fit_many

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Codes = NDArray[np.int64]


def drawn(
    number: int = 300, *, a50: float = 2.0, slope: float = 4.0, seed: int = 0
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    rng = np.random.default_rng(seed)
    width = np.exp(rng.uniform(np.log(0.7), np.log(12), number))
    return width, rng.random(number) < 1 / (1 + np.exp(-slope * np.log(width / a50)))


def root_by_statsmodels(width: Floats, found: NDArray[np.bool_], *, at_px: float, chance: float) -> float:
    """The modified root against the best curve through a point, from two fits of statsmodels."""
    logit, away = np.log(chance / (1 - chance)), np.log(width / at_px)
    whole = sm.Logit(found.astype(float), sm.add_constant(away)).fit(disp=0, tol=1e-12)
    through = sm.GLM(
        found.astype(float), away, family=sm.families.Binomial(), offset=np.full(len(away), logit)
    ).fit(tol=1e-12)
    gap = whole.params[0] - logit
    root = np.sign(gap) * np.sqrt(2 * (whole.llf - through.llf))
    wald = gap * np.sqrt(through.cov_params()[0, 0] / np.linalg.det(whole.cov_params()))
    return float(root + np.log(wald / root) / root)


def test_the_fit_and_its_band_equal_statsmodels() -> None:
    width, found = drawn()
    told = probability_of_detection(width, found, np.arange(300))
    reference = sm.Logit(found.astype(float), sm.add_constant(np.log(width))).fit(disp=0, tol=1e-12)
    assert (told["intercept"], told["slope"]) == pytest.approx(tuple(reference.params), rel=1e-6)
    at = sm.add_constant(np.log(np.array(told["curve"]["width_px"])))
    np.testing.assert_allclose(told["curve"]["pod"], reference.predict(at), rtol=1e-6)
    limits = list(zip(told["curve"]["width_px"], told["curve"]["low"], strict=True))
    for at_px, low in [*limits[::10], (told["a90_95_px"], 0.9)]:
        assert root_by_statsmodels(width, found, at_px=at_px, chance=low) == pytest.approx(
            1.6448536, abs=1e-3
        )


def test_the_band_is_near_the_one_of_normal_theory_where_there_are_many_cracks() -> None:
    width, found = drawn(20_000)
    told = probability_of_detection(width, found, np.arange(20_000))
    reference = sm.Logit(found.astype(float), sm.add_constant(np.log(width))).fit(disp=0)
    at = sm.add_constant(np.log(np.array(told["curve"]["width_px"])))
    error = np.sqrt(np.einsum("gi,ij,gj->g", at, reference.cov_params(), at))
    expected = 1 / (1 + np.exp(1.6448536 * error - at @ reference.params))
    np.testing.assert_allclose(told["curve"]["low"], expected, atol=1e-3)


def test_the_widths_of_half_and_nine_tenths_are_on_the_curve() -> None:
    told = probability_of_detection(*drawn(2000), np.arange(2000))
    assert told["a50_px"] == pytest.approx(2.0, rel=0.1)
    assert told["a90_px"] == pytest.approx(2 * 9**0.25, rel=0.1)
    assert told["a50_px"] < told["a90_px"] < told["a90_95_px"] < 1.3 * told["a90_px"]
    assert told["widest_px"] == pytest.approx(12, rel=0.01)


def of_photos(seed: int, *, photos: int = 50, tiles: int = 8) -> tuple[Floats, NDArray[np.bool_], Codes]:
    """Cracks of which all of a photo are found more or less easily."""
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(photos), tiles)
    width = np.exp(rng.uniform(np.log(0.7), np.log(12), photos))[group]
    ease = rng.normal(0, 3, photos)[group]
    return width, rng.random(len(width)) < 1 / (1 + np.exp(-ease - 4 * np.log(width / 2))), group


def test_cracks_that_share_photos_have_a_second_bound_which_equals_scipys() -> None:
    width, found, group = of_photos(0)
    told = probability_of_detection(width, found, group)
    assert told["photos"] == 50

    def log_a90(photos: Codes) -> float:
        rows = np.concatenate([np.flatnonzero(group == photo) for photo in photos])
        fit = sm.Logit(found[rows].astype(float), sm.add_constant(np.log(width[rows]))).fit(disp=0).params
        return float((np.log(9) - fit[0]) / fit[1])

    reference = stats.bootstrap(
        (np.arange(50),), log_a90, n_resamples=300, confidence_level=0.9, vectorized=False, rng=1
    )
    bound = np.exp(reference.confidence_interval.high)
    assert told["a90_95_px_by_photos"] == pytest.approx(bound, rel=0.07)
    assert told["a90_95_px_by_photos"] > told["a90_95_px"]
    assert "photos" not in probability_of_detection(width, found, np.arange(len(width)))


@pytest.mark.parametrize("seed", range(4))
def test_the_bound_by_photos_is_not_below_walds_with_statsmodels_clustered_covariance(seed: int) -> None:
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(30), 8)
    log_width = rng.uniform(np.log(0.7), np.log(12), 30)[group]
    found = rng.random(240) < 1 / (1 + np.exp(-rng.normal(0, 1, 30)[group] - 4 * (log_width - np.log(2))))
    model = sm.Logit(found.astype(float), sm.add_constant(log_width))
    fit = model.fit(disp=0, cov_type="cluster", cov_kwds={"groups": group})
    log_a90 = (np.log(9) - fit.params[0]) / fit.params[1]
    gradient = -np.array([1, log_a90]) / fit.params[1]
    wald = log_a90 + stats.t.ppf(0.95, 29) * np.sqrt(gradient @ fit.cov_params() @ gradient)
    pod = probability_of_detection(np.exp(log_width), found, group)
    assert pod["a90_px"] == pytest.approx(np.exp(log_a90))
    assert np.exp(wald) < pod["a90_95_px_by_photos"] < 4 * np.exp(wald)


def test_few_photos_bound_nothing() -> None:
    width, found, group = of_photos(0)
    assert probability_of_detection(width, found, group // 3)["a90_95_px_by_photos"] is None


def test_no_bound_by_photos_hangs_on_a_single_photo() -> None:
    photo = np.arange(240) // 8
    width = np.tile(np.linspace(4, 12, 8), 30)
    thin = photo == 3
    width[thin] = np.linspace(1, 3, 8)
    found = ~thin & ~((photo == 5) & (width > 10))
    told = probability_of_detection(width, found, photo)
    assert told["a90_95_px"] > told["a90_px"]
    assert told["a90_95_px_by_photos"] is None


def laws(rng: np.random.Generator, number: int) -> dict[str, Floats]:
    """Widths even by logarithm, even, and as drawn by default: hairlines, most wide, some clipped."""
    typical = np.where(rng.random(number) < 0.03, rng.uniform(0.7, 1.1, number), rng.uniform(5, 12, number))
    return {
        "log-uniform": np.exp(rng.uniform(np.log(0.7), np.log(12), number)),
        "uniform": rng.uniform(0.8, 30, number),
        "default": np.minimum(typical * np.exp(0.2 * rng.standard_normal(number)), 12.0),
    }


def random_sets(law: str, number: int) -> Iterator[tuple[Floats, NDArray[np.bool_]]]:
    """Log widths and hits of all kinds: few and many, steep and flat, rounded widths, one or two misses."""
    rng = np.random.default_rng(len(law))
    for place in range(number):
        width = laws(rng, int(rng.integers(60, 400)))[law]
        x = np.log(np.round(width) + 0.5 if place % 5 == 0 else width)
        hit = rng.random(len(x)) < expit(rng.uniform(1, 8) * (x - np.log(rng.uniform(0.7, 5))))
        yield x, hit


def overlap(x: Floats, hit: NDArray[np.bool_]) -> bool:
    """Whether no width divides hits from misses (Albert and Anderson 1984), by trying every one."""
    if hit.all() or not hit.any():
        return False
    return not any(
        (hit[x > at].all() and not hit[x < at].any()) or (hit[x < at].all() and not hit[x > at].any())
        for at in np.unique(x)
    )


@pytest.mark.parametrize("law", ["log-uniform", "uniform", "default"])
def test_every_curve_equals_the_one_of_an_independent_glm_and_there_is_none_where_nothing_overlaps(
    law: str,
) -> None:
    fitted = 0
    for x, hit in random_sets(law, 334):
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


@pytest.mark.parametrize("law", ["log-uniform", "uniform", "default"])
def test_curves_that_are_fitted_together_equal_those_that_are_fitted_alone_row_by_row(law: str) -> None:
    rng = np.random.default_rng(1)
    for x, hit in random_sets(law, 8):
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


def bound_by_grid(x: Floats, hit: NDArray[np.bool_], *, at: float, value: float) -> float:
    """The modified root against the likeliest curve through a point, found on a grid of slopes."""

    def likelihood(intercept: Floats, slope: Floats) -> Floats:
        logits = intercept[:, None] + slope[:, None] * (x - at)
        return np.asarray((hit * logits - np.logaddexp(0, logits)).sum(axis=1))

    low, high = -50.0, 50.0
    for _ in range(12):  # of a concave function, each grid between the neighbours of the best
        slopes = np.linspace(low, high, 41)
        best = int(likelihood(np.full(41, value), slopes).argmax())
        low, high = slopes[max(best - 1, 0)], slopes[min(best + 1, 40)]
    through = slopes[best]
    whole = sm.GLM(hit.astype(float), sm.add_constant(x - at), family=sm.families.Binomial()).fit(tol=1e-14)
    gap = whole.params[0] - value
    root = np.sign(gap) * np.sqrt(2 * (whole.llf - likelihood(np.array([value]), np.array([through]))[0]))
    chance = expit(value + through * (x - at))
    nuisance = (chance * (1 - chance) * (x - at) ** 2).sum()
    wald = gap / np.sqrt(np.linalg.det(whole.cov_params()) * nuisance)
    return float(root + np.log(wald / root) / root)


@pytest.mark.parametrize("law", ["log-uniform", "uniform", "default"])
def test_bounds_equal_those_of_a_grid_and_rise_with_the_width(law: str) -> None:
    estimable = 0
    for x, hit in random_sets(law, 12):
        told = probability_of_detection(np.exp(x), hit, np.arange(len(x)))
        if not told["estimable"]:
            continue
        estimable += 1
        assert (np.diff(told["curve"]["low"]) >= 0).all()
        assert (np.diff(told["curve"]["pod"]) >= 0).all()
        assert (np.array(told["curve"]["low"]) <= np.array(told["curve"]["pod"])).all()
        bound = np.log(told["a90_95_px"])
        assert bound_by_grid(x, hit, at=bound, value=np.log(9)) == pytest.approx(1.6448536, abs=1e-3)
        above = np.array(told["curve"]["width_px"]) >= told["a90_95_px"] * (1 + 1e-6)
        assert (np.array(told["curve"]["low"])[above] >= 0.9 - 1e-6).all()
    assert estimable > 3


def test_a_run_of_mostly_wide_cracks_has_the_curve_of_the_greatest_likelihood() -> None:
    rng = np.random.default_rng(4)
    width = np.append(rng.uniform(4, 12, 285), rng.uniform(0.7, 1.4, 15))
    found = rng.random(300) < expit(-2.3 + 3.1 * np.log(width))
    told = probability_of_detection(width, found, np.arange(300) // 2)
    reference = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=1e-10)
    reference.fit(np.log(width)[:, None], found)
    assert told["intercept"] == pytest.approx(reference.intercept_[0], rel=1e-6)
    assert told["slope"] == pytest.approx(reference.coef_[0, 0], rel=1e-6)
    assert told["a90_95_px_by_photos"] >= told["a90_95_px"] > told["a90_px"] > told["a50_px"]


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 1e3, 1e30])
def test_the_unit_of_the_widths_does_not_matter(factor: float) -> None:
    width, found = drawn()
    told, scaled = (probability_of_detection(w, found, np.arange(300)) for w in (width, factor * width))
    for name in ("a50_px", "a90_px", "a90_95_px"):
        assert scaled[name] / factor == pytest.approx(told[name], rel=1e-6)
    assert scaled["slope"] == pytest.approx(told["slope"], rel=1e-6)
    np.testing.assert_allclose(scaled["curve"]["low"], told["curve"]["low"], atol=1e-6)


def test_widths_that_hardly_differ_have_a_curve_all_the_same() -> None:
    width, found = drawn()
    narrow = 5 * width**1e-6
    told = probability_of_detection(narrow, found, np.arange(300))
    expected = probability_of_detection(width, found, np.arange(300))
    assert told["slope"] * 1e-6 == pytest.approx(expected["slope"], rel=1e-4)
    assert np.log(told["a90_px"] / 5) * 1e6 == pytest.approx(np.log(expected["a90_px"]), rel=1e-4)


def test_a_single_pair_that_overlaps_gives_the_greatest_likelihood() -> None:
    x, hit = np.linspace(-1, 2, 200), np.arange(200) >= 80
    hit[79], hit[80] = True, False
    curve = fit_curve(x, hit)
    assert curve is not None
    reference = sm.GLM(hit.astype(float), sm.add_constant(x), family=sm.families.Binomial()).fit(
        tol=1e-14, maxiter=200
    )
    assert curve.log_likelihood >= reference.llf - 1e-9
    assert curve.slope == pytest.approx(reference.params[1], rel=1e-5)


RISING = np.linspace(1, 9, 80)


@pytest.mark.parametrize(
    ("width", "found", "reason"),
    [
        (
            RISING[:59],
            np.arange(59) % 2 == 0,
            "Only 59 cracks have a known width, and 60 are needed; .* 39.5 %",
        ),
        (RISING[:0], np.zeros(0, np.bool_), r"Only 0 cracks have a known width, and 60 are needed\."),
        (RISING, np.ones(80, np.bool_), "Every crack was found; .* at least 96.3 % are found"),
        (RISING, np.zeros(80, np.bool_), "No crack was found; .* at least 0.0 %"),
        (RISING, np.arange(80) >= 30, "Every found crack is wider than every missed one, .* at least 52.7 %"),
        (np.maximum(RISING, 4), RISING > 4.01, "Every found crack is wider than every missed one"),
        (RISING, np.arange(80) % 2 == 0, "Found cracks are not wider than missed ones; .* at least 40.3 %"),
        (
            RISING,
            np.random.default_rng(0).random(80) > np.arange(80) / 80,
            "Wider cracks are found less often",
        ),
        (np.full(80, 4.0), np.arange(80) % 2 == 0, "All cracks have one width; .* at least 40.3 %"),
        (np.full(80, 4.0), np.ones(80, np.bool_), "Every crack was found; .* at least 96.3 %"),
        (
            np.maximum(RISING, 4),
            (RISING > 4.01) | (np.arange(80) < 5),
            "Every found crack is at least as wide as every missed one, .* no finite slope; .* at least ",
        ),
        (RISING, np.arange(80) < 30, "Wider cracks are found less often; .* at least 28.4 %"),
    ],
)
def test_where_there_is_no_curve_a_bound_is_given_and_no_width(
    width: Floats, found: NDArray[np.bool_], reason: str
) -> None:
    told = probability_of_detection(width, found, np.arange(len(width)))
    assert not told["estimable"]
    assert not {"a50_px", "a90_px", "a90_95_px", "curve"} & told.keys()
    assert re.search(reason, told["reason"])
    if len(width):
        hits = int(found.sum())
        low, _ = proportion_confint(hits, len(width), alpha=0.1, method="beta")
        assert f"at least {100 * low if hits else 0:.1f} % are found" in told["reason"]


def test_the_bound_respects_photos_where_there_is_no_curve() -> None:
    found = np.ones(80, np.bool_)
    alone = probability_of_detection(RISING, found, np.arange(80))["reason"]
    together = probability_of_detection(RISING, found, np.arange(80) // 8)["reason"]
    shares = [float(re.findall(r"at least ([\d.]+) %", reason)[0]) for reason in (alone, together)]
    assert shares[1] < shares[0] - 5


def test_unknown_widths_are_left_out() -> None:
    width, found = drawn()
    more = np.concatenate([width, [np.nan, 0.0]]), np.concatenate([found, [True, False]])
    again = probability_of_detection(*more, np.arange(302))
    assert again == probability_of_detection(width, found, np.arange(300))
