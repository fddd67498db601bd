"""Small files that would fill the memory are refused while they are read."""

from __future__ import annotations

import bz2
import gzip
import struct
import tarfile
import tracemalloc
import zipfile
import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from crack_lightning.data.io.decoding import UnreadableImageError, decode_image
from crack_lightning.data.io.mask_files import read_mask
from crack_lightning.data.io.tiff_tags import tag_bytes
from crack_lightning.runtime.errors import DataError
from tests.data.archives import make_tar, refuse

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SWOLLEN = 48 * 1024**2


@contextmanager
def memory_within(most: int) -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()


def header(kind: bytes, size: int, *, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "kind",
    [
        *(tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE),
        *(tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK),
    ],
)
@pytest.mark.parametrize("before", [b"", header(tarfile.REGTYPE, 0, name="a.jpg")])
def test_a_large_header_of_a_tar_is_refused_before_it_is_read(
    kind: bytes, before: bytes, tmp_path: Path
) -> None:
    archive = tmp_path / "bomb.tar.gz"
    archive.write_bytes(gzip.compress(before + header(kind, SWOLLEN) + bytes(SWOLLEN) + bytes(1024), 1))
    assert archive.stat().st_size < SWOLLEN / 100
    with memory_within(8 * 1024**2):
        refuse(archive, r"holds a header of 50,331,648 bytes, expected names of at most 262,144 bytes")


def test_many_global_headers_are_refused_together(tmp_path: Path) -> None:
    entry = b"%d comment=" % (2**18) + b"c" * (2**18 - 16) + b"\n"
    one = header(tarfile.XGLTYPE, len(entry)) + entry + bytes(-len(entry) % 512)
    archive = tmp_path / "bomb.tar.gz"
    archive.write_bytes(gzip.compress(header(tarfile.REGTYPE, 0) + 100 * one + bytes(1024), 1))
    refuse(archive, "data.archive: ")


def test_a_sparse_file_of_a_tar_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(header(tarfile.GNUTYPE_SPARSE, 512) + bytes(2048))
    refuse(tmp_path / "a.tar", "a sparse file")
    with tarfile.open(tmp_path / "b.tar", "w", format=tarfile.PAX_FORMAT) as opened:
        info = tarfile.TarInfo("x")
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "9"}
        opened.addfile(info)
    refuse(tmp_path / "b.tar", "a sparse file")


def test_long_names_and_short_headers_of_a_tar_are_read_as_ever(tmp_path: Path) -> None:
    from crack_lightning.data.downloads.archive_readers import tar_members

    names = ["/".join(["deep" * 20] * 5) + "/ü.jpg", "b.jpg"]
    archive = make_tar(tmp_path / "a.tar.gz", dict.fromkeys(names, b"x"), mode="w:gz")
    assert [member.path.as_posix() for member in tar_members(archive)] == names


def test_a_zip_by_a_method_without_limits_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "bomb.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_BZIP2) as opened:
        opened.writestr("a.jpg", bytes(SWOLLEN))
    content = bytearray(archive.read_bytes())  # announce 10 bytes in both headers
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<I", content, content.rfind(signature) + offset, 10)
    archive.write_bytes(content)
    assert len(bz2.compress(bytes(SWOLLEN))) < 1000
    with memory_within(8 * 1024**2):
        refuse(archive, "holds the file of compression method 12 'a.jpg'")


def labels(path: Path, segmentation: object, *, compressed: bool = True, **more: object) -> Path:
    savemat(path, {"groundTruth": {"Segmentation": segmentation}, **more}, do_compression=compressed)
    return path


@pytest.mark.parametrize("kind", ["u1", "u2", "i4", "f8", "bool"])
@pytest.mark.parametrize("size", [(3, 4), (1, 1), (40, 7)])
def test_labels_of_matlab_are_read_as_scipy_wrote_them(
    kind: str, size: tuple[int, int], tmp_path: Path
) -> None:
    written = np.arange(np.prod(size)).reshape(size).astype(kind)
    for compressed in (True, False):
        path = labels(tmp_path / "a.mat", written, compressed=compressed, other=np.zeros((2, 3), object))
        np.testing.assert_array_equal(read_mask(path).values, written)


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(0 if kind == 15 else -len(content) % 8)


