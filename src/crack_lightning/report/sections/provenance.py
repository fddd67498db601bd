"""Sections on learning curves, linear probe and provenance."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Code, Listing, Pictures, Section, Table
from crack_lightning.report.render.formatting import percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crack_lightning.report.render.document import Block

_NOT_IN_TABLE = {"excluded_files", "settings", "l2_tried", "decision"}


def training_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on the learning curves."""
    return Section(
        "Learning curves",
        [Pictures(["loss_curve.png", "accuracy_curve.png"])] if contents["history"] else [],
        "A validation loss that rises while the training loss falls means overfitting; the weights of the "
        "marked epoch were tested.",
    )


def probe_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on the choice of the L2 penalty of a linear probe."""
    provenance = contents["provenance"]
    if not (tried := provenance.get("l2_tried")):
        return Section("Linear probe", [])
    rows = [[f"{row['l2']:g}", f"{row['val/loss']:.5f}", percent(row["val/accuracy"])] for row in tried]
    why = "the lowest validation loss" if len(rows) > 1 else "as configured"
    return Section(
        "Linear probe",
        [
            f"L2 penalty {provenance['l2']:g}: {why}.",
            Table(["L2 penalty", "validation loss", "validation accuracy"], rows, "rrr"),
        ],
        "A logistic regression on the features of the frozen backbone; a larger penalty keeps its weights "
        "smaller.",
    )


def provenance_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on command, machine, versions, times and settings."""
    facts = contents["provenance"] | contents["timing"] | {"created": contents["created"]}
    rows = [
        [key.replace("_", " "), Code(value) if key == "command" else _inline(value)]
        for key, value in facts.items()
        if key not in _NOT_IN_TABLE and value is not None
    ]
    blocks: list[Block] = [Table(["", ""], rows, "ll")] if rows else []
    if settings := contents["provenance"].get("settings"):
        blocks.append(Listing("Settings", _setting_lines(settings, "")))
    return Section(
        "Provenance",
        blocks,
        "The command with these settings, versions and thread count gives the same predictions on the same "
        "machine.",
    )


def _setting_lines(settings: Mapping[str, Any], prefix: str) -> list[str]:
    lines = []
    for key, value in settings.items():
        if isinstance(value, dict) and value:
            lines += _setting_lines(value, f"{prefix}{key}.")
        else:
            lines.append(" ".join(f"{prefix}{key}: {json.dumps(value, ensure_ascii=False)}".splitlines()))
    return lines


def _inline(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_inline(item)}" for key, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_inline, value))
    if isinstance(value, float):
        return f"{value:.1f}" if abs(value) >= 1 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and abs(value) >= 10_000 else str(value)
