"""Pictures of how far a model is to be trusted: calibration, detection by width, error against cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from matplotlib.ticker import PercentFormatter

from crack_lightning.report.figures import BLUE, GREY, ORANGE, as_percent, panel, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure


def reliability_figure(calibration: Mapping[str, Any]) -> Figure:
    """Draw how often calls are right against how sure they are, before and after the temperature."""
    figure, axes = panel("Reliability", "probability of the called class", "share of calls that are right")
    lowest = 1.0
    for key, colour, style in (("before", GREY, "o--"), ("after", BLUE, "s-")):
        if row := calibration[key]:
            lowest = min(lowest, *row["confidence"], *row["accuracy"])
            axes.plot(row["confidence"], row["accuracy"], style, color=colour, label=f"{key} the temperature")
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="as it should be")
    axes.set(xlim=(max(0, lowest - 0.05), 1.01), ylim=(max(0, lowest - 0.05), 1.01))
    as_percent(axes)
    axes.legend(frameon=False, fontsize=10)
    return figure


def detection_figure(detection: Mapping[str, Any]) -> Figure:
    """Draw the probability of detection against the width of a crack, with its lower limit and a90/95."""
    figure, axes = panel("Probability of detection", "width of the crack in pixels", "share found")
    curve = detection["curve"]
    axes.plot(curve["width_px"], curve["pod"], color=BLUE, linewidth=2, label="estimate")
    axes.plot(curve["width_px"], curve["low"], color=BLUE, linestyle="--", label="lower 95 % limit")
    axes.axhline(0.9, color=GREY, linestyle=":")
    if (bound := detection["a90_95_px"]) is not None:
        axes.plot([bound], [0.9], "s", color=ORANGE, markersize=8, label=f"a90/95: {bound:.1f} px")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.legend(frameon=False, fontsize=10, loc="lower right")
    return figure


def scatter_figure(points: Sequence[tuple[float, float, str]]) -> Figure:
    """Draw the error of runs against their time; those that none beats in both are joined.

    Args:
        points: Seconds, share of errors and name of each run.
    """
    figure, axes = panel("Error against time", "seconds", "errors among test tiles")
    seconds, error = [point[0] for point in points], [point[1] for point in points]
    axes.plot(seconds, error, "o", color=BLUE, markersize=7)
    front: list[tuple[float, float]] = []
    for x, y in sorted(zip(seconds, error, strict=True)):
        if not front or y < front[-1][1]:
            front.append((x, y))
    axes.plot(
        *zip(*front, strict=True),
        "s--",
        color=ORANGE,
        markersize=9,
        fillstyle="none",
        label="none is better in both",
    )
    for x, y, name in points[:30]:
        axes.annotate(short(name), (x, y), xytext=(5, 4), textcoords="offset points", fontsize=9)
    axes.set_ylim(0, 1.3 * max(error) or 0.01)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.legend(frameon=False, fontsize=10, loc="upper right")
    return figure
