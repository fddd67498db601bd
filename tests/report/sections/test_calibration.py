"""The expected calibration error is stated by its name, its definition and its interval."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from sklearn.calibration import calibration_curve

from crack_lightning.report.write import write_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_calibration_error_is_stated_by_name_and_definition(
    tmp_path: Path, draw_run: Callable[..., Any]
) -> None:
    table, predictions = draw_run(tiles=600)  # 300 of them are tested: 20 a bin
    assert len(predictions) % 15 == 0
    report = write_report(tmp_path, title="t", predictions=predictions, table=table, provenance={})
    text = report.read_text(encoding="utf-8")
    said = re.search(
        r"Expected calibration error \(ECE, 15 equal-mass bins of the probability of crack\): (0\.\d+) "
        r"\(95 % CI 0\.\d+ to 0\.\d+\)",
        text,
    )
    assert said, text
    observed, predicted = calibration_curve(
        predictions.label == 0, predictions.probability[:, 0], n_bins=15, strategy="quantile"
    )
    assert float(said[1]) == pytest.approx(abs(observed - predicted).mean(), abs=1e-3)
    assert "the mean absolute difference of predicted probability and observed frequency" in text
