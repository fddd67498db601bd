"""Figures of many runs: error against time, parallel coordinates of settings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.ticker import PercentFormatter

from crack_lightning.report.figures.style import BLUE, GREY, ORANGE, panel, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

_AXES, _TICKS, _LOGARITHMIC, _NAME = 5, 10, 30, 18


def scatter_figure(points: Sequence[tuple[float, float, str]]) -> Figure:
    """Draw the test error rate of runs against their time, with the Pareto front.

    Args:
        points: Seconds, error rate and name of each run.
    """
    figure, axes = panel("Test error against time", "seconds", "test error rate")
    seconds, error = [point[0] for point in points], [point[1] for point in points]
    axes.plot(seconds, error, "o", color=BLUE, markersize=7)
    front: list[tuple[float, float]] = []
    for x, y in sorted(zip(seconds, error, strict=True)):
        if not front or y < front[-1][1]:
            front.append((x, y))
    x_front, y_front = zip(*front, strict=True)
    axes.plot(x_front, y_front, "s--", color=ORANGE, markersize=9, fillstyle="none", label="Pareto front")
    for x, y, name in points[:30]:
        axes.annotate(_ending(name), (x, y), xytext=(5, 4), textcoords="offset points", fontsize=9)
    axes.set_ylim(0, 1.3 * max(error) or 0.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.legend(frameon=False, fontsize=10, loc="upper right")
    return figure


def _ending(name: str) -> str:
    """Shorten a name to its end, by which runs of one folder differ."""
    return short(name if len(name) <= _NAME else f"…{name[1 - _NAME :]}")


def parallel_figure(
    settings: Sequence[Mapping[str, Any]], keys: Sequence[str], accuracy: Sequence[float]
) -> Figure:
    """Draw parallel coordinates: one axis per setting and one of accuracy, the best run on top.

    Args:
        settings: Settings of each run, by key.
        keys: Keys to draw, at least one; the first five are drawn.
        accuracy: Accuracy of each run.
    """
    drawn = list(keys[:_AXES])
    axes_of = [_axis([row.get(key) for row in settings]) for key in drawn]
    axes_of.append(_axis(list(accuracy), percent=True))
    figure, axes = panel("Settings and accuracy", "", "", size=(max(6.4, 1.7 * len(axes_of)), 4.8))
    order = np.argsort(accuracy, kind="stable")
    span = Normalize(min(accuracy) - 1e-9, max(accuracy))
    colours = colormaps["viridis"](0.8 * (1 - span(np.asarray(accuracy)[order])))
    places = np.arange(len(axes_of), dtype=np.float64)
    heights = np.stack([height for height, _ in axes_of], axis=1)[order]
    lines = np.stack([np.broadcast_to(places, heights.shape), heights], axis=2)
    axes.add_collection(LineCollection([*lines], colors=colours, linewidths=[*[1.4] * (len(order) - 1), 3.0]))
    colours_of_points = np.repeat(colours, len(places), axis=0)
    axes.scatter(lines[..., 0].ravel(), lines[..., 1].ravel(), s=16, c=colours_of_points, zorder=2)
    for place, (_, ticks) in enumerate(axes_of):
        axes.axvline(place, color=GREY, linewidth=1, zorder=0)
        for height, text in ticks:
            axes.annotate(
                short(text),
                (place, height),
                xytext=(5, 3),
                textcoords="offset points",
                fontsize=9,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.75},
            )
    axes.set_xticks(range(len(axes_of)), [short(key, 24) for key in [*drawn, "accuracy"]])
    axes.set(xlim=(-0.2, len(axes_of) - 0.4), ylim=(-0.06, 1.1), yticks=[])
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    if len(keys) > _AXES:
        axes.set_title(f"Settings and accuracy ({_AXES} of {len(keys)} settings)", fontsize=13)
    return figure


def _axis(
    values: Sequence[Any], *, percent: bool = False
) -> tuple[NDArray[np.float64], list[tuple[float, str]]]:
    """Return heights in ``[0, 1]`` and ticks: numbers to scale, other values evenly spaced in text order."""
    known = [value for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(known) < len(values):
        levels, places = np.unique([str(value) for value in values], return_inverse=True)
        step = 1 / max(len(levels) - 1, 1)
        return places.astype(np.float64) * step, [
            (place * step, str(name)) for place, name in enumerate(levels[:_TICKS])
        ]
    numbers = np.array(known, np.float64)
    wide = numbers.min() > 0 and numbers.max() / numbers.min() >= _LOGARITHMIC
    scaled = np.log(numbers) if wide else numbers
    heights = (scaled - scaled.min()) / (np.ptp(scaled) or 1.0)
    ticks = sorted(set(zip(heights.tolist(), known, strict=True)))
    if len(ticks) > _TICKS:
        ticks = [ticks[0], ticks[-1]]
    return heights, [(height, f"{100 * value:.2f} %" if percent else f"{value:g}") for height, value in ticks]
