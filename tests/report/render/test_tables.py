from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn import metrics as reference

from crack_lightning.evaluation.classification import evaluate_predictions
from crack_lightning.report.render import tables
from crack_lightning.report.render.tables import classification_report

if TYPE_CHECKING:
    from collections.abc import Callable

    DrawRun = Callable[..., Any]
    Text = Callable[..., str]


@pytest.mark.parametrize("num_classes", [2, 4])
def test_the_classification_report_equals_scikit_learns(draw_run: DrawRun, num_classes: int) -> None:
    table, predictions = draw_run(num_classes=num_classes, positive=None)
    names = ["a class with a long name", *table.class_names[1:]]
    figures = evaluate_predictions(predictions, class_names=names, positive_class=None)
    expected = reference.classification_report(
        predictions.label,
        predictions.probability.argmax(axis=1),
        labels=range(num_classes),
        target_names=names,
        digits=4,
    )
    assert classification_report(figures) == expected


def test_the_classification_report_has_dashes_where_scikit_learn_has_no_number(draw_run: DrawRun) -> None:
    table, predictions = draw_run(num_classes=4, positive=None, absent=3)
    called = predictions.probability.argmax(axis=1)
    kept = called != 3  # a class that is not called either: scikit-learn leaves it out of averages, too
    figures = evaluate_predictions(
        predictions.select(kept), class_names=table.class_names, positive_class=None
    )
    expected = reference.classification_report(
        predictions.label[kept],
        called[kept],
        labels=range(4),
        target_names=table.class_names,
        digits=4,
        zero_division=np.nan,
    )
    assert classification_report(figures) == expected.replace("nan", "  -")


def test_predictions_have_every_tile_with_its_exact_probability(
    draw_run: DrawRun, predictions_text: Text
) -> None:
    table, predictions = draw_run()
    rows = list(csv.DictReader(io.StringIO(predictions_text(predictions, table))))
    assert list(rows[0]) == ["path", "group", "label", "predicted", "probability_crack"]
    assert [row["path"] for row in rows] == table.path[table.split == "test"].tolist()
    assert [row["group"] for row in rows] == table.group[table.split == "test"].tolist()
    names = np.array(table.class_names)
    assert [row["label"] for row in rows] == names[table.label[table.split == "test"]].tolist()
    assert [row["predicted"] for row in rows] == names[predictions.probability.argmax(axis=1)].tolist()
    read_back = np.array([row["probability_crack"] for row in rows], dtype=np.float32)
    assert read_back.tolist() == predictions.probability[:, 0].tolist()


def test_neither_the_order_of_predictions_nor_the_size_of_batches_changes_the_file(
    draw_run: DrawRun, predictions_text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    table, predictions = draw_run()
    shuffled = predictions.select(np.random.default_rng(0).permutation(len(predictions)))
    expected = predictions_text(predictions, table)
    monkeypatch.setattr(tables, "_ROWS_AT_ONCE", 7)
    assert predictions_text(shuffled, table) == expected


@pytest.mark.parametrize(("num_classes", "positive"), [(2, None), (3, None), (3, "crack")])
def test_every_class_has_a_probability_without_a_positive_class_of_two(
    draw_run: DrawRun, predictions_text: Text, num_classes: int, positive: str | None
) -> None:
    table, predictions = draw_run(num_classes=num_classes, positive=positive)
    (header, *rows) = csv.reader(io.StringIO(predictions_text(predictions, table)))
    assert header[4:] == [f"probability_{name}" for name in table.class_names]
    read_back = np.array([row[4:] for row in rows], dtype=np.float32)
    assert read_back.tolist() == predictions.probability.tolist()
