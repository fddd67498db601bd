from __future__ import annotations

import io
import os
import pickle
import re
import struct
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data import decoding
from crack_lightning.data.decoding import MAX_PIXELS, UnreadableImageError, decode_image
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

QUADRANTS = np.array([[[200, 40, 40], [40, 200, 40]], [[40, 40, 200], [220, 220, 220]]], dtype=np.uint8)


def picture(height: int = 32, width: int = 48) -> Image.Image:
    """Four flat quadrants, so that any turn or mirror shows."""
    return Image.fromarray(QUADRANTS.repeat(height // 2, 0).repeat(width // 2, 1))


def encoded(image: Image.Image, form: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def jpeg(**options: Any) -> bytes:
    return encoded(picture(), "JPEG", quality=95, subsampling=0, **options)


def quadrants(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    return pixels[height // 4 :: height // 2, width // 4 :: width // 2]


def save(folder: Path, name: str, data: bytes) -> Path:
    path = folder / name
    path.write_bytes(data)
    return path


def png(width: int, height: int, rows: bytes, *, bits: int = 8, colour: int = 0) -> bytes:
    """A PNG written by hand from its specification; rows begin with their filter byte."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    body = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def big_png_header() -> bytes:
    return png(60_000, 60_000, b"\x00" * 100)


def big_jpeg_header() -> bytes:
    data = bytearray(jpeg())
    start = data.index(b"\xff\xc0")
    data[start + 5 : start + 9] = struct.pack(">HH", 60_000, 60_000)
    return bytes(data)


def dng() -> bytes:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    tags = ImageFileDirectory_v2()
    tags[50706] = b"\x01\x04\x00\x00"
    tags.tagtype[50706] = 1
    return encoded(picture(), "TIFF", tiffinfo=tags)


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


BAD = {
    "empty.jpg": (b"", "an empty file"),
    "zeros.jpg": (bytes(5000), "nothing but zero bytes"),
    "page.jpg": (b"\n <!doctype html><html><body>not found</body></html>", "a web page, not a picture"),
    "drawing.png": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
    "pointer.jpg": (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "git lfs pull"),
    "zip.png": (b"PK\x03\x04" + bytes(40), "a zip archive"),
    "text.bmp": (b"just words", "no picture in a format that is read"),
    "gif.png": (encoded(picture(), "GIF"), "format that is not read"),
    "heic_inside.jpg": (b"\x00\x00\x00\x18ftypheic" + bytes(40), "export it as JPEG"),
    "pdf_inside.jpg": (b"%PDF-1.7\n", "export its pictures"),
    "photo.HEIC": (b"\x00\x00\x00\x18ftypheic", "export it as JPEG"),
    "photo.dng": (dng(), "develop it"),
    "dng_inside.tif": (dng(), "develop it"),
    "scan.pdf": (b"%PDF-1.7\n", "export its pictures"),
    "notes.txt": (jpeg(), "suffix '.txt' is not read"),
    "signature_only.jpg": (b"\xff\xd8\xff", "header is truncated"),
    "half.jpg": (jpeg()[: len(jpeg()) // 2], "truncated"),
    "tail_of_zeros.jpg": (jpeg()[:-60] + bytes(60), "truncated"),
    "half.png": (encoded(picture(), "PNG")[:60], "truncated"),
    "bad_checksum.png": (encoded(picture(), "PNG").replace(b"IDAT", b"IDAZ"), "damaged|header"),
    "half.bmp": (encoded(picture(), "BMP")[:1000], "truncated"),
    "half.webp": (encoded(picture(), "WEBP", lossless=True)[:40], "damaged|truncated"),
    "float.tif": (encoded(Image.new("F", (8, 8), 0.5), "TIFF"), "32 bits a value"),
    "int32.tif": (encoded(Image.new("I", (8, 8), 70_000), "TIFF"), "32 bits a value"),
    "bomb.png": (big_png_header(), f"{MAX_PIXELS:,} pixels"),
    "bomb.jpg": (big_jpeg_header(), f"{MAX_PIXELS:,} pixels"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_file_that_is_no_whole_picture_is_named_with_its_reason(name: str, tmp_path: Path) -> None:
    data, reason = BAD[name]
    path = save(tmp_path, name, data)
    with pytest.raises(
        UnreadableImageError, match=rf"cannot read '.*{name}': .*({reason}).*on_unreadable"
    ) as error:
        decode_image(path)
    assert name not in error.value.reason


def truncations(data: bytes) -> list[int]:
    return [*range(0, len(data), max(1, len(data) // 60)), *range(len(data) - 12, len(data))]


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize(
    ("form", "suffix", "options"),
    [
        ("JPEG", "jpg", {}),
        ("JPEG", "jpg", {"progressive": True}),
        ("JPEG", "jpg", {"exif": exif(6)}),
        ("PNG", "png", {}),
        ("WEBP", "webp", {}),
        ("TIFF", "tif", {}),
        ("BMP", "bmp", {}),
    ],
)
def test_a_truncated_file_is_read_whole_or_named(
    form: str, suffix: str, options: dict[str, Any], tmp_path: Path
) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (24, 24, 3), dtype=np.uint8))
    data = encoded(noise, form, **options)
    whole = decode_image(save(tmp_path, f"whole.{suffix}", data))
    refused = 0
    for length in truncations(data):
        path = save(tmp_path, f"cut.{suffix}", data[:length])
        try:
            pixels = decode_image(path)
        except UnreadableImageError as error:
            refused += (
                re.search(rf"cut\.{suffix}': .*(truncated|damaged|empty|no picture)", str(error)) is not None
            )
        else:
            np.testing.assert_array_equal(pixels, whole, err_msg=f"{length} of {len(data)} bytes")
            # The longest end without pixels is PNG's two checksums and IEND chunk
            refused += length >= len(data) - 20
    assert refused == len(truncations(data))


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


@contextmanager
def unprivileged() -> Iterator[None]:
    """Act as nobody where the tests run as root, for whom every file can be read."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="this system has no file modes")
def test_a_file_without_permission_is_named(tmp_path: Path) -> None:
    path = save(tmp_path, "secret.jpg", jpeg())
    path.chmod(0)
    with unprivileged(), pytest.raises(UnreadableImageError, match=r"secret\.jpg': no permission"):
        decode_image(path)


def test_what_is_not_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "link.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "loop.jpg").symlink_to(tmp_path / "loop.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    for name, reason in (
        ("folder.jpg", "a folder, not a file"),
        ("link.jpg", "a broken link"),
        ("loop.jpg", "symbolic links"),
        ("pipe.jpg", "not a regular file"),
        ("missing.jpg", "no such file"),
    ):
        with pytest.raises(UnreadableImageError, match=rf"{name}': .*{reason}"):
            decode_image(tmp_path / name)


def test_a_name_that_is_not_utf8_is_printable_in_the_error(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"Ri\xdf.jpg")
    with pytest.raises(UnreadableImageError, match=r"Ri\\xdf\.jpg") as error:
        decode_image(path)
    str(error.value).encode()


def test_the_error_survives_a_worker_process(tmp_path: Path) -> None:
    error = UnreadableImageError.about(tmp_path / "a.jpg", "an empty file")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (str(again), again.reason) == (str(error), "an empty file")
    # torch's loader makes the error anew from its text alone
    assert isinstance(type(error)("text"), DataError)


def test_random_damage_never_raises_anything_else(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8))
    for form, suffix in (("PNG", "png"), ("TIFF", "tif"), ("WEBP", "webp"), ("BMP", "bmp")):
        data = encoded(noise, form)
        for _ in range(60):
            damaged = bytearray(data)
            for position in rng.integers(0, min(len(data), 400), 4):
                damaged[position] = rng.integers(256)
            path = save(tmp_path, f"damaged.{suffix}", bytes(damaged))
            with suppress(UnreadableImageError):
                assert decode_image(path).ndim == 3


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
    assert decoding._decode_plain_jpeg(path.read_bytes()) is not None
    monkeypatch.setattr(decoding, "_decode_plain_jpeg", lambda data: None)
    np.testing.assert_array_equal(fast, decode_image(path))


@pytest.mark.parametrize(
    "name", ["exif", "cmyk", "text after", "cut", "cut with an end", "header alone", "png"]
)
def test_what_is_no_plain_jpeg_is_left_to_pillow(name: str) -> None:
    data = {
        "exif": jpeg(exif=exif(6)),
        "cmyk": encoded(picture().convert("CMYK")),
        "text after": jpeg() + b"words",
        "cut": jpeg()[:-2],
        "cut with an end": jpeg()[:10] + b"\xff\xd9",
        "header alone": b"\xff\xd8\xff\xd9",
        "png": encoded(picture(), "PNG"),
    }[name]
    assert decoding._decode_plain_jpeg(data) is None
