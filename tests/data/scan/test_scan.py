"""A scan decodes each file once; its cached results hold for the same bytes."""

from __future__ import annotations

import errno
import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from crack_lightning.data.io.decoding import decode_image
from crack_lightning.data.scan import scan as module
from crack_lightning.data.scan.scan import ScanResult, decode_files, scan_files

if TYPE_CHECKING:
    from collections.abc import Sequence

METU = Path(__file__).parents[4] / "shared" / "data" / "metu"


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Five pictures of noise in several formats."""
    paths = [
        tmp_path / f"{number}.{suffix}" for number, suffix in enumerate(["jpg", "png", "bmp", "tif", "jpg"])
    ]
    for number, path in enumerate(paths):
        rng = np.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 255, (9, 9, 3), dtype=np.uint8))
        small.resize((64, 64), Image.Resampling.BICUBIC).save(path)
    return paths


def look(paths: Sequence[Path], **changes: Any) -> ScanResult:
    cache = paths[0].parent / "cache" if paths else Path("unused")
    settings: dict[str, Any] = {
        "near_duplicates": True,
        "num_workers": 1,
        "show_progress": False,
        "cache": cache,
    }
    return scan_files(paths, **settings | changes)


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_every_unreadable_file_is_found_with_its_reason(num_workers: int, pictures: list[Path]) -> None:
    pictures[1].write_bytes(b"")
    pictures[3].unlink()
    expected = ["", "an empty file", "", "no such file", ""]
    assert look(pictures * 30, num_workers=num_workers).reason.tolist() == expected * 30
    assert decode_files([], num_workers=num_workers, show_progress=False)[0].tolist() == []


def test_digests_are_those_of_hashlib_in_order(pictures: list[Path]) -> None:
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures]
    assert look(pictures, num_workers=3).sha256.tolist() == expected


def test_twins_are_given_by_the_rows_of_all_files(pictures: list[Path]) -> None:
    pictures[0].write_bytes(b"")
    pictures[3].write_bytes(pictures[1].read_bytes())
    pictures[2].unlink()
    found = look(pictures).near_duplicates
    assert found is not None
    assert found.tolist() == [[1, 3]]
    assert look(pictures, near_duplicates=False).near_duplicates is None


def test_files_that_are_known_are_not_decoded_again(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures[1].write_bytes(b"")
    first = look(pictures)
    decoded: list[Path] = []

    def watched(path: Path) -> Any:
        decoded.append(path)
        return decode_image(path)

    monkeypatch.setattr(module, "decode_image", watched)
    again = look(pictures)
    assert decoded == []
    assert again.reason.tolist() == first.reason.tolist()
    pictures[2].write_bytes(pictures[3].read_bytes())
    look(pictures)
    assert decoded == pictures


def test_another_suffix_is_another_file(pictures: list[Path]) -> None:
    look(pictures)
    renamed = pictures[0].rename(pictures[0].with_suffix(".heic"))
    assert "HEIC" in look([renamed, *pictures[1:]]).reason[0]


def test_progress_shows_only_when_asked_for(
    pictures: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    look(pictures)
    assert "".join(capsys.readouterr()) == ""
    look([*pictures, pictures[0]], show_progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Checking the files" in printed.err
    assert "Comparing candidates" in printed.err


@pytest.mark.real_data
@pytest.mark.skipif(not METU.is_dir(), reason="the METU tiles are not beside the project")
def test_all_metu_tiles_can_be_read() -> None:
    paths = sorted(METU.rglob("*.jpg"))
    assert len(paths) == 16_000
    assert not decode_files(paths, num_workers=2, show_progress=False)[0].any()


@pytest.mark.real_data
@pytest.mark.skipif(not METU.is_dir(), reason="the METU tiles are not beside the project")
def test_metu_has_the_identical_files_that_its_readme_counts(tmp_path: Path) -> None:
    paths = sorted(METU.rglob("*.jpg"))
    digests = look(paths, near_duplicates=False, num_workers=2, cache=tmp_path).sha256
    _, sizes = np.unique(digests, return_counts=True)
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
def test_a_failure_that_may_pass_is_named_as_one_and_forgotten(
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
        first = look(paths)
    assert re.search("this time|no permission", first.reason[1])
    assert "damaged" not in first.reason[1]
    assert first.sha256[1] == hashlib.sha256(pictures[1].read_bytes()).hexdigest()
    assert look(paths).reason.tolist() == ["", "", "", "", "", "an empty file"]


def test_one_failure_costs_the_other_files_nothing(
    pictures: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pictures[3].write_bytes(pictures[2].read_bytes())

    def failing(image: Any) -> Any:
        monkeypatch.undo()
        raise MemoryError

    monkeypatch.setattr(module, "preview", failing)
    found = look(pictures, num_workers=0)
    assert [bool(reason) for reason in found.reason] == [True, False, False, False, False]
    assert found.near_duplicates is not None
    assert found.near_duplicates.tolist() == [[2, 3]]


def test_a_verdict_about_bytes_is_kept(pictures: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    pictures[1].write_bytes(pictures[1].read_bytes()[:-30])
    first = look(pictures)
    assert "truncated" in first.reason[1]
    monkeypatch.setattr(module, "decode_image", None)
    assert look(pictures).reason.tolist() == first.reason.tolist()
