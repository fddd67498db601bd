"""What a report says of how wide a crack must be to be found."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Pictures, Section, Table
from crack_lightning.report.sections.verdict import in_brackets, limits, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


def pod_section(rows: Sequence[Mapping[str, Any]] | None, detection: Mapping[str, Any] | None) -> Section:
    """Lay out recall by width and the probability of detection; nothing where no width is known."""
    cells = [
        [
            _width_name(row),
            number(row["tiles"]),
            number(row["tiles"] - row["detected"]),
            percent(row["recall"]),
            limits(row["interval"], percent),
        ]
        for row in rows or ()
    ]
    if not cells or detection is None:
        return Section("Recall by crack width", [])
    return Section(
        "Recall by crack width",
        [
            *_detection_sentences(detection),
            Table(["width", "tiles", "missed", "recall", "95 % interval"], cells, "lrrrr"),
            Pictures(["probability_of_detection.png"]),
        ],
    )


def _detection_sentences(detection: Mapping[str, Any]) -> list[str]:
    calls = "No intact tile was tested: the share of false calls is unknown."
    if (rate := detection["false_call_rate"]) is not None:
        told = in_brackets(detection["false_call_interval"], percent)
        calls = f"False calls: {percent(rate)} of intact tiles{told}."
    if not detection["estimable"]:
        told = f"The probability of detection by width is not estimable. {detection['reason']}"
        return [told, calls]
    told = (
        f"Half of the cracks are found at a width of {_width(detection, 'a50_px')}, nine of ten at "
        f"{_width(detection, 'a90_px')}, {_sure(detection, 'a90_95_px')}; {detection['cracks']:,} cracks, "
        f"{detection['method']}."
    )
    if "photos" in detection:
        bound = _sure(detection, "a90_95_px_by_photos")
        told += f" By resampling the {detection['photos']:,} photos that they share: {bound}."
    return [told, calls]


def _sure(detection: Mapping[str, Any], key: str) -> str:
    bound = detection[key]
    if bound is None:
        return "with 95 % confidence at no width"
    beyond = bound > detection["widest_px"]
    return f"with 95 % confidence at {_width(detection, key)}" + (
        f", beyond the widest crack tested, {_width(detection, 'widest_px')}" if beyond else ""
    )


def _width(detection: Mapping[str, Any], key: str) -> str:
    told = f"{detection[key]:.1f} px"
    scale = detection["mm_per_px"]
    return told if scale is None else f"{told} ({detection[key] * scale:.2g} mm)"


def _width_name(row: Mapping[str, Any]) -> str:
    low, high = row["from_px"], row["to_px"]
    if low is None:
        return "unknown"
    if high is None:
        return f"{low:g} px and more"
    return f"under {high:g} px" if low == 0 else f"{low:g} to {high:g} px"
