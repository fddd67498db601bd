"""Every kind of picture gives the pixels of Pillow; an item that is no picture is named by its position."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from PIL import Image

from crack_lightning.data.io.decoding import UnreadableImageError
from crack_lightning.inference.inputs import named_pictures

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

RGB = np.random.default_rng(0).integers(0, 256, (13, 17, 3), dtype=np.uint8)
PILLOW = Image.fromarray(RGB)


def pixels(pictures: Any) -> list[NDArray[np.uint8]]:
    return [picture.pixels() for picture in named_pictures(pictures)]


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV", "LAB"])
def test_images_of_pillow_are_taken_in_every_mode(mode: str) -> None:
    image = PILLOW.convert(mode)
    [found] = pixels([image])
    np.testing.assert_array_equal(found, np.asarray(image.convert("RGB")))
    assert image.mode == mode


def test_sixteen_bits_are_scaled_by_their_full_range() -> None:
    wide = RGB[..., 0].astype(np.uint16) * 257
    for picture in (Image.fromarray(wide), wide, wide.astype(">u2"), wide[..., None]):
        np.testing.assert_array_equal(pixels([picture])[0], np.repeat(RGB[..., :1], 3, axis=2))


def test_what_is_transparent_is_white_in_arrays_and_images() -> None:
    rgba = np.dstack([RGB, np.full(RGB.shape[:2], 255, np.uint8)])
    rgba[:4, :, 3] = 0
    for picture in (rgba, Image.fromarray(rgba)):
        [found] = pixels([picture])
        assert (found[:4] == 255).all()
        np.testing.assert_array_equal(found[4:], RGB[4:])


def test_an_image_is_turned_as_its_exif_says_and_stays_as_it_is(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    PILLOW.save(tmp_path / "turned.png", exif=exif)
    with Image.open(tmp_path / "turned.png") as image:
        for picture in (tmp_path / "turned.png", image, image):
            np.testing.assert_array_equal(pixels(picture)[0], np.rot90(RGB, -1))
        assert image.size == (17, 13)


@pytest.mark.parametrize(
    "picture",
    [
        RGB[::-1, :, ::-1][::-1, :, ::-1],
        RGB / 255,
        (RGB / 255).astype(np.float16),
        torch.from_numpy(RGB).permute(2, 0, 1),
        torch.from_numpy(RGB / 255).permute(2, 0, 1).requires_grad_(),
        np.asfortranarray(RGB),
    ],
    ids=["strides", "float64", "float16", "tensor", "tensor with a gradient", "fortran"],
)
def test_arrays_and_tensors_hold_the_same_picture(picture: Any) -> None:
    np.testing.assert_array_equal(pixels([picture])[0], RGB)
    np.testing.assert_array_equal(pixels(picture)[0], RGB)


def test_true_is_white() -> None:
    assert pixels([np.eye(9, dtype=bool)])[0][:2, :2, 0].tolist() == [[255, 0], [0, 255]]


def test_one_picture_or_any_number_of_them_are_taken(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("a.png", "b.png")]
    for file in files:
        PILLOW.save(file)
    several = [
        files,
        [str(file) for file in files],
        (file for file in files),
        set(files),
        tmp_path.glob("*.png"),
        np.array([str(file) for file in files]),
        np.stack([RGB, RGB]),
        torch.from_numpy(np.stack([RGB, RGB])).permute(0, 3, 1, 2),
        iter([PILLOW, RGB]),
    ]
    for pictures in several:
        assert [found.shape for found in pixels(pictures)] == [RGB.shape] * 2
    for picture in (files[0], str(files[0]), PILLOW, RGB, RGB[..., 0]):
        assert len(pixels(picture)) == 1
    empty: list[Any] = [[], iter(()), set(), np.empty((0, 9, 9, 3), np.uint8)]
    for nothing in empty:
        assert pixels(nothing) == []
    names = [picture.name for picture in named_pictures([PILLOW, RGB, files[0]])]
    assert names == ["image 0", "array 1", str(files[0])]


def test_a_buffer_that_is_used_again_changes_no_picture() -> None:
    def frames() -> Iterator[NDArray[np.uint8]]:
        buffer = np.empty_like(RGB)
        for value in (10, 200):
            buffer[:] = value
            yield buffer

    taken = list(named_pictures(frames()))
    assert [int(picture.pixels()[0, 0, 0]) for picture in taken] == [10, 200]


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (b"\xff\xd8\xff", r"pictures\[1\]: .* but got bytes; open encoded bytes with PIL\.Image\.open\(io"),
        (None, r"pictures\[1\]: .* but got NoneType"),
        (io.BytesIO(b"x"), r"pictures\[1\]: .* but got BytesIO; open a file with PIL\.Image\.open\(file\)"),
        ([RGB], r"pictures\[1\]: .* but got list"),
        (RGB.astype(np.int64), r"pictures\[1\]: .* but got int64; convert them"),
        (RGB[:0], r"pictures\[1\]: .* but got ndarray uint8 \(0, 17, 3\)"),
        (RGB[..., :2], r"pictures\[1\]: .* but got ndarray uint8 \(13, 17, 2\)"),
        (torch.from_numpy(RGB), r"pictures\[1\]: .* but got Tensor uint8 \(13, 17, 3\)"),
    ],
    ids=["bytes", "None", "a file", "a list", "int64", "empty", "two channels", "channels last"],
)
def test_what_is_no_picture_is_named_by_its_position(picture: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        pixels([RGB, picture])


@pytest.mark.parametrize("pictures", [b"x", None, {"a.jpg": 1}, 3])
def test_what_holds_no_pictures_is_named(pictures: Any) -> None:
    with pytest.raises(TypeError, match=rf"pictures: .* but got {type(pictures).__name__}"):
        pixels(pictures)


@pytest.mark.parametrize("worst", [255.0, -0.1, np.nan])
def test_floats_beyond_one_are_refused(worst: float) -> None:
    picture = RGB / 255
    picture[3, 3] = worst
    with pytest.raises(ValueError, match=r"pictures\[0\]: expected floats in \[0, 1\] but got values from"):
        pixels([picture])


def test_an_image_whose_file_is_truncated_is_unreadable(tmp_path: Path) -> None:
    PILLOW.resize((200, 200)).save(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:9000])
    with Image.open(tmp_path / "half.png") as image:
        [picture] = named_pictures([image])
    with pytest.raises(UnreadableImageError, match=r"'image 0': truncated"):
        picture.pixels()
    with pytest.raises(UnreadableImageError, match="embedded null byte"):
        pixels("a\0.png")
