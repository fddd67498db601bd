"""Figures of calibration, threshold, risk against coverage, and probability of detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import FixedLocator, LogLocator, NullLocator, PercentFormatter

from crack_lightning.report.figures.style import BLUE, GREY, ORANGE, as_percent, panel, short
from crack_lightning.report.render.formatting import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure


_SUBS = (1, 2, 5)


def reliability_figure(calibration: Mapping[str, Any], threshold: float | None = None) -> Figure:
    """Draw observed frequency against predicted probability, before and after temperature scaling.

    Args:
        calibration: ``probability_of`` (the positive class of two, or ``None`` for the predicted class),
            ``uncalibrated`` and ``calibrated``, each as ``reliability`` returns it.
        threshold: The threshold of the positive class of two.
    """
    name = calibration["probability_of"]
    x, y = ("probability of the predicted class", "observed frequency")
    if name is not None:
        x, y = f"predicted probability of {short(name)}", f"observed frequency of {short(name)}"
    figure, axes = panel("Reliability diagram" if name else "Top-label reliability diagram", x, y)
    if row := calibration["uncalibrated"]:
        label = f"before temperature scaling: ECE {number(row['expected_calibration_error'])}"
        axes.plot(row["mean_probability"], row["observed_frequency"], "o--", color=GREY, label=label)
    row = calibration["calibrated"]
    share = np.array(row["observed_frequency"])
    ends = np.abs(np.array([row["low"], row["high"]]) - share)
    after = "after temperature scaling: " if calibration["uncalibrated"] else ""
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
    """Draw the DET curve, misses against false alarms on logit axes, and the operating point.

    References:
        Martin et al., "The DET curve in assessment of detection task performance", Eurospeech 1997.
    """
    figure, axes = panel(
        "Misses against false alarms (DET curve)", "false positive rate", "false negative rate"
    )
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
    label = f"threshold {contents['threshold']:.4g}, test"
    axes.plot(*([share] for share in np.clip(calls, floor, 1 - floor)), "s", color=ORANGE, label=label)
    axes.set(xscale="logit", yscale="logit", xlim=(floor, 0.9), ylim=(floor, 0.9))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([0.00001, 0.0001, 0.001, 0.01, 0.05, 0.2, 0.5, 0.8]))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    axes.legend(frameon=False, fontsize=10)
    return figure


def detection_figure(detection: Mapping[str, Any]) -> Figure:
    """Draw the probability of detection by crack width, with its lower limit and a90/95."""
    figure, axes = panel("Probability of detection (POD)", "crack width in pixels", "POD")
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


def risk_coverage_figure(ood: Mapping[str, Any]) -> Figure:
    """Draw the error rate of the accepted tiles (risk) against their share (coverage)."""
    figure, axes = panel("Risk-coverage curve", "coverage: share of accepted tiles", "risk: their error rate")
    orders = (("by_ood_score", "OOD score", ORANGE, "-"), ("by_confidence", "confidence", BLUE, "--"))
    for name, order, colour, style in orders:
        curve = ood["risk_coverage"][name]
        label = f"rejected by {order}: AURC {percent(ood['aurc'][name])}"
        axes.plot(curve["coverage"], curve["risk"], style, color=colour, linewidth=2, label=label)
    share = 1 - ood["share"]
    axes.axvline(share, color=GREY, linestyle=":", label=f"without OOD tiles: coverage {percent(share)}")
    axes.set_xlim(0, 1.01)
    highest = max(max(curve["risk"]) for curve in ood["risk_coverage"].values())
    axes.set_ylim(0, min(1.35 * highest, 1.02) or 0.01)  # room for the legend
    as_percent(axes)
    axes.legend(frameon=False, fontsize=10, loc="upper right")
    return figure
