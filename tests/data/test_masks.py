"""Masks are read as they are meant, and widths are those of drawn bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.masks import MaskRules, crack_width, read_mask
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path


def rules(**changes: Any) -> MaskRules:
    plain: dict[str, Any] = {
        "images": ["images"],
        "masks": ["masks"],
        "mask_suffix": "",
        "crack_values": [255],
        "crack_from": None,
        "hard_negatives": [],
        "tile_px": 64,
        "stride_px": 64,
        "least_crack_px": 20,
        "mask_width": "line",
    }
    return MaskRules(**plain | changes)


@pytest.mark.parametrize("width", [3, 5, 9, 15])
@pytest.mark.parametrize("angle_deg", [0, 30, 45, 90])
def test_the_width_of_a_bar_is_its_width(width: int, angle_deg: float) -> None:
    y, x = np.mgrid[-100:101, -100:101]
    angle = np.deg2rad(angle_deg)
    bar = np.abs(x * np.sin(angle) - y * np.cos(angle)) <= width / 2
    assert crack_width(bar) == pytest.approx(width, abs=1.0)


def test_a_short_crack_has_no_width() -> None:
    mask = np.zeros((64, 64), bool)
    mask[30:33, 10:25] = True
    assert np.isnan(crack_width(mask))
    assert np.isnan(crack_width(np.zeros((64, 64), bool)))


def test_values_or_a_threshold_say_what_is_crack() -> None:
    mask = np.array([[0, 100, 204, 255]], np.uint8)
    assert rules().is_crack(mask).tolist() == [[False, False, False, True]]
    assert rules(crack_values=[100, 255]).is_crack(mask).tolist() == [[False, True, False, True]]
    assert rules(crack_from=128).is_crack(mask).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_masks_of_every_mode_are_grey_values(mode: str, tmp_path: Path) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4] = 255
    Image.fromarray(mask).convert(mode).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), mask)


def test_a_matlab_file_gives_its_segmentation(tmp_path: Path) -> None:
    from scipy.io import savemat

    segmentation = np.array([[1, 2], [2, 1]], np.uint8)
    savemat(tmp_path / "a.mat", {"groundTruth": {"Segmentation": segmentation, "Boundaries": segmentation}})
    assert np.array_equal(read_mask(tmp_path / "a.mat"), segmentation)


@pytest.mark.parametrize("name", ["a.png", "a.mat"])
def test_a_damaged_mask_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(DataError, match=rf"data\.masked\.masks: cannot read '.*{name}'"):
        read_mask(tmp_path / name)
