"""What docs/scale.md reckons follows from what it says was measured."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

TEXT = (Path(__file__).parents[1] / "docs" / "scale.md").read_text(encoding="utf-8")
BENCHMARKS = (Path(__file__).parents[1] / "docs" / "benchmarks.md").read_text(encoding="utf-8")
TILES = np.array([1.0, 2.0, 4.0])  # ten thousands


def numbers(pattern: str, text: str) -> list[float]:
    found = re.search(pattern, text)
    assert found, pattern
    return [float(number) for number in found.groups()]


def test_the_search_for_near_duplicates_is_reckoned_by_the_law_that_its_measurements_follow() -> None:
    measured = numbers(r"\| ([\d.]+), ([\d.]+) and ([\d.]+) s for 10,000, 20,000 and 40,000 tiles", TEXT)
    of_audits = r"; ([\d.]+), ([\d.]+) and ([\d.]+) s, [^|]+ for 10,000, 20,000 and"
    assert measured == numbers(of_audits, BENCHMARKS)
    linear, square = numbers(r"tiles: ([\d.]+) n \+ ([\d.]+) n\^2 s", TEXT)
    assert linear * TILES + square * TILES**2 == pytest.approx(measured, rel=0.03)
    days = numbers(r"an audit, 7[^|]+\| (\d+) days \| (\d+) days \| (\d+) days", TEXT)
    seconds = linear * 1e4 + square * 1e8  # 10^8 tiles, on 2, 16 and 128 cores
    assert [seconds / 86400 / share for share in (1, 8, 64)] == pytest.approx(days, rel=0.05)
