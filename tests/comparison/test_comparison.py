"""Metrics that a comparison shows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from crack_lightning.comparison.comparison import compare_runs
from crack_lightning.comparison.run_results import read_runs

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("class_names", "expected"), [(["intact", "crack"], "crack"), (["intact", "crack", "spall"], None)]
)
def test_metrics_of_the_positive_class_are_compared_for_two_classes_only(
    tmp_path: Path, class_names: list[str], expected: str | None
) -> None:
    report: dict[str, Any] = {
        "title": "a on b",
        "class_names": class_names,
        "positive_class": "crack",
        "metrics": {"accuracy": 0.5, "tiles": 1, "errors": 0},
        "uncertainty": {"intervals": {}},
        "data": {"splits": {}},
        "provenance": {"settings": {}, "parameters": 7},
        "timing": {"seconds": {"test": 1.5}},
    }
    for name in ("a", "b"):
        (tmp_path / name / "report").mkdir(parents=True)
        (tmp_path / name / "report" / "report.json").write_text(json.dumps(report), encoding="utf-8")
        rows = "path,label,group,predicted\na.png,crack,g,crack\n"
        (tmp_path / name / "predictions.csv").write_text(rows, encoding="utf-8")
    runs, _ = read_runs([tmp_path / "a", tmp_path / "b"])
    assert compare_runs(runs)["positive_class"] == expected
