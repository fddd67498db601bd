from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from crack_lightning.data.io.decoding import UnreadableImageError, decode_image
from crack_lightning.data.io.loading import map_in_order, read_batch

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


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
    assert torch.equal(read_batch(pictures, size=40, threads=3), together)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        assert torch.equal(read_batch(pictures, size=40), together)
    finally:
        torch.set_num_threads(threads)
    with ThreadPoolExecutor(4) as pool:
        for batch in pool.map(lambda _: read_batch(pictures, size=40), range(8)):
            assert torch.equal(batch, together)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_names_the_file_that_it_cannot_read(pictures: list[Path], threads: int) -> None:
    pictures[2].write_bytes(b"<html>")
    with pytest.raises(UnreadableImageError, match=r"2\.png': a web page"):
        read_batch(pictures, size=16, threads=threads)


def test_work_in_threads_keeps_the_order_and_passes_errors_on() -> None:
    def work(item: int) -> int:
        time.sleep(0.001 * (item % 3))  # so that later items are done first
        if item == 40:
            raise ValueError("the forty-first")
        return item * item

    results = map_in_order(work, range(50))
    assert [next(results) for _ in range(40)] == [item * item for item in range(40)]
    with pytest.raises(ValueError, match="the forty-first"):
        next(results)
    assert list(map_in_order(work, [])) == []


def test_work_in_threads_goes_no_further_ahead_than_it_must() -> None:
    begun: list[int] = []
    results = map_in_order(begun.append, range(10**6))
    next(results)
    results.close()  # type: ignore[attr-defined]
    assert len(begun) <= 2 * (torch.get_num_threads() + 1) + 1
