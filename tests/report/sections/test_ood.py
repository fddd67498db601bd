"""Out-of-distribution (OOD) tiles in a report: their share and error rate, and risk against coverage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning.report.figures.diagnostics import risk_coverage_figure
from crack_lightning.report.sections.ood import ood_section

if TYPE_CHECKING:
    from collections.abc import Callable

    DrawRun = Callable[..., Any]
    Text = Callable[..., str]
    WithScores = Callable[[np.ndarray[Any, Any] | None], dict[str, Any]]


@pytest.fixture
def with_scores(draw_run: DrawRun, contents_of: Callable[..., Any]) -> WithScores:
    """Compute the contents of a report from the OOD scores of its 150 test tiles."""
    table, predictions = draw_run()
    made = {"ood_detector": {"passes": 0.99}}
    return lambda scores: contents_of(table, replace(predictions, ood_score=scores), provenance=made)


@pytest.fixture
def scores(draw_run: DrawRun) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).uniform(0, 1.2, len(draw_run()[1]))


def test_ood_tiles_are_counted_with_their_errors(
    draw_run: DrawRun, with_scores: WithScores, scores: np.ndarray[Any, Any]
) -> None:
    _, predictions = draw_run()
    contents = with_scores(scores)
    found = contents["ood"]
    wrong = (predictions.probability[:, 0] >= 0.5) != (predictions.label == 0)
    assert found["ood_tiles"] == (scores > 1).sum()
    assert found["error_rate_ood"] == pytest.approx(wrong[scores > 1].mean())
    assert found["error_rate_in_distribution"] == pytest.approx(wrong[scores <= 1].mean())
    assert found["risk_coverage"]["by_confidence"]["risk"][-1] == pytest.approx(wrong.mean())
    told = ood_section(contents).blocks[0]
    assert isinstance(told, str)
    assert told.startswith(f"{found['ood_tiles']} of {len(scores)} test tiles are OOD: ")
    assert "99.00 % of tiles like the validation tiles have an OOD score within the limit." in told
    assert any("unlike the training data (OOD)" in line for line in contents["warnings"])
    lines = risk_coverage_figure(found).axes[0].lines
    np.testing.assert_allclose(
        np.asarray(lines[0].get_ydata()), found["risk_coverage"]["by_ood_score"]["risk"]
    )


def test_few_ood_tiles_give_no_warning(with_scores: WithScores, scores: np.ndarray[Any, Any]) -> None:
    contents = with_scores(np.full(len(scores), 0.5))
    assert contents["ood"]["ood_tiles"] == 0
    assert contents["ood"]["error_rate_ood"] is None
    assert contents["warnings"] == []


def test_a_model_without_an_ood_detector_has_no_such_section(
    draw_run: DrawRun, with_scores: WithScores, predictions_text: Text
) -> None:
    table, predictions = draw_run()
    contents = with_scores(None)
    assert contents["ood"] is None
    assert ood_section(contents).blocks == []
    assert "ood_score" not in predictions_text(predictions, table).splitlines()[0]


def test_every_tile_has_its_own_ood_score_in_the_table(draw_run: DrawRun, predictions_text: Text) -> None:
    table, predictions = draw_run()
    shuffled = np.random.default_rng(1).permutation(len(predictions))
    mixed = replace(predictions, ood_score=predictions.index / 100).select(shuffled)
    head, *lines = predictions_text(mixed, table).splitlines()
    assert head.endswith(",ood_score,is_ood")
    for line, index in zip(lines, np.sort(predictions.index), strict=True):
        assert line.endswith(f",{index / 100},{'yes' if index > 100 else 'no'}")


def test_areas_and_shares_of_errors_have_intervals(
    with_scores: WithScores, scores: np.ndarray[Any, Any]
) -> None:
    contents = with_scores(scores)
    found = contents["ood"]
    values = {**found["aurc"], **{key: found[key] for key in found["intervals"] if key in found}}
    for name, limits in found["intervals"].items():
        assert limits["low"] < values[name] < limits["high"], name
    _, rates, gain, _ = map(str, ood_section(contents).blocks)
    assert rates.count("95 % CI") == gain.count("95 % CI") == 2
    assert "Area under the risk-coverage curve (AURC)" in gain
