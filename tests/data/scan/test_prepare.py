"""Exclusion of listed tiles, and the search for near-duplicates on request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from crack_lightning.data.scan.prepare import prepare_tiles, without_excluded
from crack_lightning.data.table import EXCLUDED, TileTable
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def table(tmp_path: Path) -> TileTable:
    """Four pictures of noise; the last is the third saved again."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    names = [f"{number}.png" for number in range(4)]
    for name, pixels, side in zip(names, coarse[[0, 1, 2, 2]], (96, 96, 96, 100), strict=True):
        cv2.imwrite(str(tmp_path / name), cv2.resize(pixels, (side, side), interpolation=cv2.INTER_CUBIC))
    blank = np.full(4, "", dtype="U5")
    return TileTable(
        root=tmp_path,
        class_names=("intact", "crack"),
        positive_class="crack",
        path=np.array(names),
        label=np.array([0, 1, 0, 0]),
        group=blank,
        source=np.full(4, "test"),
        split=blank,
        sha256=blank,
    )


def test_the_tiles_of_the_list_are_left_out_and_listed(table: TileTable, tmp_path: Path) -> None:
    listed = tmp_path / "listed.csv"
    listed.write_text("path,why\n1.png,blurred\n3.png,copy\n", encoding="utf-8")
    kept, out = without_excluded(table, listed)
    assert kept.path.tolist() == ["0.png", "2.png"]
    assert out == [{"path": name, "reason": EXCLUDED} for name in ("1.png", "3.png")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path\n9.png\n", r"names 1 tiles that are not under .*'9\.png'"),
        ("name\n1.png\n", r"has the columns name; expected path"),
        ("path\n0.png\n1.png\n2.png\n3.png\n", "names all 4 tiles"),
        ("", r"has no columns; expected path"),
        (None, r"data\.exclude: cannot read '.*listed\.csv'"),
    ],
)
def test_a_list_that_does_not_fit_is_refused(
    text: str | None, said: str, table: TileTable, tmp_path: Path
) -> None:
    listed = tmp_path / "listed.csv"
    if text is not None:
        listed.write_text(text, encoding="utf-8")
    with pytest.raises(DataError, match=said):
        without_excluded(table, listed)


def test_near_duplicates_are_searched_on_request(table: TileTable, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"on_unreadable": "error", "num_workers": 1, "show_progress": False}
    settings["cache"] = tmp_path / "cache"
    plain, _ = prepare_tiles(table, **settings)
    assert "near_duplicates" not in plain.extra
    searched, _ = prepare_tiles(table, near_duplicates=True, **settings)
    assert searched.extra["near_duplicates"].tolist() == ["", "", "2.png", "2.png"]
    assert searched.group.tolist() == ["", "", "2.png", "2.png"]