def matlab(*elements: bytes) -> bytes:
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements)


def array(kind: int, size: tuple[int, int], *content: bytes, name: bytes = b"groundTruth") -> bytes:
    flags = element(6, struct.pack("<II", kind, 0))
    return element(14, flags + element(5, struct.pack("<ii", *size)) + element(1, name) + b"".join(content))


BOMBS = {
    "a compressed one": (
        matlab(element(15, zlib.compress(array(6, (SWOLLEN, 8), element(9, bytes(SWOLLEN * 8)))))),
        "arrays of over 357,913,940 bytes",
    ),
    "cells that are not there": (matlab(array(1, (10**5, 10**5))), ""),
    "structures that are not there": (
        matlab(array(2, (10**5, 10**5), element(5, b" \0\0\0"))),
        "groundTruth is",
    ),
    "labels that are not there": (
        matlab(
            array(
                *(2, (1, 1), element(5, b"\x20\0\0\0"), element(1, b"Segmentation".ljust(32, b"\0"))),
                array(9, (10**5, 10**5), element(2, b"abcd"), name=b""),
            )
        ),
        "",
    ),
    "another variable": (matlab(array(9, (2, 2), element(2, b"abcd"), name=b"x")), "no groundTruth"),
    "version 7.3": (b"MATLAB 7.3 MAT-file, HDF5".ljust(512), "MATLAB 7.3, which is HDF5; save it with save"),
    "version 4": (
        struct.pack("<5i", 0, 10**6, 10**6, 0, 2) + b"a\0" + bytes(200),
        "no MATLAB file of version 5",
    ),
    "nothing": (b"", "no MATLAB file"),
    "half of one": (matlab(array(2, (1, 1)))[:150], ""),
}


@pytest.mark.parametrize(("content", "said"), BOMBS.values(), ids=BOMBS)
def test_a_matlab_file_that_swells_is_refused(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.mat").write_bytes(content)
    with pytest.raises(DataError, match=rf"data\.masked\.masks: cannot read '.*a\.mat' \({said}"):
        read_mask(tmp_path / "a.mat")


def test_random_damage_of_labels_is_one_sentence_or_labels(tmp_path: Path) -> None:
    rng = np.random.default_rng(11)
    whole = labels(tmp_path / "a.mat", np.ones((20, 20), np.uint8), compressed=False).read_bytes()
    for _ in range(150):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), rng.choice([1, 4])):
            damaged[place] = rng.integers(256)
        (tmp_path / "b.mat").write_bytes(damaged)
        with suppress(DataError):
            read_mask(tmp_path / "b.mat")


def tiff(tags: int, count: int) -> bytes:
    """A TIFF whose tags each name the same bytes."""
    entries = b"".join(struct.pack("<HHII", 40000 + tag, 7, count, 8) for tag in range(tags))
    place = 8 + count
    return b"II*\0" + struct.pack("<I", place) + bytes(count) + struct.pack("<H", tags) + entries + bytes(4)


def test_tags_that_hold_more_than_their_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(tiff(200, 2**20))  # 200 MiB of tags in 1 MiB
    with memory_within(32 * 2**20):
        with pytest.raises(UnreadableImageError, match="its tags hold more than the file"):
            decode_image(path)
        with pytest.raises(DataError, match="its tags hold more than the file"):
            read_mask(path)
    exif = b"Exif\0\0" + tiff(200, 2**12)
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", exif=exif)
    with pytest.raises(UnreadableImageError, match="its EXIF tags claim more bytes than there are"):
        decode_image(tmp_path / "a.png")


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"big_tiff": True}])
def test_tags_of_a_tiff_of_pillows_hold_less_than_their_file(options: dict[str, Any], tmp_path: Path) -> None:
    Image.new("RGB", (64, 300), "red").save(tmp_path / "a.tif", description="a" * 500, **options)
    content = (tmp_path / "a.tif").read_bytes()
    assert 500 < tag_bytes(content) < len(content)
    assert (decode_image(tmp_path / "a.tif") == (255, 0, 0)).all()
