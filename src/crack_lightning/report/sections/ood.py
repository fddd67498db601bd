"""What a report says of tiles unlike the training tiles, and of leaving tiles out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.evaluation.curves import simplify_curve
from crack_lightning.evaluation.risk_coverage import area_intervals, aurc, risk_coverage
from crack_lightning.evaluation.slices import share_interval
from crack_lightning.report.figures.figures import BLUE, GREY, ORANGE, as_percent, panel
from crack_lightning.report.render.document import Pictures, Section
from crack_lightning.report.sections.verdict import in_brackets, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    from crack_lightning.evaluation.predictions import Predictions
    from crack_lightning.report.render.document import Block

MANY = 0.05
_ORDERS = {"by_ood_score": "by how foreign they are", "by_confidence": "by how unsure the call is"}


def ood_contents(
    predictions: Predictions, predicted: NDArray[np.int64], group: NDArray[np.int64]
) -> dict[str, Any] | None:
    """Count the tiles beyond the limit, and what leaving tiles out gains.

    Args:
        predictions: Of the tested tiles.
        predicted: The classes that they are called, int64 ``(N,)``.
        group: Group numbers from 0, int64 ``(N,)``.

    Returns:
        ``marked`` and its ``share``, ``error_rate_of_marked`` and ``error_rate_of_others`` (``None`` where
        there are none), for two orders of leaving out ``risk_coverage`` and ``area_under_risk``, and the
        ``intervals`` of all of these by name; ``None`` for a model that tells no foreign tiles.
    """
    if predictions.ood_score is None:
        return None
    wrong, marked = predicted != predictions.label, predictions.ood_score > 1
    doubts = {"by_ood_score": predictions.ood_score, "by_confidence": -predictions.probability.max(axis=1)}
    curves = {name: risk_coverage(doubt, wrong) for name, doubt in doubts.items()}
    shares = {
        "share": share_interval(marked, np.ones(len(marked), np.bool_), group),
        "error_rate_ood": share_interval(wrong, marked, group),
        "error_rate_in_distribution": share_interval(wrong, ~marked, group),
    }
    areas = {name: limits._asdict() for name, limits in area_intervals(doubts, wrong, group).items()}
    return {
        "ood_tiles": int(marked.sum()),
        "share": float(marked.mean()),
        "error_rate_ood": float(wrong[marked].mean()) if marked.any() else None,
        "error_rate_in_distribution": float(wrong[~marked].mean()) if not marked.all() else None,
        "aurc": {name: aurc(curve) for name, curve in curves.items()},
        "intervals": {
            **{name: row["interval"] for name, row in shares.items()},
            **{name: areas.get(name) for name in doubts},
        },
        "risk_coverage": {name: simplify_curve(curve) for name, curve in curves.items()},
    }


def ood_warnings(found: Mapping[str, Any] | None) -> list[str]:
    """Warn where many tiles are unlike the training tiles."""
    if found is None or found["share"] <= MANY:
        return []
    told = (
        "of these tiles are unlike the tiles that the model was trained on; what it says of them is a guess."
    )
    return [f"{percent(found['share'])} {told}"]


def ood_section(contents: Mapping[str, Any]) -> Section:
    """Say how many tiles were foreign, and show risk against coverage."""
    found = contents["ood"]
    blocks: list[Block] = []
    if found:
        tiles, passes = contents["metrics"]["tiles"], contents["provenance"].get("novelty", {}).get("passes")
        limit = f", beyond a limit that {percent(passes)} of tiles like the validation tiles pass" * bool(
            passes
        )
        bounds = {name: in_brackets(row, percent) for name, row in found["intervals"].items()}
        told = (
            f"{number(found['marked'])} of {tiles:,} tiles, {percent(found['share'])}{bounds['share']}, are "
            f"foreign{limit}."
        )
        if found["ood_tiles"]:
            told += (
                f" Of these {percent(found['error_rate_of_marked'])}{bounds['error_rate_of_marked']} are "
                f"called wrongly, of the others {percent(found['error_rate_of_others'])}"
                f"{bounds['error_rate_of_others']}."
            )
        areas = [
            f"{percent(found['area_under_risk'][name])}{bounds[name]} with tiles left out {how}"
            for name, how in _ORDERS.items()
        ]
        gained = (
            "Area under the risk-coverage curve (AURC), the share of errors averaged over how many tiles are "
            f"kept: {areas[0]}; {areas[1]}; {percent(1 - contents['metrics']['accuracy'])} at random."
        )
        blocks = [told, gained, Pictures(["risk_coverage.png"])]
    return Section("Foreign tiles", blocks)


def risk_coverage_figure(found: Mapping[str, Any]) -> Figure:
    """Draw the errors among the tiles that are answered against how many these are."""
    figure, axes = panel("Risk against coverage", "tiles answered", "errors among them")
    styles = zip(_ORDERS.items(), ((ORANGE, "-"), (BLUE, "--")), strict=True)
    for (name, how), (colour, style) in styles:
        curve = found["risk_coverage"][name]
        label = f"left out {how}: area {percent(found['area_under_risk'][name])}"
        axes.plot(curve["coverage"], curve["risk"], style, color=colour, linewidth=2, label=label)
    answered = 1 - found["share"]
    axes.axvline(answered, color=GREY, linestyle=":", label=f"the limit: {percent(answered)} answered")
    axes.set_xlim(0, 1.01)
    highest = max(max(curve["risk"]) for curve in found["risk_coverage"].values())
    axes.set_ylim(0, min(1.35 * highest, 1.02) or 0.01)  # room for the legend
    as_percent(axes)
    axes.legend(frameon=False, fontsize=10, loc="upper right")
    return figure
