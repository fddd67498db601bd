"""The pictures of a report, drawn without pyplot: nothing global is touched.

Colours are Okabe and Ito's, which colour-blind readers tell apart; lines differ in style as well.
"""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator, PercentFormatter

from crack_lightning.report.sections.verdict import number, percent
from crack_lightning.runtime.files.run_folder import atomic_write

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

BLUE, ORANGE, GREEN, PURPLE, SKY, GOLD = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
GREY = "#767676"
_DPI = 110


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
    """Where on a curve the calls of a test were made."""

    x: float
    y: float
    threshold: float


def roc_figure(
    curves: Mapping[str, Any], areas: Mapping[str, float | None], decided: OperatingPoint | None
) -> Figure:
    """Draw receiver operating characteristics.

    Args:
        curves: By class, ``false_positive_rate`` and ``true_positive_rate``; ``None`` where undefined.
        areas: Area under each.
        decided: False positive rate (x) and true positive rate (y) of the calls made, if known.
    """
    figure, axes = panel("ROC curve", "false alarms among other tiles", "recall: tiles of the class found")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", linewidth=1.2, label="by chance")
    known = {name: curve for name, curve in curves.items() if curve is not None}
    x, y = "false_positive_rate", "true_positive_rate"
    lines = [(f"{short(name)}: AUROC {number(areas[name])}", row[x], row[y]) for name, row in known.items()]
    _draw_curves(axes, lines, decided)
    if not lines:
        _say_no_curve(axes)
    if lines and min(area for area in areas.values() if area is not None) > 0.97:
        corner = axes.inset_axes((0.42, 0.46, 0.53, 0.39), xlim=(-0.002, 0.1), ylim=(0.9, 1.002))
        _draw_curves(corner, lines, decided, clip=True)
        as_percent(corner)
        corner.set_title("the corner, enlarged", fontsize=9)
        corner.set_xticks([0.02, 0.04, 0.06, 0.08, 0.1])
        corner.tick_params(labelsize=8)
    _finish_unit_square(axes)
    return figure


def pr_figure(
    curves: Mapping[str, Any],
    areas: Mapping[str, float | None],
    prevalence: Mapping[str, float],
    decided: OperatingPoint | None,
) -> Figure:
    """Draw precision against recall.

    Args:
        curves: By class, ``recall`` and ``precision``; ``None`` where undefined.
        areas: Average precision of each.
        prevalence: Share of each class among the tiles: the precision of calling every tile.
        decided: Recall (x) and precision (y) of the calls made, if known.
    """
    y = "precision: right among the tiles called"
    figure, axes = panel("Precision-recall curve", "recall: tiles of the class found", y)
    known = {name: curve for name, curve in curves.items() if curve is not None}
    if len(known) == 1:
        share = prevalence[next(iter(known))]
        axes.axhline(share, color=GREY, linestyle=":", linewidth=1.2, label="calling every tile")
    lines = [
        (f"{short(name)}: average precision {number(areas[name])}", row["recall"], row["precision"])
        for name, row in known.items()
    ]
    _draw_curves(axes, lines, decided)
    if not lines:
        _say_no_curve(axes)
    _finish_unit_square(axes)
    return figure


def history_figure(
    history: Sequence[Mapping[str, float]], metric: str, *, kept_epoch: float | None
) -> Figure:
    """Draw a metric of training and validation by epoch.

    Args:
        history: One mapping an epoch with ``epoch``, ``train/<metric>`` and ``val/<metric>`` where known.
        metric: ``loss`` or ``accuracy``.
        kept_epoch: The epoch whose weights were kept, marked by a line, if known.
    """
    figure, axes = panel(f"{metric.capitalize()} by epoch", "epoch", metric)
    stages = (("train", "training", ORANGE, "--", "o"), ("val", "validation", BLUE, "-", "s"))
    drawn: list[float] = []
    for stage, label, colour, line, marker in stages:
        x, y = history_points(history, f"{stage}/{metric}")
        axes.plot(x, y, color=colour, linestyle=line, marker=marker, markersize=4, linewidth=1.8, label=label)
        drawn += y
    if kept_epoch is not None:
        axes.axvline(kept_epoch, color=GREY, linestyle=":", linewidth=1.2, label="weights kept")
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


