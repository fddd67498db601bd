from __future__ import annotations

from typing import Any

import pytest

from crack_lightning.report.sections.pod import pod_section


def text_of(**pod: Any) -> str:
    curve = {"estimable": True, "method": "logistic", "cracks": 300, "widest_px": 12.0, "mm_per_px": None}
    widths = {"a50_px": 2.1, "a90_px": 4.4, "a90_95_px": 5.4, "false_call_rate": None}
    row = {"from_px": 0, "to_px": 3, "tiles": 9, "detected": 6, "recall": 6 / 9, "interval": None}
    section = pod_section({"recall_by_width": [row], "pod": curve | widths | pod})
    return " ".join(block for block in section.blocks if isinstance(block, str))


@pytest.mark.parametrize(
    ("photos", "bound", "expected"),
    [
        (20, 5.6, "a90/95 with 20 photos as sampling units: 5.6 px. Quote this one"),
        (20, None, "a90/95 with 20 photos as sampling units: not reached within the tested widths."),
        (19, None, "from 19 photos, too few for an a90/95 with photos as sampling units (20 are needed)"),
    ],
)
def test_where_cracks_share_photos_the_bound_over_photos_is_the_one_to_quote(
    photos: int, bound: float | None, expected: str
) -> None:
    text = text_of(photos=photos, a90_95_px_by_photos=bound)
    assert "a90/95: 5.4 px" in text
    assert expected in text
    assert "too low if cracks of one photo are alike" in text


def test_independent_cracks_have_one_bound() -> None:
    assert "sampling units" not in text_of()
