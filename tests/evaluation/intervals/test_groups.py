"""Coverage and width of intervals over groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from sklearn import metrics as reference
from statsmodels.stats.proportion import proportion_confint

from crack_lightning.evaluation.intervals import weighted_metrics
from crack_lightning.evaluation.intervals.groups import (
    NUM_RESAMPLES,
    effective_size,
    group_codes,
    lower_bound,
    proportion_interval,
    resampled,
    resampled_counts,
)
from crack_lightning.evaluation.intervals.metrics import uncertainty
from crack_lightning.evaluation.intervals.weighted_metrics import (
    area_under_risk,
    rank_weights,
    weighted_auroc,
    weighted_average_precision,
)
from crack_lightning.evaluation.predictions import Predictions
from crack_lightning.evaluation.risk_coverage import aurc, risk_coverage

if TYPE_CHECKING:
    from numpy.typing import NDArray

NAMES = ["intact", "crack"]


def clustered(
    share: float, groups: int, size: int, correlation: float, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Draw hits whose probability differs from group to group (beta-binomial)."""
    spread = (1 - correlation) / correlation
    chance = rng.beta(share * spread, (1 - share) * spread, groups)
    group = np.repeat(np.arange(groups), size)
    return rng.random(groups * size) < chance[group], group


def test_the_interval_of_independent_tiles_is_wilsons() -> None:
    hit = np.arange(50) < 45
    low, high = proportion_confint(45, 50, method="wilson")
    assert proportion_interval(hit, np.arange(50)) == pytest.approx((low, high), abs=1e-9)


def test_groups_make_intervals_wider() -> None:
    hit, group = clustered(0.9, 40, 20, 0.3, np.random.default_rng(0))
    alone, together = proportion_interval(hit, np.arange(len(hit))), proportion_interval(hit, group)
    assert together.high - together.low > 1.5 * (alone.high - alone.low)
    assert effective_size(hit, group) < len(hit) / 2


@pytest.mark.parametrize("share", [0.8, 0.99])
@pytest.mark.parametrize("groups", [20, 60])
def test_the_interval_covers_the_true_value(share: float, groups: int) -> None:
    rng = np.random.default_rng(groups)
    inside = 0
    for _ in range(200):
        hit, group = clustered(share, groups, 20, 0.2, rng)
        low, high = proportion_interval(hit, group)
        assert high > low
        inside += low <= share <= high
    assert inside >= 180


@pytest.mark.parametrize("right", [True, False])
def test_the_interval_has_a_width_without_errors(right: bool) -> None:  # noqa: FBT001
    hit, group = np.full(1200, right), np.repeat(np.arange(85), 15)[:1200]
    low, high = proportion_interval(hit, group)
    assert (high == 1.0, low == 0.0) == (right, not right)
    assert high - low > 0.005
    if right:
        assert 0.0025 < 1 - lower_bound(hit, group) < 0.02


@pytest.mark.parametrize("number", [1, 2])
def test_a_single_group_has_an_effective_sample_size_of_one(number: int) -> None:
    assert effective_size(np.ones(number, np.bool_), np.zeros(number, np.int64)) == 1.0


def test_each_tile_of_unknown_group_is_its_own_group() -> None:
    codes = group_codes(np.array(["a", "", "a", "", "b"]))
    assert codes[0] == codes[2]
    assert len(set(codes.tolist())) == 4


