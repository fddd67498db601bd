"""A picture computed in pieces has the map of one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from crack_lightning.inference.maps.tiled_inference import receptive_radius, tile_boxes, tiled_cell_map
from crack_lightning.model.backends.engines.eager import eager
from crack_lightning.model.backends.select import prepare_backend
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.model.heads.local import LocalNetwork

    Build = Callable[[str], LocalNetwork]


class OfBytes(torch.nn.Module):
    """A local network that takes uint8."""

    def __init__(self, local: LocalNetwork) -> None:
        super().__init__()
        self.local = local

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.local.cells(images.float() / 255)


@torch.inference_mode()
def in_one_pass(plain: OfBytes, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return np.asarray(plain(torch.from_numpy(pixels.transpose(2, 0, 1))[None])[0, 0])


@pytest.mark.usefixtures("openvino")
@pytest.mark.parametrize("engine", ["eager", "openvino"])
@pytest.mark.parametrize(("name", "size"), [("resnet10t", (533, 401)), ("tf_efficientnet_lite0", (260, 660))])
def test_pieces_fit_without_seams(
    engine: str, name: str, size: tuple[int, int], local_network: Build, tmp_path: Path
) -> None:
    plain = OfBytes(local_network(name)).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    far = receptive_radius(plain.local.cells)
    assert 30 < far < 320
    once = in_one_pass(plain, pixels)
    assert once.std() > 0.01
    seen = []

    def cells(images: torch.Tensor) -> torch.Tensor:
        seen.append(images.shape)
        return compute(images)

    _, compute = prepare_backend(
        plain, wanted=engine, image_size=None, threads=2, cache=tmp_path, key="engine"
    )
    piece_px = 16 * (far // 8 + 6)
    np.testing.assert_allclose(
        tiled_cell_map(cells, pixels, reach_px=far, piece_px=piece_px), once, atol=1e-4
    )
    assert len(seen) > 2
    assert len(set(seen)) == 1
    assert max(seen[0][2:]) <= piece_px
    blind = tiled_cell_map(cells, pixels, reach_px=0, piece_px=piece_px)
    assert np.abs(blind - once).max() > 1e-3


@pytest.mark.parametrize("size", [(1, 1), (15, 100), (64, 33)])
def test_a_small_picture_is_one_piece(size: tuple[int, int], local_network: Build) -> None:
    plain = OfBytes(local_network("resnet10t")).eval()
    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    found = tiled_cell_map(eager(plain), pixels, reach_px=320)
    np.testing.assert_allclose(found, in_one_pass(plain, pixels), atol=1e-4)


def test_a_network_with_global_averages_is_refused(local_network: Build) -> None:
    with pytest.raises(ConfigError, match="cells is over 320 px"):
        receptive_radius(local_network("mobilenetv3_small_050").cells)


def test_tiles_of_one_size_cover_every_cell() -> None:
    cells = np.arange(7 * 11, dtype=np.float32).reshape(7, 11)
    places, parts = tile_boxes(cells, tile_px=30)
    assert set(parts.ravel().tolist()) == set(cells.ravel().tolist())
    assert parts.shape[1:] == (3, 3)
    assert places[:5] == [(0, 0), (0, 24), (0, 48), (0, 64), (24, 0)]
    for (top, left), part in zip(places, parts, strict=True):
        assert part[0, 0] == cells[top // 8, left // 8]


def test_a_map_smaller_than_a_tile_is_one_and_one_that_fits_is_cut_without_overlap() -> None:
    places, parts = tile_boxes(np.zeros((2, 3), np.float32), tile_px=64)
    assert places == [(0, 0)]
    assert parts.shape == (1, 2, 3)
    assert tile_boxes(np.zeros((4, 8), np.float32), tile_px=32)[0] == [(0, 0), (0, 32)]
