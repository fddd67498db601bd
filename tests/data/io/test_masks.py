"""Mask files of every kind, and the widths of drawn bars."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.io.mask_files import read_mask, snap_to_declared
from crack_lightning.data.io.masks import crack_width
from crack_lightning.runtime.errors import DataError
from tests.data.pictures import mask_rules

if TYPE_CHECKING:
    from pathlib import Path


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
    assert mask_rules().is_crack(mask).tolist() == [[False, False, False, True]]
    assert mask_rules(crack_values=[100, 255]).is_crack(mask).tolist() == [[False, True, False, True]]
    assert mask_rules(crack_from=128).is_crack(mask).tolist() == [[False, False, True, True]]


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "1"])
def test_masks_of_every_mode_are_grey_values(mode: str, tmp_path: Path) -> None:
    mask = np.zeros((8, 8), np.uint8)
    mask[2:4] = 255
    Image.fromarray(mask).convert(mode).save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png").values, mask)


@pytest.mark.parametrize("name", ["a.png", "a.mat"])
def test_a_damaged_mask_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"nothing")
    with pytest.raises(DataError, match=rf"data\.masked\.masks: cannot read '.*{name}'"):
        read_mask(tmp_path / name)


def lines(*, width: int, joint: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
    mask = np.zeros((256, 256), np.uint8)
    walk = 128 + np.random.default_rng(width).normal(0, 4, 40).cumsum()
    points = np.stack([np.linspace(0, 255, 40), walk], axis=1).round().astype(np.int32)
    cv2.polylines(mask, [points], False, 255, width)
    mask[20:26] = joint
    return mask


def as_jpeg(mask: np.ndarray[Any, np.dtype[np.uint8]], folder: Path, quality: int) -> Path:
    Image.fromarray(mask).save(folder / "mask.jpg", quality=quality)
    return folder / "mask.jpg"


@pytest.mark.parametrize("quality", [30, 50, 75, 90])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_a_mask_that_went_through_jpeg_is_given_back_as_it_was(
    width: int, quality: int, tmp_path: Path
) -> None:
    drawn = lines(width=width)
    path = as_jpeg(drawn, tmp_path, quality)
    found = read_mask(path)
    assert found.lossy
    assert (found.values == 255).sum() < 0.8 * (drawn == 255).sum()  # what is lost without a mend
    snapped = snap_to_declared(np.asarray(found.values, np.uint8), [0, 255], path=path)
    assert (snapped != drawn).sum() <= 0.03 * (drawn == 255).sum()


@pytest.mark.parametrize("joint", [100, 204])
def test_a_value_in_a_jpeg_mask_that_was_not_declared_is_named(joint: int, tmp_path: Path) -> None:
    path = as_jpeg(lines(width=2, joint=joint), tmp_path, 75)
    values = np.asarray(read_mask(path).values, np.uint8)
    with pytest.raises(DataError, match=r"mask\.jpg' has 1,\d+ pixels of about .*; expected 0, 255") as error:
        snap_to_declared(values, [0, 255], path=path)
    assert int(str(error.value).split("about ")[1].split(";")[0]) == pytest.approx(joint, abs=3)
    if joint == 100:
        snapped = snap_to_declared(values, [0, joint, 255], path=path)
        assert (snapped[21:25] == joint).all()


def test_values_too_near_to_tell_after_jpeg_are_refused(tmp_path: Path) -> None:
    path = as_jpeg(lines(width=2), tmp_path, 90)
    with pytest.raises(DataError, match=r"declared \(0, 1, 255\) are less than 64 apart.*crack_from"):
        snap_to_declared(np.asarray(read_mask(path).values, np.uint8), [255, 1, 0], path=path)


def test_sixteen_bits_keep_their_values(tmp_path: Path) -> None:
    wide = np.array([[0, 1, 255], [256, 1000, 65535]], np.uint16)
    for name in ("mask.png", "mask.tif"):
        Image.fromarray(wide).save(tmp_path / name)
        np.testing.assert_array_equal(read_mask(tmp_path / name).values, wide)
    assert mask_rules(crack_values=[256]).is_crack(wide).tolist() == [[False] * 3, [True, False, False]]


def test_values_that_are_no_whole_numbers_are_refused(tmp_path: Path) -> None:
    from scipy.io import savemat

    Image.fromarray(np.array([[0.0, 0.5]], np.float32)).save(tmp_path / "a.tif")
    savemat(tmp_path / "a.mat", {"groundTruth": {"Segmentation": np.array([[0.0, 0.5]])}})
    for name in ("a.tif", "a.mat"):
        with pytest.raises(DataError, match=rf"'.*{name}' \(values that are no whole numbers, up to 0\.5\)"):
            read_mask(tmp_path / name)


def test_a_damaged_jpeg_mask_is_named(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (128, 128), np.uint8)
    path = as_jpeg(noise, tmp_path, 90)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\xff\xd9")
    with pytest.raises(DataError, match=r"mask\.jpg' \(damaged: premature end"):
        read_mask(path)
