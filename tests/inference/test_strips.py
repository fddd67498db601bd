"""A picture in pieces gives what one pass gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crack_lightning.errors import ConfigError
from crack_lightning.inference.mapping import overlaid
from crack_lightning.inference.strips import cell_map, reach, tile_scores
from crack_lightning.model.heads import LocalNetwork


def network(name: str) -> LocalNetwork:
    torch.manual_seed(0)
    built = LocalNetwork(
        name, num_classes=2, positive_index=1, drop_rate=0.0, drop_path_rate=0.0, image_size=64
    )
    torch.nn.init.normal_(built.head.cell.weight)
    return built.eval()


@pytest.mark.parametrize(("name", "size"), [("resnet10t", (533, 401)), ("tf_efficientnet_lite0", (260, 660))])
def test_pieces_fit_without_seams(name: str, size: tuple[int, int]) -> None:
    local = network(name)

    @torch.inference_mode()
    def cells(images: torch.Tensor) -> torch.Tensor:
        return local.cells(images.float() / 255)

    pixels = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    far = reach(local.cells)
    assert 30 < far < 320
    once = cells(torch.from_numpy(pixels.transpose(2, 0, 1))[None])[0, 0].numpy()
    parted = cell_map(cells, pixels, reach_px=far, piece_px=256)
    assert once.std() > 0.01
    np.testing.assert_allclose(parted, once, atol=1e-4)
    blind = cell_map(cells, pixels, reach_px=0, piece_px=256)
    assert np.abs(blind - once).max() > 1e-3


def test_a_network_that_averages_over_all_it_sees_is_refused() -> None:
    with pytest.raises(ConfigError, match="looks further than 320 px"):
        reach(network("mobilenetv3_small_050").cells)


def test_tiles_cover_every_cell_once() -> None:
    cells = np.arange(7 * 11, dtype=np.float32).reshape(7, 11)
    tiles = tile_scores(cells, tile_px=30)
    assert sorted(value for _, _, part in tiles for value in part.ravel()) == cells.ravel().tolist()
    assert [(top, left) for top, left, _ in tiles[:5]] == [(0, 0), (0, 24), (0, 48), (0, 72), (24, 0)]


def test_an_overlay_colours_likely_cracks_alone() -> None:
    cells = np.zeros((4, 5), np.float32)
    cells[1, 2] = 1.0
    pixels = np.full((30, 37, 3), 100, np.uint8)
    shown = overlaid(cells, pixels)
    assert shown.shape == pixels.shape
    assert (shown[20:] == 100).all()
    assert shown[12, 20, 0] > 150
    assert shown[12, 20, 1] < 100
