"""Classification report and predictions as text files."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.predictions import Predictions, predicted_labels
from crack_lightning.runtime.files.csv_files import CsvWriter

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

_COLUMNS = ("precision", "recall", "f1")


def classification_report(figures: Mapping[str, Any]) -> str:
    """Return precision, recall, F1 and support by class in the layout of scikit-learn, with four digits.

    Undefined values are a dash.

    Args:
        figures: The result of ``evaluate_predictions``.
    """
    width = max(len("weighted avg"), *map(len, figures["classes"]))
    total = figures["macro"]["support"]
    heads = "".join(f" {head:>9}" for head in ("precision", "recall", "f1-score", "support"))
    accuracy = f"{'accuracy':>{width}} {'':>10}{'':>10} {figures['metrics']['accuracy']:>9.4f} {total:>9}"
    averages = {"macro avg": figures["macro"], "weighted avg": figures["weighted"]}
    return "\n".join(
        [
            f"{'':>{width}} {heads}",
            "",
            *(_report_row(name, row, width) for name, row in figures["classes"].items()),
            "",
            accuracy,
            *(_report_row(name, row, width) for name, row in averages.items()),
            "",
        ]
    )


def predictions_csv(predictions: Predictions, table: TileTable, *, threshold: float = 0.5) -> str:
    """Return predictions as CSV, one row per tile in the order of the table.

    Args:
        predictions: Predictions of the test tiles.
        table: All tiles.
        threshold: The positive class of two is predicted from this probability on.

    Returns:
        CSV with the columns ``path``, ``group``, ``label``, ``predicted``, ``probability_<positive class>``
        (one probability per class if there are more than two classes or none is positive; written with enough
        digits to restore the same number), and for a model with an OOD detector ``ood_score`` and ``is_ood``
        (``yes`` or ``no``).
    """
    ordered = predictions.in_table_order()
    names = np.array(table.class_names)
    predicted = predicted_labels(
        ordered.probability, positive_index=table.positive_index, threshold=threshold
    )
    columns: dict[str, NDArray[np.generic]] = {
        "path": table.path[ordered.index],
        "group": table.group[ordered.index],
        "label": names[ordered.label],
        "predicted": names[predicted],
    }
    for k in _written_classes(table):
        columns[f"probability_{table.class_names[k]}"] = ordered.probability[:, k].astype(np.str_)
    if ordered.ood_score is not None:
        columns["ood_score"] = ordered.ood_score.astype(np.str_)
        columns["is_ood"] = np.where(ordered.ood_score > 1, "yes", "no")
    text = io.StringIO(newline="")
    CsvWriter(text, columns).write(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue()


def _report_row(name: str, row: Mapping[str, Any], width: int) -> str:
    shares = "".join(f" {'-' if row[key] is None else format(row[key], '.4f'):>9}" for key in _COLUMNS)
    return f"{name:>{width}} {shares} {row['support']:>9}"


def _written_classes(table: TileTable) -> list[int]:
    if len(table.class_names) == 2 and table.positive_index is not None:
        return [table.positive_index]
    return list(range(len(table.class_names)))