def tiles_figure(
    tiles: NDArray[np.uint8], captions: Sequence[str], colours: Sequence[str], *, title: str
) -> Figure:
    """Draw tiles in a grid, the caption above each in the colour of its frame.

    Args:
        tiles: Pictures, uint8 ``(M, 3, H, W)``; the first 24 are drawn.
        captions: M short texts.
        colours: M colours of the frames.
        title: Stands above all.
    """
    shown = min(len(tiles), 24)
    columns = min((6, 5, 4), key=lambda wanted: -shown % wanted) if shown > 6 else max(shown, 1)
    rows = -(-shown // columns)
    width, height = max(1.7 * columns, 3.4), 1.88 * rows + 0.42
    figure = Figure(figsize=(width, height), dpi=_DPI)
    figure.suptitle(title, fontsize=12, y=1 - 0.12 / height)
    axes = figure.add_axes((0, 0, 1, 1))  # one for all, measured in inches: making axes costs most
    left = (width - 1.7 * columns) / 2
    for cell in range(shown):
        x, y = left + 0.06 + 1.7 * (cell % columns), 0.62 + 1.88 * (cell // columns)
        axes.imshow(np.moveaxis(tiles[cell], 0, -1), extent=(x, x + 1.58, y + 1.58, y))
        axes.add_patch(Rectangle((x, y), 1.58, 1.58, fill=False, edgecolor=colours[cell], linewidth=2))
        caption = short(captions[cell])
        axes.text(x + 0.79, y - 0.06, caption, fontsize=10, color=colours[cell], ha="center", va="bottom")
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    axes.set_axis_off()
    return figure


def figure_to_array(figure: Figure) -> NDArray[np.uint8]:
    """Render a figure, uint8 RGB ``(H, W, 3)``."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    return pixels[..., :3].copy()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, whole or not at all."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")


def panel(title: str, x: str, y: str, *, size: tuple[float, float] = (6.4, 4.8)) -> tuple[Figure, Axes]:
    """Make a figure with one pair of named axes; the size is in inches."""
    figure = Figure(figsize=size, dpi=_DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=13)
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.grid(visible=True, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _draw_curves(
    axes: Axes,
    lines: Sequence[tuple[str, Sequence[float], Sequence[float]]],
    decided: OperatingPoint | None,
    *,
    clip: bool = False,
) -> None:
    colours = cycle([BLUE, ORANGE, GREEN, PURPLE, SKY, GOLD])
    styles = cycle(["-", "--", "-.", (0, (1, 1)), (0, (5, 1, 1, 1, 1, 1))])
    for (label, x, y), colour, style in zip(lines, colours, styles, strict=False):
        axes.plot(x, y, color=colour, linestyle=style, linewidth=2.0, label=label, clip_on=clip)
    if decided is not None:
        label = f"threshold {decided.threshold:.4g}"
        axes.plot(decided.x, decided.y, "o", color=ORANGE, markersize=8, label=label, clip_on=clip, zorder=5)


def _say_no_curve(axes: Axes) -> None:
    text = "no curve: the tested tiles are of one class"
    axes.text(0.5, 0.5, text, ha="center", va="center", fontsize=11, transform=axes.transAxes)


def _finish_unit_square(axes: Axes) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    as_percent(axes)
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False, fontsize=10, loc="lower right")


def as_percent(axes: Axes) -> None:
    """Write both axes in per cent."""
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def short(text: str, limit: int = 18) -> str:
    """Cut a text to a length, and keep its dollars from beginning a formula."""
    text = text.replace("$", r"\$")  # a dollar would begin a formula
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
