"""Explanations keep a photo's aspect; those of a local head are tinted where its map has a crack."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest

from crack_lightning.inference.explanation_images import AspectExplainer, MapExplainer
from crack_lightning.inference.maps.crack_map import CrackMap, MapTile, crack_pixels

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray


class BrightnessExplainer:
    """An explainer whose evidence is brightness; it keeps its last image."""

    method = "brightness"

    def __init__(self, *, any_size: bool = True) -> None:
        self.any_size = any_size

    def __call__(self, images: torch.Tensor, of_class: torch.Tensor) -> torch.Tensor:
        self.image, self.of_class = images, of_class
        return images.float().mean(1) - 128


@pytest.mark.parametrize(("height", "width"), [(100, 400), (600, 200), (300, 300)])
def test_a_photo_is_explained_at_its_own_aspect(height: int, width: int) -> None:
    explainer, photo = BrightnessExplainer(), np.zeros((height, width, 3), np.uint8)
    photo[height // 4 : height // 2, width // 4 : width // 2] = 255
    shown = AspectExplainer(cast("Any", explainer), image_size=256)(photo, 1)
    _, _, tall, wide = explainer.image.shape
    assert (tall / wide) / (height / width) == pytest.approx(1, abs=0.2)
    assert tall * wide == pytest.approx(256**2, rel=0.25)
    assert explainer.of_class.tolist() == [1]
    assert shown.shape == photo.shape
    rows, columns = np.nonzero(shown[..., 0] != shown[..., 2])
    middle = rows.mean() / height, columns.mean() / width
    assert middle == pytest.approx((0.375, 0.375), abs=0.02)


def test_a_network_of_a_fixed_size_explains_a_photo_on_its_square() -> None:
    explainer, photo = BrightnessExplainer(any_size=False), np.zeros((100, 400, 3), np.uint8)
    assert AspectExplainer(cast("Any", explainer), image_size=64)(photo, 1).shape == photo.shape
    assert explainer.image.shape == (1, 3, 64, 64)


class Mapper:
    """A mapper with one likely cell in a tile predicted as crack, and one in a tile predicted as intact."""

    threshold = 0.5

    def map(self, _: NDArray[np.uint8]) -> CrackMap:
        cells = np.full((4, 8), 0.4, np.float32)
        cells[1, 1] = cells[2, 6] = 0.9
        tiles = [MapTile(0, 0, 32, 32, 0.7), MapTile(0, 32, 32, 32, 0.3)]
        return CrackMap(cells=cells, tiles=tiles, covered=(4, 8))


def test_a_local_head_is_explained_by_its_map_and_tinted_only_inside_its_outlines() -> None:
    mapper, photo = Mapper(), np.full((32, 64, 3), 90, np.uint8)
    shown = MapExplainer(cast("Any", mapper))(photo, 1)
    outlined = crack_pixels(mapper.map(photo), (32, 64), threshold=0.5)
    tinted = (shown != 90).any(axis=2)
    assert tinted[12, 12]
    assert not (tinted & ~outlined).any()


def test_a_photo_that_is_predicted_intact_has_no_tint() -> None:
    mapper, photo = Mapper(), np.full((32, 64, 3), 90, np.uint8)
    mapper.threshold = 0.8
    assert (MapExplainer(cast("Any", mapper))(photo, 1) == 90).all()
