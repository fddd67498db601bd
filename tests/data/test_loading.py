from __future__ import annotations

import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from crack_lightning.data.loading import (
    UnreadableImageError,
    decode_image,
    hash_files,
    read_batch,
    survey_files,
)
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

METU = Path(__file__).parents[3] / "shared" / "data" / "metu"


@pytest.fixture
def pictures(tmp_path: Path) -> list[Path]:
    """Pictures of several sizes and formats, smooth enough for their resized values to be compared."""
    paths = []
    for number, (height, width, suffix) in enumerate(
        [
            (60, 60, "jpg"),
            (227, 227, "jpg"),
            (40, 90, "png"),
            (33, 31, "webp"),
            (64, 64, "tif"),
            (20, 20, "bmp"),
        ]
    ):
        rng = np.random.default_rng(number)
        small = Image.fromarray(rng.integers(0, 255, (5, 5, 3), dtype=np.uint8))
        path = tmp_path / f"{number}.{suffix}"
        small.resize((width, height), Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def test_a_batch_is_uint8_in_the_order_of_its_files(pictures: list[Path]) -> None:
    batch = read_batch(pictures, size=32)
    assert (batch.dtype, tuple(batch.shape), batch.is_contiguous()) == (torch.uint8, (6, 3, 32, 32), True)
    assert torch.equal(read_batch(pictures[::-1], size=32), batch.flip(0))
    assert tuple(read_batch([], size=32).shape) == (0, 3, 32, 32)


def triangle_weights(old: int, new: int) -> NDArray[np.float64]:
    """Weights ``(new, old)`` of bilinear resizing whose triangle widens when it shrinks (antialiasing)."""
    scale = old / new
    centre = (np.arange(new) + 0.5) * scale
    distance = np.abs(np.arange(old) + 0.5 - centre[:, None]) / max(scale, 1)
    weights = np.clip(1 - distance, 0, None)
    return np.asarray(weights / weights.sum(1, keepdims=True))


def test_resizing_is_bilinear_with_antialiasing(pictures: list[Path]) -> None:
    for path, got in zip(pictures, read_batch(pictures, size=48), strict=True):
        pixels = decode_image(path).astype(float)
        rows, columns = (triangle_weights(side, 48) for side in pixels.shape[:2])
        expected = np.einsum("ih,hwc,jw->cij", rows, pixels, columns)
        assert np.abs(got.numpy() - expected).max() <= 1.5


def test_a_tile_of_the_right_size_keeps_its_pixels(pictures: list[Path]) -> None:
    np.testing.assert_array_equal(
        read_batch(pictures[1:2], size=227)[0].permute(1, 2, 0), decode_image(pictures[1])
    )


def test_a_tile_is_the_same_alone_in_any_batch_and_with_any_threads(pictures: list[Path]) -> None:
    together = read_batch(pictures, size=40)
    alone = torch.cat([read_batch([path], size=40) for path in pictures])
    assert torch.equal(together, alone)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(read_batch(pictures, size=40), together)
    finally:
        torch.set_num_threads(threads)
    with ThreadPoolExecutor(4) as pool:
        for batch in pool.map(lambda _: read_batch(pictures, size=40), range(8)):
            assert torch.equal(batch, together)


def test_a_batch_names_the_file_that_it_cannot_read(pictures: list[Path]) -> None:
    pictures[2].write_bytes(b"<html>")
    with pytest.raises(UnreadableImageError, match=r"2\.png': a web page"):
        read_batch(pictures, size=16)


@pytest.mark.parametrize("num_workers", [0, 1, 3])
def test_every_unreadable_file_is_found_with_its_reason(num_workers: int, pictures: list[Path]) -> None:
    pictures[1].write_bytes(b"")
    pictures[4].unlink()
    many = pictures * 30
    found = survey_files(many, num_workers=num_workers, show_progress=False)[0]
    assert found == {pictures[1]: "an empty file", pictures[4]: "no such file"}
    assert survey_files([], num_workers=num_workers, show_progress=False)[0] == {}


def test_a_progress_bar_shows_only_when_asked_for(
    pictures: list[Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    hash_files(pictures, show_progress=False)
    survey_files(pictures, num_workers=1, show_progress=False)
    assert "".join(capsys.readouterr()) == ""
    survey_files(pictures, num_workers=1, show_progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Checking the files" in printed.err


def test_digests_are_those_of_hashlib_in_order(pictures: list[Path]) -> None:
    expected = [hashlib.sha256(path.read_bytes()).hexdigest() for path in pictures]
    assert hash_files(pictures, num_workers=3).tolist() == expected
    assert hash_files([]).shape == (0,)


def test_a_file_that_cannot_be_hashed_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.jpg.*No such file"):
        hash_files([tmp_path / "gone.jpg"])


@pytest.mark.real_data
@pytest.mark.skipif(not METU.is_dir(), reason="the METU tiles are not beside the project")
def test_all_metu_tiles_are_checked_in_seconds_of_processor_time() -> None:
    paths = sorted(METU.rglob("*.jpg"))
    assert len(paths) == 16_000
    start = time.process_time()
    assert survey_files(paths, num_workers=2, show_progress=False)[0] == {}
    # 7 s of processor time, so under 5 s on two free cores; coverage and neighbours may cost as much again
    assert time.process_time() - start < 25


@pytest.mark.real_data
@pytest.mark.skipif(not METU.is_dir(), reason="the METU tiles are not beside the project")
def test_metu_has_the_identical_files_that_its_readme_counts() -> None:
    paths = sorted(METU.rglob("*.jpg"))
    _, sizes = np.unique(hash_files(paths), return_counts=True)
    # 638 files in 311 groups, counted by the publisher of this part of the set
    assert ((sizes > 1).sum(), sizes[sizes > 1].sum()) == (311, 638)
