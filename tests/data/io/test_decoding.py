"""Pictures of every format are decoded to upright 8-bit RGB."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image, ImageOps

from crack_lightning.data.io import decoding
from crack_lightning.data.io.decoding import decode_image
from tests.data.pictures import QUADRANTS, encoded, exif, jpeg, picture, png, save

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def quadrants(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    return pixels[height // 4 :: height // 2, width // 4 :: width // 2]


RIGHT_READ = {
    "plain.jpg": jpeg(),
    "UPPER.JPG": jpeg(),
    "long.jpeg": jpeg(),
    "progressive.jpg": jpeg(progressive=True),
    "restarts.jpg": jpeg(restart_marker_rows=1),
    "true_rgb.jpg": encoded(picture(), "JPEG", quality=95, keep_rgb=True),
    "with_text_after.jpg": jpeg() + b"trailing words",
    "padded_markers.jpg": jpeg()[:2] + b"\xff\xff" + jpeg()[2:],
    "cmyk.jpg": encoded(picture().convert("CMYK"), "JPEG", quality=95, subsampling=0),
    "rgb.png": encoded(picture(), "PNG"),
    "palette.png": encoded(picture().quantize(8), "PNG"),
    "palette_with_alpha.png": encoded(picture().quantize(8), "PNG", transparency=255),
    "opaque_alpha.png": encoded(picture().convert("RGBA"), "PNG"),
    "rgb.bmp": encoded(picture(), "BMP"),
    "rgb.tif": encoded(picture(), "TIFF"),
    "lzw.TIFF": encoded(picture(), "TIFF", compression="tiff_lzw"),
    "cmyk.tif": encoded(picture().convert("CMYK"), "TIFF"),
    "rgb.webp": encoded(picture(), "WEBP", lossless=True),
    "png_inside.jpg": encoded(picture(), "PNG"),
    "jpeg_inside.png": jpeg(),
    "animated.png": encoded(picture(), "PNG", save_all=True, append_images=[picture().rotate(180)]),
    "animated.webp": encoded(
        picture(), "WEBP", save_all=True, append_images=[picture().rotate(180)], lossless=True
    ),
    "pages.tif": encoded(picture(), "TIFF", save_all=True, append_images=[picture().rotate(180)]),
    "site (1) [new] #3 = 50%, 'a' ~ ~.jpg": jpeg(),
    "Rïss Трещина 裂缝.jpg": jpeg(),
}


@pytest.mark.parametrize("name", RIGHT_READ)
def test_an_odd_but_whole_picture_is_read_as_its_four_colours(name: str, tmp_path: Path) -> None:
    pixels = decode_image(save(tmp_path, name, RIGHT_READ[name]))
    assert pixels.dtype == np.uint8
    assert pixels.shape == (32, 48, 3)
    assert np.abs(quadrants(pixels).astype(int) - QUADRANTS).max() <= 6


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("form", "suffix"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp"), ("TIFF", "tif")]
)
def test_a_picture_comes_out_upright(form: str, suffix: str, orientation: int, tmp_path: Path) -> None:
    # What a viewer must do to the stored pixels, from the EXIF 2.3 specification, section 4.6.4 (Orientation)
    stored = {
        1: lambda upright: upright,
        2: lambda upright: upright[:, ::-1],
        3: lambda upright: upright[::-1, ::-1],
        4: lambda upright: upright[::-1],
        5: lambda upright: upright.transpose(1, 0, 2),
        6: lambda upright: np.rot90(upright, 1),
        7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
        8: lambda upright: np.rot90(upright, -1),
    }[orientation](np.asarray(picture()))
    by_form: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95}, "WEBP": {"lossless": True}}
    options = by_form.get(form, {})
    image = Image.fromarray(np.ascontiguousarray(stored))
    pixels = decode_image(
        save(tmp_path, f"turned.{suffix}", encoded(image, form, exif=exif(orientation), **options))
    )
    assert pixels.shape == (32, 48, 3)
    assert np.abs(quadrants(pixels).astype(int) - QUADRANTS).max() <= 6


def test_grey_becomes_three_equal_channels(tmp_path: Path) -> None:
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    for name, form in (("grey.png", "PNG"), ("grey.tif", "TIFF"), ("grey.bmp", "BMP")):
        pixels = decode_image(save(tmp_path, name, encoded(Image.fromarray(ramp), form)))
        np.testing.assert_array_equal(pixels, ramp[..., None].repeat(3, 2))


def test_black_and_white_becomes_0_and_255(tmp_path: Path) -> None:
    image = Image.fromarray(np.eye(8, dtype=bool))
    pixels = decode_image(save(tmp_path, "bits.tif", encoded(image, "TIFF")))
    np.testing.assert_array_equal(pixels[..., 0], 255 * np.eye(8, dtype=np.uint8))


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(form: str, tmp_path: Path) -> None:
    wide = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    pixels = decode_image(save(tmp_path, f"wide.{form.lower()}", encoded(Image.fromarray(wide), form)))
    np.testing.assert_array_equal(pixels[..., 1], np.round(wide / 257))


def test_sixteen_bits_a_colour_are_scaled_and_not_clipped(tmp_path: Path) -> None:
    wide = np.linspace(0, 65535, 48).astype(">u2").reshape(4, 4, 3)
    rows = b"".join(b"\x00" + row.tobytes() for row in wide)
    pixels = decode_image(save(tmp_path, "wide.png", png(4, 4, rows, bits=16, colour=2)))
    assert np.abs(pixels - wide.astype(float) / 257).max() <= 1


def test_transparent_parts_show_white(tmp_path: Path) -> None:
    rgba = np.zeros((4, 4, 4), dtype=np.uint8)
    rgba[:, 1, 3], rgba[:, 2, 3], rgba[:, 3] = 51, 255, (255, 0, 0, 255)
    pixels = decode_image(save(tmp_path, "glass.png", encoded(Image.fromarray(rgba), "PNG")))
    np.testing.assert_array_equal(pixels[0], [[255, 255, 255], [204, 204, 204], [0, 0, 0], [255, 0, 0]])


def test_a_transparent_palette_entry_shows_white(tmp_path: Path) -> None:
    image = Image.new("P", (4, 4), 1)
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.putpixel((2, 1), 0)
    pixels = decode_image(save(tmp_path, "hole.png", encoded(image, "PNG", transparency=0)))
    assert pixels[1, 2].tolist() == [255, 255, 255]
    assert pixels[0, 0].tolist() == [40, 50, 60]


@pytest.mark.parametrize(("width", "height"), [(1, 1), (20_000, 2), (2, 20_000)])
def test_extreme_shapes_are_read(width: int, height: int, tmp_path: Path) -> None:
    for form in ("png", "jpeg"):
        path = save(
            tmp_path, f"thin.{form}", encoded(Image.new("RGB", (width, height), (9, 9, 9)), form.upper())
        )
        pixels = decode_image(path)
        assert pixels.shape == (height, width, 3)
        assert np.abs(pixels.astype(int) - 9).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (17, 33), (64, 48)])
@pytest.mark.parametrize(
    "options",
    [{"subsampling": 0}, {"subsampling": 1}, {"subsampling": 2}, {"progressive": True}, {"grey": True}],
)
def test_both_decoders_of_a_plain_jpeg_give_the_same_pixels(
    options: dict[str, Any], size: tuple[int, int], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    rng = np.random.default_rng(size)
    image = Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8))
    if options.pop("grey", False):
        image = image.convert("L")
    path = save(tmp_path, "noise.jpg", encoded(image, "JPEG", quality=80, **options))
    fast = decode_image(path)
    assert decoding._decode_jpeg(path.read_bytes()) is not None
    with Image.open(path) as image:
        np.testing.assert_array_equal(fast, np.asarray(image.convert("RGB")))


def xmp(orientation: int, form: str) -> bytes:
    body = f"<x:xmpmeta><rdf:Description {form % orientation}</rdf:Description></x:xmpmeta>"
    return body.encode()


@pytest.mark.parametrize("form", ['tiff:Orientation="%d">', "><tiff:Orientation>%d</tiff:Orientation>"])
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_xmp_turns_a_jpeg_as_in_pillow_whichever_decoder_reads_it(
    orientation: int, mode: str, form: str, tmp_path: Path
) -> None:
    path = save(
        tmp_path, "turned.jpg", encoded(picture().convert(mode), quality=95, xmp=xmp(orientation, form))
    )
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(decode_image(path), expected)
    assert decode_image(path).shape[:2] == ((32, 48) if orientation < 5 else (48, 32))


def test_exif_goes_before_xmp_and_metadata_that_cannot_be_read_turns_nothing(tmp_path: Path) -> None:
    both = encoded(picture(), quality=95, exif=exif(3), xmp=xmp(6, 'tiff:Orientation="%d">'))
    pixels = decode_image(save(tmp_path, "both.jpg", both))
    assert np.abs(quadrants(pixels).astype(int) - QUADRANTS[::-1, ::-1]).max() <= 6
    plain = jpeg()
    for number, junk in enumerate(
        (b"Exif\0\0MM\0junk", b"Exif\0\0", b"Exif\0\0" + b"II*\0\xff\xff\xff\xff", b"")
    ):
        segment = b"\xff\xe1" + struct.pack(">H", len(junk) + 2) + junk
        path = save(tmp_path, f"{number}.jpg", plain[:2] + segment + plain[2:])
        assert np.abs(quadrants(decode_image(path)).astype(int) - QUADRANTS).max() <= 6


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_there_is_not_turns_nothing(orientation: int, tmp_path: Path) -> None:
    pixels = decode_image(save(tmp_path, "odd.jpg", jpeg(exif=exif(orientation))))
    assert np.abs(quadrants(pixels).astype(int) - QUADRANTS).max() <= 6
