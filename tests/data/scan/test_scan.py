"""Scans of files: each is read once, and what is remembered of it is never believed wrongly."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.grouping.near_duplicates import preview
from crack_lightning.data.io.decoding import decode_content
from crack_lightning.data.scan import description
from crack_lightning.data.scan.file_table import Stamp
from crack_lightning.data.scan.scan import ScanResult, scan_files

if TYPE_CHECKING:
    from collections.abc import Sequence

METU = Path(__file__).parents[4] / "shared" / "data" / "metu"
OLD_NS = 10**18  # long ago, so that a later change is certain to show


def write_noise(path: Path, seed: int) -> Path:
    small = Image.fromarray(np.random.default_rng(seed).integers(0, 255, (9, 9, 3), dtype=np.uint8))
    small.resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return path


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Five pictures of noise in several formats, which count as written long ago."""
    monkeypatch.setattr("crack_lightning.data.scan.file_table._SETTLED_NS", -(10**12))
    suffixes = ["jpg", "png", "bmp", "tif", "jpg"]
    return [write_noise(tmp_path / f"{number}.{suffix}", number) for number, suffix in enumerate(suffixes)]


def scan(paths: Sequence[Path], **changes: Any) -> ScanResult:
    root = paths[0].parent
    settings: dict[str, Any] = {
        "near_duplicates": True,
        "num_workers": 1,
        "show_progress": False,
        "cache": root / "cache",
    }
    return scan_files(root, np.array([path.name for path in paths]), **settings | changes)


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Digests of the files that are decoded from now on."""
    digests: list[str] = []
    decode = decode_content

    def watched(data: bytes) -> Any:
        digests.append(hashlib.sha256(data).hexdigest())
        return decode(data)

    monkeypatch.setattr(description, "decode_content", watched)
    return digests


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_every_unreadable_file_has_its_reason(num_workers: int, pictures: list[Path]) -> None:
    pictures[1].write_bytes(b"")
    pictures[3].unlink()
    expected = ["", "an empty file", "", "no such file", ""]
    assert scan(pictures * 200, num_workers=num_workers).reason.tolist() == expected * 200


def test_a_set_without_files_is_empty(tmp_path: Path) -> None:
    result = scan_files(
        tmp_path,
        np.array([], np.str_),
        near_duplicates=True,
        adjacent=True,
        num_workers=1,
        show_progress=False,
        cache=tmp_path / "cache",
    )
    assert result.sha256.shape == (0,)
    assert result.near_duplicates is not None
    assert result.near_duplicates.shape == (0, 2)


def test_digests_are_those_of_hashlib_in_order(pictures: list[Path]) -> None:
    pictures[2].unlink()
    expected = [sha256(path) if path.exists() else "" for path in pictures]
    for _ in ("new", "known"):
        assert scan(pictures, num_workers=3).sha256.tolist() == expected


def test_headers_are_those_of_pillow(pictures: list[Path]) -> None:
    Image.new("L", (7, 5)).save(pictures[0])
    Image.new("RGBA", (3, 4)).save(pictures[1])
    Image.new("CMYK", (8, 9)).save(pictures[4])
    pictures[2].write_bytes(b"")
    expected = [("L", 7, 5), ("RGBA", 3, 4), ("", 0, 0), ("RGB", 64, 64), ("CMYK", 8, 9)]
    for _ in ("new", "known"):
        result = scan(pictures)
        assert [
            (mode, *size) for mode, size in zip(result.mode, result.size.tolist(), strict=True)
        ] == expected


def test_near_duplicates_are_given_by_the_rows_of_all_files(pictures: list[Path]) -> None:
    pictures[0].write_bytes(b"")
    pictures[3].write_bytes(pictures[1].read_bytes())
    pictures[2].unlink()
    pairs = scan(pictures).near_duplicates
    assert pairs is not None
    assert pairs.tolist() == [[1, 3]]
    assert scan(pictures, near_duplicates=False).near_duplicates is None


def test_a_known_file_costs_nothing_and_a_new_one_itself(pictures: list[Path], decoded: list[str]) -> None:
    pictures[1].write_bytes(b"")
    first = scan(pictures[:4])
    assert len(decoded) == 4
    decoded.clear()
    again = scan(pictures[:4])
    assert decoded == []
    for name in ("digest", "reason", "size", "mode", "appearance", "near_duplicates"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    scan(pictures)
    assert decoded == [sha256(pictures[4])]


def test_a_copied_or_moved_set_is_read_but_not_decoded(
    pictures: list[Path], decoded: list[str], tmp_path: Path
) -> None:
    scan(pictures)
    decoded.clear()
    (tmp_path / "moved").mkdir()
    moved = [path.rename(tmp_path / "moved" / path.name) for path in pictures]
    result = scan(moved, cache=tmp_path / "cache")
    assert decoded == []
    assert result.sha256.tolist() == [sha256(path) for path in moved]


def test_a_changed_file_of_the_same_size_and_time_is_not_believed(pictures: list[Path]) -> None:
    data = pictures[2].read_bytes()
    os.utime(pictures[2], ns=(OLD_NS, OLD_NS))
    scan(pictures)
    pictures[2].write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    os.utime(pictures[2], ns=(OLD_NS, OLD_NS))
    assert scan(pictures).sha256[2] == sha256(pictures[2])
    other = pictures[2].with_name("other.bmp")
    other.write_bytes(data)
    os.utime(other, ns=(OLD_NS, OLD_NS))
    other.replace(pictures[2])
    assert scan(pictures).sha256[2] == sha256(pictures[2])


def test_a_file_that_may_still_change_unseen_is_read_again(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()  # files were written just now
    stamp = Stamp.of(str(pictures[2]))
    monkeypatch.setattr(Stamp, "of", lambda _: stamp)  # as of a file system that counts time in seconds
    scan(pictures[2:3])
    data = pictures[2].read_bytes()
    pictures[2].write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert scan(pictures[2:3]).sha256[0] == sha256(pictures[2])


def test_a_rescan_reads_and_decodes_everything(pictures: list[Path], decoded: list[str]) -> None:
    scan(pictures)
    decoded.clear()
    scan(pictures, rescan=True)
    assert decoded == [sha256(path) for path in pictures]


def test_another_version_of_the_code_invalidates_the_descriptions(
    pictures: list[Path], decoded: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    scan(pictures)
    decoded.clear()
    monkeypatch.setattr("crack_lightning.data.scan.file_table.DESCRIPTION_VERSION", "another")
    scan(pictures)
    assert len(decoded) == 5


def test_another_suffix_is_another_file(pictures: list[Path]) -> None:
    scan(pictures)
    renamed = pictures[0].rename(pictures[0].with_suffix(".heic"))
    assert "HEIC" in scan([renamed, *pictures[1:]]).reason[0]
    assert scan([renamed.rename(pictures[0]), *pictures[1:]]).reason[0] == ""


def test_progress_shows_on_request_only(
    pictures: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    scan(pictures)
    assert "".join(capsys.readouterr()) == ""
    scan([*pictures, write_noise(pictures[0].with_name("5.png"), 5)], show_progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Checking the files" in printed.err
    assert "Comparing candidates" in printed.err


@pytest.mark.real_data
@pytest.mark.skipif(not METU.is_dir(), reason="the METU tiles are not beside the project")
def test_all_metu_tiles_can_be_read_and_have_the_identical_files_that_its_readme_counts(
    tmp_path: Path,
) -> None:
    names = np.array(sorted(path.relative_to(METU).as_posix() for path in METU.rglob("*.jpg")))
    assert len(names) == 16_000
    result = scan_files(
        METU, names, near_duplicates=False, num_workers=2, show_progress=False, cache=tmp_path
    )
    assert not (result.reason != "").any()
    _, sizes = np.unique(result.sha256, return_counts=True)
    # 638 files in 311 groups, counted by the publisher of this part of the set
    assert ((sizes > 1).sum(), sizes[sizes > 1].sum()) == (311, 638)


@pytest.mark.parametrize(
    "failure",
    [
        OSError(errno.EIO, "Input/output error"),
        OSError(errno.ESTALE, "Stale file handle"),
        OSError(errno.EMFILE, "Too many open files"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        PermissionError(errno.EACCES, "Permission denied"),
        MemoryError(),
    ],
    ids=lambda failure: errno.errorcode.get(getattr(failure, "errno", 0), "MemoryError"),
)
@pytest.mark.parametrize("step", ["read", "decode"])
def test_a_failure_that_may_pass_is_reported_as_one_and_forgotten(
    failure: Exception, step: str, pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Path.read_bytes
    (pictures[0].parent / "empty.png").write_bytes(b"")
    paths = [*pictures, pictures[0].parent / "empty.png"]

    def failing(path: Path) -> bytes:
        if path == pictures[1]:
            raise failure
        return plain(path)

    def failing_to_decode(*_: Any, **__: Any) -> Any:
        raise failure

    with monkeypatch.context() as patch:
        if step == "read":
            patch.setattr(Path, "read_bytes", failing)
        else:
            patch.setattr(Image, "open", failing_to_decode)
        first = scan(paths)
    assert re.search("this time|no permission", first.reason[1])
    assert "damaged" not in first.reason[1]
    assert first.sha256[1] == ("" if step == "read" else sha256(pictures[1]))
    assert scan(paths).reason.tolist() == ["", "", "", "", "", "an empty file"]


def test_one_failure_costs_the_other_files_nothing(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures[3].write_bytes(pictures[2].read_bytes())
    plain, calls = preview, list[Any]()

    def failing(image: Any) -> Any:
        calls.append(image)
        if len(calls) == 1:
            raise MemoryError
        return plain(image)

    monkeypatch.setattr(description, "preview", failing)
    result = scan(pictures, num_workers=0)
    assert [bool(reason) for reason in result.reason.tolist()] == [True, False, False, False, False]
    assert result.near_duplicates is not None
    assert result.near_duplicates.tolist() == [[2, 3]]


def test_a_verdict_about_bytes_is_remembered(pictures: list[Path], decoded: list[str]) -> None:
    pictures[1].write_bytes(pictures[1].read_bytes()[:-30])
    first = scan(pictures)
    assert "truncated" in first.reason[1]
    decoded.clear()
    assert scan(pictures).reason.tolist() == first.reason.tolist()
    assert decoded == []


def test_a_pipe_is_no_file(pictures: list[Path]) -> None:
    os.mkfifo(pictures[0].with_name("pipe.jpg"))
    assert scan([pictures[0].with_name("pipe.jpg")]).reason.tolist() == ["not a regular file"]


def test_descriptors_of_many_files_are_on_the_disk_and_give_the_same_pairs(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures[3].write_bytes(pictures[1].read_bytes())
    first = scan(pictures, adjacent=True)
    shutil.rmtree(pictures[0].parent / "cache")
    monkeypatch.setattr("crack_lightning.data.scan.pairs._MOST_IN_MEMORY", 0)
    again = scan(pictures, adjacent=True)
    for name in ("near_duplicates", "adjacent"):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name))
    assert first.near_duplicates is not None
    assert first.near_duplicates.tolist() == [[1, 3]]
