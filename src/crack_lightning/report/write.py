"""Writing of the files of a report: predictions, tables, figures, JSON, Markdown and HTML."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.report.contents import report_contents
from crack_lightning.report.figures import curves
from crack_lightning.report.figures.diagnostics import (
    detection_figure,
    misses_figure,
    reliability_figure,
    risk_coverage_figure,
)
from crack_lightning.report.figures.style import save_figure
from crack_lightning.report.figures.tiles import augmentations_figure, class_colours, tiles_figure
from crack_lightning.report.render.markdown import report_markdown
from crack_lightning.report.render.page import report_page
from crack_lightning.report.render.tables import classification_report, write_predictions
from crack_lightning.report.report_file import to_json
from crack_lightning.runtime.files.atomic_write import write_text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.figure import Figure

    from crack_lightning.data.table import TileTable
    from crack_lightning.evaluation.predictions import Predictions
    from crack_lightning.report.inputs import Explanations, ReportTiles

_ALTERNATIVE_TEXTS = {
    "confusion_matrix.png": "Confusion matrix: tiles by true and predicted class",
    "roc_curve.png": "ROC curve: true positive rate against false positive rate",
    "pr_curve.png": "Precision-recall curve",
    "misses_against_false_alarms.png": "DET curve: misses against false alarms, by threshold",
    "reliability.png": "Reliability diagram: observed frequency against predicted probability",
    "risk_coverage.png": "Risk-coverage curve: error rate of the accepted tiles, against their share",
    "probability_of_detection.png": "Probability of detection against crack width",
    "loss_curve.png": "Loss of training and validation by epoch",
    "accuracy_curve.png": "Accuracy of training and validation by epoch",
    "example_tiles.png": "Training tiles with their labels",
    "augmentations.png": "One training tile and augmentations of it",
}


def write_report(
    folder: Path,
    *,
    title: str,
    predictions: Predictions,
    table: TileTable,
    history: Sequence[Mapping[str, float]] = (),
    provenance: Mapping[str, Any],
    tiles: ReportTiles | None = None,
    threshold: float = 0.5,
    mm_per_px: float | None = None,
    explanations: Explanations | None = None,
) -> Path:
    """Write ``predictions.csv`` and ``report/`` into a run's folder; ``report.md`` comes last.

    All arguments can be sent to a worker process, which needs no torch.

    Args:
        folder: The run's folder.
        title: Heading of the report.
        predictions: Predictions of the test tiles, by row of ``table``.
        table: All tiles of the run, not only the test tiles; with the classes of the model.
        history: One mapping per epoch: ``epoch`` (from 1), ``train/loss``, ``val/accuracy``, …
        provenance: Provenance in reading order. Known keys: ``command``,
            ``excluded_files`` (a list of ``{"path", "reason"}``), ``best_epoch`` (counted as in ``history``),
            ``settings`` (nested), ``timing`` (a mapping) and ``created`` (date and time); other keys are
            written unchanged.
        tiles: Tiles to show; without them there are no pictures of tiles.
        threshold: Lowest probability of a positive prediction, with two classes.
        mm_per_px: Millimetres per pixel of the original images, if known.
        explanations: Explanations of test tiles, if any.

    Returns:
        The path of ``report.md``.
    """
    report = folder / "report"
    contents = report_contents(
        title=title,
        predictions=predictions,
        table=table,
        history=history,
        provenance=provenance,
        threshold=threshold,
        mm_per_px=mm_per_px,
        explanations=explanations,
    )
    figures = report_figures(contents, tiles)
    write_predictions(folder / "predictions.csv", predictions, table, threshold=threshold)
    write_text(report / "classification_report.txt", classification_report(contents))
    for name, figure in figures.items():
        save_figure(figure, report / name)
    write_text(report / "report.json", to_json(contents))
    pictures = {name: _ALTERNATIVE_TEXTS[name] for name in figures}
    evidence = explanations.maps if explanations else {}
    page = report_page(contents, root=table.root, pictures=pictures, folder=report, evidence=evidence)
    write_text(report / "report.html", page)
    write_text(report / "report.md", report_markdown(contents, pictures=pictures))
    return report / "report.md"


def report_figures(contents: Mapping[str, Any], tiles: ReportTiles | None = None) -> dict[str, Figure]:
    """Draw the figures of a report.

    Args:
        contents: The contents of the report.
        tiles: Tiles to show, if there are any.

    Returns:
        Figures by file name.
    """
    names, positive_class = contents["class_names"], contents["positive_class"]
    positive = None if positive_class is None else names.index(positive_class)
    result = _test_figures(contents, None if positive is None or len(names) > 2 else positive)
    if positive is not None and len(names) == 2 and contents["curves"]["roc"][positive_class]:
        result["misses_against_false_alarms.png"] = misses_figure(contents)
    if contents["ood"]:
        result["risk_coverage.png"] = risk_coverage_figure(contents["ood"])
    if (detection := contents["pod"]) and detection["estimable"]:
        result["probability_of_detection.png"] = detection_figure(detection)
    if contents["history"]:
        best = contents["provenance"].get("best_epoch")
        for metric in ("loss", "accuracy"):
            result[f"{metric}_curve.png"] = curves.history_figure(
                contents["history"], metric, best_epoch=best
            )
    if tiles is not None:
        colours = class_colours(len(names), positive)
        result["example_tiles.png"] = tiles_figure(
            tiles.example_image,
            [names[k] for k in tiles.example_label],
            [colours[k] for k in tiles.example_label],
            title="Training tiles",
        )
        result["augmentations.png"] = augmentations_figure(tiles.augmented_image)
    return result


def _test_figures(contents: Mapping[str, Any], positive: int | None) -> dict[str, Figure]:
    """Draw the confusion matrix and, where tiles of two classes were tested, curves and reliability."""
    classes, rates = contents["classes"], contents["curves"]
    confusion = np.array(contents["confusion_matrix"], dtype=np.int64)
    figures = {"confusion_matrix.png": curves.confusion_figure(confusion, contents["class_names"])}
    if not any(rates["roc"].values()):
        return figures
    auroc, precision = (
        {name: row[key] for name, row in classes.items()} for key in ("auroc", "average_precision")
    )
    prevalence = {name: row["support"] / contents["metrics"]["tiles"] for name, row in classes.items()}
    roc_point, pr_point = _operating_points(contents, positive)
    return figures | {
        "roc_curve.png": curves.roc_figure(rates["roc"], auroc, roc_point),
        "reliability.png": reliability_figure(contents["calibration"], contents["threshold"]),
        "pr_curve.png": curves.pr_figure(rates["pr"], precision, prevalence, pr_point),
    }


def _operating_points(
    contents: Mapping[str, Any], positive: int | None
) -> tuple[curves.OperatingPoint | None, curves.OperatingPoint | None]:
    """Return the operating points on the ROC and the precision-recall curve, if there are any."""
    if positive is None:
        return None, None
    row = contents["classes"][contents["class_names"][positive]]
    negatives = contents["metrics"]["tiles"] - row["support"]
    if row["support"] == 0 or negatives == 0:
        return None, None
    alarms, threshold = contents["metrics"]["false_positives"], contents["threshold"]
    called = alarms + row["support"] - contents["metrics"]["false_negatives"]
    on_roc = curves.OperatingPoint(alarms / negatives, row["recall"], threshold)
    on_pr = curves.OperatingPoint(row["recall"], row["precision"], threshold)
    return on_roc, on_pr if called else None
