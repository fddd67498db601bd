"""The section on the threshold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.report.render.document import Pictures, Section, Table
from crack_lightning.report.render.formatting import number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping

    from crack_lightning.report.render.document import Block

_ON_VALIDATION = "Validation values have no interval: temperature and threshold are fitted to these tiles."


def threshold_section(contents: Mapping[str, Any]) -> Section:
    """Return the section on the threshold: its choice, and its errors on validation and test tiles."""
    decision, threshold = contents["provenance"].get("decision"), contents["threshold"]
    if threshold is None:
        return Section("Threshold", [])
    name = contents["positive_class"]
    blocks: list[Block] = [_origin(threshold, decision), *(decision or {}).get("notes", [])]
    if decision and "validation" in decision:
        test = contents["metrics"] | {"recall": contents["metrics"][f"recall_{name}"]}
        rows = [
            [
                split,
                percent(row["recall"]),
                percent(row["specificity"]),
                number(row["false_negatives"]),
                number(row["false_positives"]),
            ]
            for split, row in (("validation", decision["validation"]), ("test", test))
        ]
        head = ["split", "recall", "specificity", "missed (FN)", "false alarms (FP)"]
        blocks += [Table(head, rows, "lrrrr"), _ON_VALIDATION]
    return Section(
        "Threshold",
        [*blocks, Pictures(["misses_against_false_alarms.png"])],
        f"A tile is predicted as {name} if its probability is at least the threshold: a lower one misses "
        "fewer and raises more false alarms.",
    )


def _origin(threshold: float, decision: Mapping[str, Any] | None) -> str:
    """Return a sentence on the threshold and its origin: a rule, a fixed value, or a checkpoint."""
    if decision is None:
        return f"Threshold: {threshold:.4g}."
    rule = decision["rule"]
    fixed = rule.replace(".", "").isdecimal()
    how = "the value of evaluation.threshold" if fixed else f"chosen by evaluation.threshold={rule}"
    return f"Threshold: {threshold:.4g}, {how}."
