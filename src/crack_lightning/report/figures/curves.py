"""Confusion matrix, ROC and precision-recall curves, and learning curves."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator, PercentFormatter

from crack_lightning.report.figures.style import (
    BLUE,
    GOLD,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    as_percent,
    panel,
    short,
)
from crack_lightning.report.render.formatting import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray


def confusion_figure(confusion: NDArray[np.int64], class_names: Sequence[str]) -> Figure:
    """Draw counts by true and predicted class, shaded by the share of the true class.

    Args:
        confusion: Rows are the truth, int64 ``(K, K)``.
        class_names: K names by class index.
    """
    num_classes = len(class_names)
    side = min(4.6 + 0.75 * (num_classes - 2), 14.0)
    figure, axes = panel("Confusion matrix", "predicted", "true", size=(side, side * 0.9))
    share = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.25)
    axes.spines[:].set_visible(True)
    axes.grid(visible=False)
    axes.set_xticks(range(num_classes), [short(name) for name in class_names])
    axes.set_yticks(range(num_classes), [short(name) for name in class_names])
    if num_classes > 3 or max(map(len, class_names)) > 10:
        axes.tick_params(axis="x", rotation=90)
    for (row, column), count in np.ndenumerate(confusion):
        text = f"{count:,}\n{percent(share[row, column])}" if num_classes <= 8 else f"{count:,}"
        shade = "white" if share[row, column] > 0.6 else "black"
        size = 14 if num_classes <= 3 else 9
        written = axes.text(column, row, text, ha="center", va="center", color=shade, fontsize=size)
        written.set_in_layout(False)
    return figure


class OperatingPoint(NamedTuple):
    """The point of a curve at the threshold."""

    x: float
    y: float
    threshold: float


def roc_figure(
    curves: Mapping[str, Any], areas: Mapping[str, float | None], operating_point: OperatingPoint | None
) -> Figure:
    """Draw receiver operating characteristics.

    Args:
        curves: By class, ``false_positive_rate`` and ``true_positive_rate``; ``None`` where undefined.
        areas: Area under each curve.
        operating_point: The operating point: false positive rate (x) and true positive rate (y), if known.
    """
    figure, axes = panel("ROC curve", "false positive rate", "true positive rate (recall)")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2, label="chance")
    known = {name: curve for name, curve in curves.items() if curve is not None}
    x, y = "false_positive_rate", "true_positive_rate"
    lines = [(f"{short(name)}: AUROC {number(areas[name])}", row[x], row[y]) for name, row in known.items()]
    _draw_curves(axes, lines, operating_point)
    if min(area for area in areas.values() if area is not None) > 0.97:
        corner = axes.inset_axes((0.42, 0.46, 0.53, 0.39), xlim=(-0.002, 0.1), ylim=(0.9, 1.002))
        _draw_curves(corner, lines, operating_point, clip=True)
        as_percent(corner)
        corner.set_title("upper left corner, enlarged", fontsize=9)
        corner.set_xticks([0.02, 0.04, 0.06, 0.08, 0.1])
        corner.tick_params(labelsize=8)
    _finish_unit_square(axes)
    return figure


def pr_figure(
    curves: Mapping[str, Any],
    areas: Mapping[str, float | None],
    prevalence: Mapping[str, float],
    operating_point: OperatingPoint | None,
) -> Figure:
    """Draw precision against recall.

    Args:
        curves: By class, ``recall`` and ``precision``; ``None`` where undefined.
        areas: Average precision of each class.
        prevalence: Share of each class among the tiles, the precision of predicting it for every tile.
        operating_point: The operating point: recall (x) and precision (y), if known.
    """
    figure, axes = panel("Precision-recall curve", "recall", "precision")
    known = {name: curve for name, curve in curves.items() if curve is not None}
    if len(known) == 1:
        share = prevalence[next(iter(known))]
        axes.axhline(share, color=GREY, linestyle=":", linewidth=1.2, label="all predicted as positive")
    lines = [
        (f"{short(name)}: average precision {number(areas[name])}", row["recall"], row["precision"])
        for name, row in known.items()
    ]
    _draw_curves(axes, lines, operating_point)
    _finish_unit_square(axes)
    return figure


def _draw_curves(
    axes: Axes,
    lines: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    operating_point: OperatingPoint | None,
    *,
    clip: bool = False,
) -> None:
    colours = cycle([BLUE, ORANGE, GREEN, PURPLE, SKY, GOLD])
    styles = cycle(["-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1))])
    for (label, x, y), colour, style in zip(lines, colours, styles, strict=False):
        axes.plot(x, y, color=colour, linestyle=style, linewidth=2.0, label=label, clip_on=clip)
    if operating_point is not None:
        label = f"threshold {operating_point.threshold:.4g}"
        axes.plot(
            operating_point.x,
            operating_point.y,
            "o",
            color=ORANGE,
            markersize=8,
            label=label,
            clip_on=clip,
            zorder=5,
        )


def _finish_unit_square(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    as_percent(axes)
    axes.legend(frameon=False, fontsize=10, loc="lower right")


def history_figure(
    history: Sequence[Mapping[str, float]], metric: str, *, best_epoch: float | None
) -> Figure:
    """Draw a metric of training and validation by epoch.

    Args:
        history: One mapping per epoch with ``epoch``, ``train/<metric>`` and ``val/<metric>`` where known.
        metric: ``loss`` or ``accuracy``.
        best_epoch: The epoch of the tested weights, marked by a line, if known.
    """
    figure, axes = panel(f"{metric.capitalize()} by epoch", "epoch", metric)
    stages = (("train", "training", ORANGE, "--", "o"), ("val", "validation", BLUE, "-", "s"))
    drawn: list[float] = []
    for stage, label, colour, line, marker in stages:
        x, y = history_points(history, f"{stage}/{metric}")
        axes.plot(x, y, color=colour, linestyle=line, marker=marker, markersize=4, linewidth=1.8, label=label)
        drawn += y
    if best_epoch is not None:
        axes.axvline(best_epoch, color=GREY, linestyle=":", linewidth=1.2, label="best epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    if metric == "accuracy":
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    elif drawn and min(drawn) > 0 and max(drawn) / min(drawn) > 30:
        axes.set_yscale("log")
        axes.set_ylabel(f"{metric} (logarithmic)")
    axes.legend(frameon=False, fontsize=10)
    return figure


def history_points(history: Sequence[Mapping[str, float]], key: str) -> tuple[list[float], list[float]]:
    """Return the epochs and finite values of one key of a history."""
    known = [row for row in history if key in row and row[key] is not None and np.isfinite(row[key])]
    return [row["epoch"] for row in known], [row[key] for row in known]
