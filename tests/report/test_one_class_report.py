"""Reports of tests with one class or a single tile, and intervals of all metrics."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema
import numpy as np
import pytest

from crack_lightning.report.figures.diagnostics import reliability_figure
from crack_lightning.report.model_card import model_card
from crack_lightning.report.render.document import Table
from crack_lightning.report.sections.metrics import metrics_section
from crack_lightning.report.write import write_report

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.evaluation.predictions import Predictions

    DrawRun = Callable[..., Any]
    Contents = Callable[..., dict[str, Any]]

SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "report.schema.json").read_text(encoding="utf-8"))


def part(predictions: Predictions, rows: Any) -> Predictions:
    chosen = predictions.select(rows)
    return replace(chosen, ood_score=np.linspace(0.2, 1.2, len(chosen)))


@pytest.mark.parametrize("case", ["cracks alone", "intact tiles alone", "one tile", "one photo"])
def test_a_report_of_any_part_of_a_test_has_dashes_for_what_is_undefined(
    tmp_path: Path, draw_run: DrawRun, case: str
) -> None:
    table, predictions = draw_run()
    photo = table.group[predictions.index]
    rows = {
        "cracks alone": predictions.label == 0,
        "intact tiles alone": predictions.label == 1,
        "one tile": np.arange(len(predictions)) == 0,
        "one photo": photo == photo[0],
    }[case]
    tested = part(predictions, rows)
    report = write_report(tmp_path, title="t", predictions=tested, table=table, provenance={})
    contents = json.loads(report.with_name("report.json").read_text(encoding="utf-8"))
    described = {
        key: node
        for key, node in SCHEMA["properties"].items()
        if key not in ("provenance", "timing", "created")
    }
    schema = SCHEMA | {"properties": described, "additionalProperties": True}
    jsonschema.Draft202012Validator(schema).validate(contents)
    for name in ("report.md", "report.html", "classification_report.txt"):
        text = re.sub(r"base64,[^\"]+", "", report.with_name(name).read_text(encoding="utf-8"))
        assert "nan" not in text.lower()
        assert "None" not in text
        assert "unknown" not in text.replace("False call rate: unknown", "")
    assert "| - |" in report.read_text(encoding="utf-8")
    found = contents["metrics"]
    called = tested.probability[:, 0] >= 0.5
    if case != "one photo":
        assert "Calibration cannot be measured on tiles of one class." in report.read_text(encoding="utf-8")
    if case == "cracks alone":
        assert found["recall_crack"] == pytest.approx(called.mean())
        assert found["specificity"] is found["auroc_crack"] is found["precision_crack"] is None
    if case == "intact tiles alone":
        assert found["specificity"] == pytest.approx(1 - called.mean())
        assert found["recall_crack"] is found["f1_crack"] is None


@pytest.mark.parametrize(("num_classes", "positive"), [(2, "crack"), (2, None), (3, "crack"), (4, None)])
def test_every_metric_of_the_table_has_an_interval(
    draw_run: DrawRun, contents_of: Contents, num_classes: int, positive: str | None
) -> None:
    table, predictions = draw_run(num_classes=num_classes, positive=positive)
    contents = contents_of(table, predictions)
    figures, *others = (block for block in metrics_section(contents).blocks if isinstance(block, Table))
    assert len(figures.rows) >= 10
    assert [row for row in figures.rows if " to " not in row[2]] == []
    if positive is None:
        assert all("95 % CI" in cell for row in others[-1].rows for cell in row[1:4])


def test_the_model_card_leaves_undefined_metrics_out(
    draw_run: DrawRun, contents_of: Contents, provenance: dict[str, Any]
) -> None:
    table, predictions = draw_run()
    made = provenance | {
        "versions": {"crack-lightning": "1"},
        "parameters": 1,
        "settings": {
            "model": {"name": "m", "image_size": 48, "weights": "none"},
            "recipe": {"name": "scratch"},
            "seed": 0,
        },
    }
    contents = contents_of(table, part(predictions, predictions.label == 0), provenance=made)
    text = model_card(contents)
    assert "nan" not in text.lower().replace("provenance", "")
    assert "roc_auc" not in text


def test_reliability_of_two_classes_is_of_the_positive_one_over_all_probabilities(
    draw_run: DrawRun, contents_of: Contents
) -> None:
    table, predictions = draw_run()
    contents = contents_of(table, predictions, threshold=0.3)
    axes = reliability_figure(contents["calibration"], contents["threshold"]).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == (
        "predicted probability of crack",
        "observed frequency of crack",
    )
    assert axes.get_xlim() == pytest.approx((0, 1), abs=0.02)
    bars = axes.containers[0]
    drawn = np.asarray(bars.lines[0].get_xydata())  # type: ignore[attr-defined]
    order = np.argsort(predictions.probability[:, 0])
    parts = np.array_split(order, 15)
    expected = [
        [predictions.probability[rows, 0].mean(), (predictions.label[rows] == 0).mean()] for rows in parts
    ]
    np.testing.assert_allclose(drawn, expected, rtol=1e-6)
    assert any(list(line.get_xdata()) == [0.3, 0.3] for line in axes.lines)  # type: ignore[arg-type]
    three, predictions = draw_run(num_classes=3)
    contents = contents_of(three, predictions)
    assert "predicted class" in reliability_figure(contents["calibration"]).axes[0].get_xlabel()
