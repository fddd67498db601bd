"""Maps score tiles as the classifier does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from crack_lightning.inference.maps.crack_map import CrackMapper
from crack_lightning.model.heads.local import LocalNetwork

if TYPE_CHECKING:
    from collections.abc import Callable

    from crack_lightning.model.classifier import CrackClassifier


@pytest.mark.parametrize("width", [64, 72])
def test_a_tile_of_a_map_is_scored_by_as_many_cells_as_the_classifier_takes(
    build_classifier: Callable[..., CrackClassifier], width: int
) -> None:
    classifier = build_classifier(name="resnet10t", head="local", image_size=64, top_k_fraction=0.25).eval()
    assert isinstance(classifier.backbone, LocalNetwork)
    torch.nn.init.normal_(classifier.backbone.head.cell.weight)
    pixels = np.random.default_rng(0).integers(256, size=(64, width, 3), dtype=np.uint8)
    found = CrackMapper(classifier).map(pixels)
    logits = np.log(found.cells / (1 - found.cells))
    assert [tile[:2] for tile in found.tiles] == [(0, left) for left in sorted({0, width - 64})]
    for tile in found.tiles:
        mean = np.sort(logits[:, tile.left_px // 8 : tile.left_px // 8 + 8].ravel())[-16:].mean()
        assert tile.probability == pytest.approx(1 / (1 + np.exp(-mean)), abs=1e-4)
