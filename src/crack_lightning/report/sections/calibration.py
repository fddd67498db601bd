"""The section on calibration: temperature, expected calibration error and reliability diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Pictures, Section
from crack_lightning.report.render.formatting import in_brackets, number

if TYPE_CHECKING:
    from collections.abc import Mapping


def calibration_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on temperature, expected calibration error and reliability diagram."""
    notes = (contents["provenance"].get("decision") or {}).get("temperature_notes", [])
    if sum(row["support"] > 0 for row in contents["classes"].values()) < 2:
        return Section("Calibration", [*notes, "Calibration cannot be measured on tiles of one class."])
    return Section(
        "Calibration",
        [*notes, _calibration_sentence(contents["calibration"]), Pictures(["reliability.png"])],
        "Of tiles with a predicted probability of 80 %, 80 % should be of the class: points below the "
        "diagonal mean overconfidence.",
    )


def _calibration_sentence(calibration: Mapping[str, Any]) -> str:
    """Return a sentence with name, value, interval and definition of the expected calibration error."""
    after, before = calibration["calibrated"], calibration["uncalibrated"]
    name = calibration["probability_of"]
    kind, of = ("Expected", f"of {name}") if name else ("Top-label expected", "of the predicted class")
    text = (
        f"{kind} calibration error (ECE, 15 equal-mass bins of the probability {of}): "
        f"{number(after['expected_calibration_error'])}{in_brackets(after['interval'], number)}"
    )
    if before:
        error = before["expected_calibration_error"]
        text += f"; before temperature scaling {number(error)}{in_brackets(before['interval'], number)}"
    meaning = "the mean absolute difference of predicted probability and observed frequency; 0 is perfect"
    return f"{text}. It is {meaning}."