def test_the_bootstrap_resamples_whole_groups() -> None:
    group = np.repeat(np.arange(10), 5)
    seen = []

    def figures(counts: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        seen.append(counts)
        return {"total": counts[:, group].sum(axis=1)}

    assert (resampled(figures, group)["total"] == 50).all()
    assert np.concatenate(seen).shape == (NUM_RESAMPLES, 10)


def test_resamples_do_not_depend_on_the_number_held_at_once() -> None:
    few, many = (list(resampled_counts(7, tiles=tiles)) for tiles in (3_000_000, 7))
    assert {len(block) for block in few} == {3, 2}
    assert {len(block) for block in many} == {100}
    assert np.array_equal(np.concatenate(few), np.concatenate(many))


def drawn(number: int = 600) -> Predictions:
    rng = np.random.default_rng(0)
    label = rng.integers(0, 2, number)
    score = np.clip(np.round(0.5 * label + rng.normal(0.25, 0.25, number), 2), 0.01, 0.99)
    return Predictions(index=np.arange(number), label=label, probability=np.stack([1 - score, score], axis=1))


def test_weighted_rankings_equal_scikit_learns() -> None:
    predictions, rng = drawn(), np.random.default_rng(1)
    weights = rng.integers(0, 4, (3, len(predictions))).astype(float)
    label, score = predictions.label, predictions.probability[:, 1]
    ranked = rank_weights(score, label == 1, np.arange(len(label)))(weights)
    found = {"auroc": weighted_auroc(ranked), "average_precision": weighted_average_precision(ranked)}
    for row, weight in enumerate(weights):
        expected = {
            "auroc": reference.roc_auc_score(label, score, sample_weight=weight),
            "average_precision": reference.average_precision_score(label, score, sample_weight=weight),
        }
        assert {name: values[row] for name, values in found.items()} == pytest.approx(expected, abs=1e-6)


def test_resampled_rankings_of_many_tiles_nearly_equal_those_of_all_their_scores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rng, group = np.random.default_rng(0), np.arange(120_000) // 40
    score = rng.random(len(group))
    positive, wrong = rng.random(len(group)) < score, rng.random(len(group)) < 0.1 * score
    counts = np.stack([np.bincount(rng.integers(3000, size=3000), minlength=3000) for _ in range(20)])

    def figures() -> NDArray[np.float64]:
        ranked = rank_weights(score, positive, group)(counts.astype(float))
        areas = area_under_risk(score, wrong, group)(counts.astype(float))
        return np.stack([weighted_auroc(ranked), weighted_average_precision(ranked), areas])

    fewer = figures()
    monkeypatch.setattr(weighted_metrics, "_MANY", len(group))
    every = figures()
    assert (np.abs(fewer - every).max(axis=1) < 0.02 * every.std(axis=1)).all()
    assert fewer.std(axis=1) == pytest.approx(every.std(axis=1), rel=1e-3)


@pytest.mark.parametrize("missing", [0, 1])
def test_ranking_metrics_of_one_class_are_undefined(missing: int) -> None:
    predictions = drawn(50)
    weights = (predictions.label != missing)[None].astype(float)
    ranked = rank_weights(predictions.probability[:, 1], predictions.label == 1, np.arange(50))(weights)
    assert np.isnan([weighted_auroc(ranked), weighted_average_precision(ranked)]).all()


@pytest.mark.parametrize("decimals", [1, 9])
def test_a_weighted_aurc_equals_that_of_repeated_tiles(decimals: int) -> None:
    rng = np.random.default_rng(2)
    doubt = np.round(rng.random(300), decimals)
    wrong = rng.random(300) < doubt / 3
    weights = rng.integers(0, 4, (3, 300))
    repeated = [aurc(risk_coverage(np.repeat(doubt, times), np.repeat(wrong, times))) for times in weights]
    areas = area_under_risk(doubt, wrong, np.arange(300))
    assert areas(weights.astype(float)) == pytest.approx(repeated)


def test_a_test_without_errors_has_upper_bounds_of_its_error_rates() -> None:
    label = np.arange(200) % 2
    score = 0.1 + 0.8 * label
    perfect = Predictions(index=np.arange(200), label=label, probability=np.stack([1 - score, score], axis=1))
    told = uncertainty(perfect, np.full(200, ""), class_names=NAMES, positive_class="crack")
    assert all(row["low"] < row["high"] for row in told["intervals"].values() if row["high"] == 1.0)
    assert told["notes"][1].startswith("No miss among 100 crack tiles; up to 3 %")
    assert not told["groups_known"]
    photos = np.array([f"photo {row // 4}" for row in range(200)])
    told = uncertainty(perfect, photos, class_names=NAMES, positive_class="crack")
    assert told["notes"][1].startswith("No miss among 100 crack tiles of 50 groups; up to ")
    assert told["groups"] == 50
    assert told["baselines"]["crack"]["accuracy"] == 0.5
    assert told["baselines"]["intact"]["specificity"] == 1.0


def test_a_single_photo_gives_no_bootstrap_intervals() -> None:
    rng = np.random.default_rng(0)
    label = np.arange(40) % 2
    score = np.clip(0.5 * label + rng.uniform(0, 0.6, 40), 0, 1)
    told = uncertainty(
        Predictions(index=np.arange(40), label=label, probability=np.stack([1 - score, score], axis=1)),
        np.full(40, "photo"),
        class_names=NAMES,
        positive_class="crack",
    )
    assert all(row["low"] < row["high"] for row in told["intervals"].values())
    assert {"log_loss", "auroc_crack"}.isdisjoint(told["intervals"])
    assert told["notes"][-1].startswith("All tiles are of one group")
