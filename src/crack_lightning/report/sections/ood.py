"""Section on out-of-distribution (OOD) tiles, which are unlike the training data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Pictures, Section
from crack_lightning.report.render.formatting import in_brackets, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

MANY = 0.05


def ood_warnings(ood: Mapping[str, Any] | None) -> list[str]:
    """Return a warning if over 5 % of the test tiles are out of distribution."""
    if ood is None or ood["share"] <= MANY:
        return []
    share = f"{percent(ood['share'])} of the test tiles are unlike the training data (OOD)"
    return [f"{share}: their predictions are not reliable."]


def ood_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on share and error rate of OOD tiles, and on risk and coverage."""
    ood = contents["ood"]
    if not ood:
        return Section("Out-of-distribution tiles", [])
    bounds = {name: in_brackets(row, percent) for name, row in ood["intervals"].items()}
    passes = contents["provenance"].get("ood_detector", {}).get("passes")
    limit = f" {percent(passes)} of tiles like the validation tiles have an OOD score within the limit."
    share = (
        f"{number(ood['ood_tiles'])} of {contents['metrics']['tiles']:,} test tiles are OOD: "
        f"{percent(ood['share'])}{bounds['share']}.{limit if passes else ''}"
    )
    rates = (
        f"Error rate on OOD tiles: {percent(ood['error_rate_ood'])}{bounds['error_rate_ood']}; on the "
        f"others: {percent(ood['error_rate_in_distribution'])}{bounds['error_rate_in_distribution']}."
    )
    areas = "; ".join(
        f"tiles rejected by {order} {percent(ood['aurc'][name])}{bounds[name]}"
        for name, order in (("by_ood_score", "OOD score"), ("by_confidence", "confidence"))
    )
    gain = (
        f"Area under the risk-coverage curve (AURC), the error rate averaged over all coverages: {areas}; at "
        f"random {percent(1 - contents['metrics']['accuracy'])}. Lower is better."
    )
    return Section(
        "Out-of-distribution tiles",
        [share, *([rates] if ood["ood_tiles"] else []), gain, Pictures(["risk_coverage.png"])],
        "Tiles unlike the training data (OOD score above 1): other surfaces, cameras or light. Their "
        "predictions are not reliable.",
    )
