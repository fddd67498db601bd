"""Each tile of a map has the OOD score that the predictor gives the tile alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

from crack_lightning.inference.maps.crack_map import CrackMapper
from crack_lightning.inference.predictor import Predictor
from crack_lightning.model.ood.detector import OODDetector
from crack_lightning.model.ood.image_statistics import image_statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from crack_lightning.model.classifier import CrackClassifier


def concrete(height: int, width: int, *, seed: int = 0) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    grey = rng.normal(140, 12, (height, width, 1)).repeat(3, axis=2)
    return np.clip(grey + rng.normal(0, 2, (height, width, 3)), 0, 255).astype(np.uint8)


@pytest.fixture
def model(local_model: Callable[..., CrackClassifier]) -> CrackClassifier:
    built = local_model()
    tiles = [torch.from_numpy(concrete(64, 64, seed=seed)).permute(2, 0, 1) for seed in range(1, 241)]
    inputs = image_statistics(torch.stack(tiles))
    built.ood_detector = OODDetector.fit(inputs[:120], inputs[120:])
    return built


def test_a_photo_of_one_tile_has_the_ood_score_of_that_tile(model: CrackClassifier) -> None:
    pixels = concrete(64, 64)
    [tile] = CrackMapper(model).map(pixels).tiles
    assert tile.ood_score == pytest.approx(Predictor(model).predict([pixels]).ood_score[0], rel=1e-5)
    assert tile.ood_score < 1.5


def test_out_of_distribution_tiles_of_a_photo_score_above_1(model: CrackClassifier) -> None:
    pixels = concrete(128, 320)
    pixels[:, 192:] = np.random.default_rng(0).integers(0, 2, (128, 128, 3)) * 255
    found = {(tile.top_px, tile.left_px): tile.ood_score for tile in CrackMapper(model).map(pixels).tiles}
    assert min(ood_score for (_, left), ood_score in found.items() if left >= 192) > 2
    assert max(ood_score for (_, left), ood_score in found.items() if left < 128) < 1.5


def test_pieces_and_scales_leave_ood_scores_as_they_are(model: CrackClassifier) -> None:
    pixels = concrete(400, 500)
    at_once = [tile.ood_score for tile in CrackMapper(model).map(pixels).tiles]
    in_pieces = [tile.ood_score for tile in CrackMapper(model, piece_px=288).map(pixels).tiles]
    np.testing.assert_allclose(in_pieces, at_once, rtol=1e-5)
    small = np.array(Image.fromarray(pixels).resize((350, 280), Image.Resampling.BILINEAR))
    scaled = [tile.ood_score for tile in CrackMapper(model, scale=0.7).map(pixels).tiles]
    resized = [tile.ood_score for tile in CrackMapper(model).map(small).tiles]
    np.testing.assert_allclose(scaled, resized, rtol=3e-2)


def test_a_photo_smaller_than_a_tile_has_an_ood_score(model: CrackClassifier) -> None:
    [tile] = CrackMapper(model).map(concrete(20, 37)).tiles
    assert np.isfinite(tile.ood_score)
    model.ood_detector = None
    assert np.isnan(CrackMapper(model).map(concrete(20, 37)).tiles[0].ood_score)
