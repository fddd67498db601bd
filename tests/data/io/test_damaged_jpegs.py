"""JPEG files that lost bytes are refused; those with harmless oddities are read."""

from __future__ import annotations

import io
import re
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.io.decoding import UnreadableImageError, decode_image
from crack_lightning.data.scan.scan import scan_files
from tests.data.pictures import encoded, exif, save

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = Path(__file__).parents[4] / "shared" / "data"
END = b"\xff\xd9"
KINDS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 1},
    "grey": {"mode": "L"},
    "cmyk": {"mode": "CMYK"},
    "turned": {"exif": exif(6)},
    "true_rgb": {"keep_rgb": True},
}


def concrete() -> Image.Image:
    """A grainy picture, as the entropy code of a smooth one has too few bytes to lose."""
    rng = np.random.default_rng(3)
    return Image.fromarray(rng.normal(140, 25, (160, 160, 3)).clip(0, 255).astype(np.uint8))


def whole(kind: str) -> bytes:
    options = dict(KINDS[kind])
    return encoded(concrete().convert(options.pop("mode", "RGB")), "JPEG", quality=88, **options)


def losses(data: bytes) -> dict[str, bytes]:
    half, quarter = len(data) // 2, len(data) // 4
    hole = min(2048, quarter)
    return {
        "half and an end": data[:half] + END,
        "nine tenths and an end": data[: len(data) * 9 // 10] + END,
        "zeros to the end": data[:half] + bytes(len(data) - half - 2) + END,
        "a block of zeros": data[:half] + bytes(hole) + data[half + hole :],
        "a block of ones": data[:half] + b"\xff" * hole + data[half + hole :],
        "a block lost": data[:half] + data[half + hole :],
        "a block twice": data[: half + hole] + data[half:],
        "no end": data[:-2],
    }


@pytest.mark.parametrize("loss", losses(b" " * 4096))
@pytest.mark.parametrize("kind", KINDS)
def test_a_jpeg_that_lost_bytes_is_refused_whatever_its_kind(kind: str, loss: str, tmp_path: Path) -> None:
    data = whole(kind)
    assert decode_image(save(tmp_path, "whole.jpg", data)).shape == (160, 160, 3)
    with pytest.raises(UnreadableImageError, match=r"lost\.jpg': (damaged|truncated)"):
        decode_image(save(tmp_path, "lost.jpg", losses(data)[loss]))


def test_a_progressive_jpeg_that_ends_between_two_scans_is_refused(tmp_path: Path) -> None:
    data = whole("progressive")
    scans = [found.start() for found in re.finditer(b"\xff\xda", data)]
    assert len(scans) > 5
    for start in scans[1:]:
        with pytest.raises(UnreadableImageError, match=r"lost\.jpg': truncated"):
            decode_image(save(tmp_path, "lost.jpg", data[:start] + END))


@pytest.mark.parametrize("kind", KINDS)
def test_sixteen_changed_bytes_are_nearly_always_seen(kind: str, tmp_path: Path) -> None:
    data, rng, seen = whole(kind), np.random.default_rng(0), 0
    for _ in range(20):
        changed = bytearray(data)
        for place in rng.integers(len(data) // 3, len(data) - 2, 16):
            changed[place] ^= int(rng.integers(1, 256))
        try:
            decode_image(save(tmp_path, "changed.jpg", bytes(changed)))
        except UnreadableImageError:
            seen += 1
    assert seen >= 18


def odd_but_whole() -> Iterator[tuple[str, bytes]]:
    data = whole("baseline")
    yield "words behind the end", data + b"trailing words"
    yield "zeros behind the end", data + bytes(4096)
    yield (
        "Samsung's trailer",
        data + b"\x00\x00\x01\x0a\x0e\x00\x00\x00Image_UTC_Data1700000000000SEFH" + bytes(24) + b"SEFT",
    )
    yield "a film behind the end", data + b"\x00\x00\x00\x18ftypmp42" + bytes(64)
    second = Image.fromarray(255 - np.asarray(concrete()))
    yield "two pictures (MPO)", encoded(concrete(), "MPO", quality=88, save_all=True, append_images=[second])
    yield "padding before the end", data[:-2] + bytes(16) + END
    yield "a byte before the end", data[:-2] + b"\x31" + END
    yield "fill bytes before the end", data[:-2] + b"\xff" * 9 + END
    yield "fill bytes before a marker", data[:2] + b"\xff" * 3 + data[2:]
    yield "a JFIF of the future", data.replace(b"JFIF\x00\x01\x01", b"JFIF\x00\x07\x01", 1)
    adobe = b"\xff\xee" + struct.pack(">H", 14) + b"Adobe\x00\x64\x00\x00\x00\x00\x07"
    yield "an unknown transform of Adobe's", data[:2] + adobe + data[20:]
    yield "a comment", data[:2] + b"\xff\xfe" + struct.pack(">H", 8) + b"\xff\xd8\xff\xd9**" + data[2:]


ODD = dict(odd_but_whole())


@pytest.mark.parametrize("name", ODD)
def test_harmless_oddities_are_no_damage(name: str, tmp_path: Path) -> None:
    with Image.open(io.BytesIO(whole("baseline"))) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(decode_image(save(tmp_path, "odd.jpg", ODD[name])), expected)


def test_subsampling_that_simplejpeg_does_not_know_is_left_to_pillow(tmp_path: Path) -> None:
    data = bytearray(encoded(concrete(), quality=88, subsampling=0))
    place = data.index(b"\xff\xc0") + 11  # the sampling factors of Y, Cb and Cr
    for component in range(3):
        assert data[place + 3 * component] == 0x11
        data[place + 3 * component] = 0x11 if component != 1 else 0x21
    try:
        with Image.open(io.BytesIO(bytes(data))) as image:
            expected = np.asarray(image.convert("RGB"))
    except OSError:
        expected = None
    path = save(tmp_path, "odd.jpg", bytes(data))
    if expected is None:
        with pytest.raises(UnreadableImageError, match=r"odd\.jpg': (damaged|truncated)"):
            decode_image(path)
    else:
        np.testing.assert_array_equal(decode_image(path), expected)


@pytest.mark.real_data
@pytest.mark.skipif(not SHARED.exists(), reason="the real images are not here")
def test_no_real_picture_is_taken_for_damaged(tmp_path: Path) -> None:
    paths = [
        path.relative_to(SHARED).as_posix()
        for path in SHARED.rglob("*")
        if path.suffix.lower() in {".jpg", ".jpeg", ".png"} and path.parent.name != "masks"
    ]
    assert len(paths) > 16_000
    reason = scan_files(
        SHARED, np.array(paths), near_duplicates=False, num_workers=2, show_progress=False, cache=tmp_path
    ).reason
    assert [path for path, why in zip(paths, reason.tolist(), strict=True) if why] == []
