"""Pictures of how far a model is to be trusted: calibration, detection by width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, PercentFormatter

from crack_lightning.report.figures.figures import BLUE, GREY, ORANGE, as_percent, panel, short
from crack_lightning.report.sections.verdict import number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure


_SUBS = (1, 2, 5)


def reliability_figure(calibration: Mapping[str, Any], threshold: float | None = None) -> Figure:
    """Draw observed shares against forecasts, before and after the temperature, with 95 % intervals.

    Args:
        calibration: ``probability_of`` (the positive class of two, or ``None`` for the called class),
            ``before`` and ``after``, each as ``reliability`` gives it.
        threshold: From which probability on the positive class of two is called.
    """
    name = calibration["probability_of"]
    x, y = ("probability of the called class", "share of calls that are right")
    if name is not None:
        x, y = f"predicted probability of {short(name)}", f"observed share of {short(name)}"
    figure, axes = panel("Reliability" if name else "Top-label reliability", x, y)
    if row := calibration["uncalibrated"]:
        label = f"before the temperature: ECE {number(row['expected_calibration_error'])}"
        axes.plot(row["mean_probability"], row["observed_frequency"], "o--", color=GREY, label=label)
    row = calibration["calibrated"]
    share = np.array(row["observed_frequency"])
    ends = np.abs(np.array([row["low"], row["high"]]) - share)
    after = "after the temperature: " if calibration["uncalibrated"] else ""
    label = f"{after}ECE {number(row['expected_calibration_error'])}"
    axes.errorbar(row["mean_probability"], share, ends, fmt="s-", color=BLUE, capsize=3, label=label)
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=":", label="perfectly calibrated")
    if name is not None and threshold is not None:
        axes.axvline(threshold, color=ORANGE, linestyle="-.", label=f"threshold {threshold:.4g}")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    as_percent(axes)
    axes.legend(frameon=False, fontsize=10)
    return figure


def misses_figure(contents: Mapping[str, Any]) -> Figure:
    """Draw misses against false alarms on logit axes, on test and validation tiles, and where the calls lie.

    References:
        Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
    """
    figure, axes = panel("Misses against false alarms", "false alarms among other tiles", "cracks missed")
    positive, metrics = contents["positive_class"], contents["metrics"]
    of_test, decision = contents["curves"]["roc"][positive], contents["provenance"].get("decision", {})
    floor = 0.5 / metrics["tiles"]
    misses = [1 - share for share in of_test["true_positive_rate"]]
    lines = [("test", of_test["false_positive_rate"], misses, BLUE, "-")]
    if curve := decision.get("curve"):
        lines.append(("validation", curve["false_positive_rate"], curve["false_negative_rate"], GREY, "--"))
    for name, x, y, colour, style in lines:
        shown = [np.clip(side, floor, 1 - floor) for side in (x, y)]
        axes.plot(*shown, style, color=colour, linewidth=2, drawstyle="steps-post", label=name)
    calls = [1 - metrics["specificity"], 1 - metrics[f"recall_{positive}"]]
    told = f"calls from {contents['threshold']:.4g} on, test"
    axes.plot(*([share] for share in np.clip(calls, floor, 1 - floor)), "s", color=ORANGE, label=told)
    axes.set(xscale="logit", yscale="logit", xlim=(floor, 0.9), ylim=(floor, 0.9))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([0.001, 0.01, 0.05, 0.2, 0.5, 0.8]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
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
    axes.xaxis.set_major_locator(LogLocator(subs=_SUBS))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(0, 1.02)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    if scale := detection["mm_per_px"]:
        above = axes.secondary_xaxis("top", functions=(lambda px: px * scale, lambda mm: mm / scale))
        above.xaxis.set_major_locator(LogLocator(subs=_SUBS))
        above.xaxis.set_major_formatter("{x:g} mm")
        above.xaxis.set_minor_locator(NullLocator())
    axes.legend(frameon=False, fontsize=10, loc="lower right")
    return figure
