"""Classification report and predictions as text files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.predictions import predicted_labels
from crack_lightning.runtime.files.atomic_write import atomic_write, open_text
from crack_lightning.runtime.files.csv_files import CsvWriter

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions

_METRICS = ("precision", "recall", "f1")
_ROWS_AT_ONCE = 50_000


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


def write_predictions(
    path: Path, predictions: Predictions, table: TileTable, *, threshold: float = 0.5
) -> None:
    """Write predictions as CSV, atomically and by batches: one row per tile in the order of the table.

    The columns are ``path``, ``group``, ``label``, ``predicted``, ``probability_<positive class>`` (one
    probability per class if there are more than two classes or none is positive; written with enough digits
    to restore the same number), and for a model with an OOD detector ``ood_score`` and ``is_ood`` (``yes`` or
    ``no``).

    Args:
        path: The file to write.
        predictions: Predictions of the test tiles.
        table: All tiles.
        threshold: Lowest probability of a positive prediction, with two classes.
    """
    ordered = predictions.in_table_order()
    with atomic_write(path) as temporary, open_text(temporary) as file:
        for start in range(0, len(ordered), _ROWS_AT_ONCE):
            rows = np.arange(start, min(start + _ROWS_AT_ONCE, len(ordered)))
            columns = _columns(ordered.select(rows), table, threshold)
            cells = zip(*(column.tolist() for column in columns.values()), strict=True)
            CsvWriter(file, columns, header=start == 0).write(cells)


def _columns(part: Predictions, table: TileTable, threshold: float) -> dict[str, NDArray[np.generic]]:
    names = np.array(table.class_names)
    predicted = predicted_labels(part.probability, positive_index=table.positive_index, threshold=threshold)
    columns: dict[str, NDArray[np.generic]] = {
        "path": table.path[part.index],
        "group": table.group[part.index],
        "label": names[part.label],
        "predicted": names[predicted],
    }
    for k in _written_classes(table):
        columns[f"probability_{table.class_names[k]}"] = part.probability[:, k].astype(np.str_)
    if part.ood_score is not None:
        columns["ood_score"] = part.ood_score.astype(np.str_)
        columns["is_ood"] = np.where(part.ood_score > 1, "yes", "no")
    return columns


def _report_row(name: str, row: Mapping[str, Any], width: int) -> str:
    shares = "".join(f" {'-' if row[key] is None else format(row[key], '.4f'):>9}" for key in _METRICS)
    return f"{name:>{width}} {shares} {row['support']:>9}"


def _written_classes(table: TileTable) -> list[int]:
    if len(table.class_names) == 2 and table.positive_index is not None:
        return [table.positive_index]
    return list(range(len(table.class_names)))
