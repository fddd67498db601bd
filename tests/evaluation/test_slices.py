from __future__ import annotations

import numpy as np
import pytest
from statsmodels.stats.proportion import proportion_confint

from crack_lightning.evaluation.slices import false_alarms_by_distractor, recall_by_width


def test_a_width_on_a_border_belongs_to_the_wider_class() -> None:
    width = np.array([0.7, 1.5, 2.9, 3.0, 6.0, 12.0])
    found = np.array([False, False, True, True, True, True])
    assert recall_by_width(width, found) == [
        {"from_px": 0.0, "to_px": 1.5, "tiles": 1, "detected": 0, "recall": 0.0},
        {"from_px": 1.5, "to_px": 3.0, "tiles": 2, "detected": 1, "recall": 0.5},
        {"from_px": 3.0, "to_px": 6.0, "tiles": 1, "detected": 1, "recall": 1.0},
        {"from_px": 6.0, "to_px": None, "tiles": 2, "detected": 2, "recall": 1.0},
    ]


def test_a_width_class_without_tiles_has_no_recall_and_unknown_widths_are_counted_apart() -> None:
    rows = recall_by_width(np.array([np.nan, 2.0, np.nan]), np.array([True, True, False]))
    assert [row["recall"] for row in rows[:-1]] == [None, 1.0, None, None]
    assert rows[-1] == {"from_px": None, "to_px": None, "tiles": 2, "detected": 1, "recall": 0.5}
    assert sum(row["tiles"] for row in rows) == 3


def test_a_tile_with_two_distractors_counts_under_both() -> None:
    kinds = np.array(["", "joint", "joint+stain", "stain+stain"])
    rows = false_alarms_by_distractor(kinds, np.array([False, False, True, True]))
    assert rows == [
        {"distractor": "none", "tiles": 1, "false_positives": 0, "rate": 0.0},
        {"distractor": "joint", "tiles": 2, "false_positives": 1, "rate": 0.5},
        {"distractor": "stain", "tiles": 2, "false_positives": 2, "rate": 1.0},
    ]


def test_each_width_class_and_distractor_has_wilsons_interval() -> None:
    hit, alone = np.arange(40) % 4 > 0, np.arange(40)
    [*empty, row, _, _] = recall_by_width(np.full(40, 2.0), hit, alone)
    expected = proportion_confint(30, 40, method="wilson")
    assert (row["interval"]["low"], row["interval"]["high"]) == pytest.approx(expected)
    assert [other["interval"] for other in empty] == [None]
    [row] = false_alarms_by_distractor(np.full(40, "joint"), hit, alone)
    assert (row["interval"]["low"], row["interval"]["high"]) == pytest.approx(expected)
    [photos] = false_alarms_by_distractor(np.full(40, "joint"), hit, alone // 8)
    assert photos["interval"]["low"] < row["interval"]["low"]
