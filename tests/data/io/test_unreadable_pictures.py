"""Every file that is no whole picture raises one kind of error, with its name and the reason."""

from __future__ import annotations

import os
import pickle
import re
import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.io.decoding import MAX_PIXELS, UnreadableImageError, decode_image
from crack_lightning.runtime.errors import DataError
from tests.data.pictures import encoded, exif, jpeg, picture, png, save

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path


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


def test_a_file_without_permission_is_named(
    unprivileged: Callable[[], AbstractContextManager[None]], tmp_path: Path
) -> None:
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
