"""Section on the probability of detection (POD) by crack width."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.evaluation.pod.estimate import LEAST_PHOTOS
from crack_lightning.report.render.document import Pictures, Section, Table
from crack_lightning.report.render.formatting import in_brackets, limits, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping


def pod_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on recall and POD by crack width; empty if no width is known."""
    rows, pod = contents["recall_by_width"], contents["pod"]
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
    if not cells or pod is None:
        return Section("Probability of detection", [])
    return Section(
        "Probability of detection",
        [
            *_pod_sentences(pod),
            Table(["crack width", "tiles", "missed", "recall", "95 % CI"], cells, "lrrrr"),
            Pictures(["probability_of_detection.png"]),
        ],
        "a90 is the crack width that is detected in 90 % of cases; a90/95 is the width for which this holds "
        "with 95 % confidence.",
    )


def _pod_sentences(pod: Mapping[str, Any]) -> list[str]:
    calls = "False call rate: unknown, as no intact tile was tested."
    if (rate := pod["false_call_rate"]) is not None:
        interval = in_brackets(pod["false_call_interval"], percent)
        calls = f"False call rate: {percent(rate)}{interval} of the intact tiles."
    if not pod["estimable"]:
        return [pod["reason"], calls]
    curve = (
        f"a50: {_width(pod, 'a50_px')}; a90: {_width(pod, 'a90_px')}; a90/95: {_bound(pod, 'a90_95_px')} "
        f"({pod['cracks']:,} cracks, {pod['method']})."
    )
    return [curve, _photo_sentence(pod), calls] if "photos" in pod else [curve, calls]


def _photo_sentence(pod: Mapping[str, Any]) -> str:
    photos, caution = f"{pod['photos']:,} photos", "is too low if cracks of one photo are alike."
    if pod["photos"] < LEAST_PHOTOS:
        return (
            f"The cracks are from {photos}, too few for an a90/95 with photos as sampling units "
            f"({LEAST_PHOTOS} are needed); the a90/95 above {caution}"
        )
    bound = _bound(pod, "a90_95_px_by_photos")
    return f"a90/95 with {photos} as sampling units: {bound}. Quote this one: the a90/95 above {caution}"


def _bound(pod: Mapping[str, Any], key: str) -> str:
    bound = pod[key]
    if bound is None:
        return "not reached within the tested widths"
    beyond = f", beyond the widest tested crack ({_width(pod, 'widest_px')})"
    return _width(pod, key) + (beyond if bound > pod["widest_px"] else "")


def _width(pod: Mapping[str, Any], key: str) -> str:
    width, scale = f"{pod[key]:.1f} px", pod["mm_per_px"]
    return width if scale is None else f"{width} ({pod[key] * scale:.2g} mm)"


def _width_name(row: Mapping[str, Any]) -> str:
    low, high = row["from_px"], row["to_px"]
    if low is None:
        return "unknown"
    if high is None:
        return f"{low:g} px and more"
    return f"under {high:g} px" if low == 0 else f"{low:g} to {high:g} px"
