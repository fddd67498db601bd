"""Photos are mapped at the scale of training and scored as tiles are; places are in pixels of the photo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from crack_lightning.inference.maps.crack_map import CrackMapper, photo_probability
from crack_lightning.inference.maps.scaled_photo import ScaledPhoto, TooSmallError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from crack_lightning.model.classifier import CrackClassifier

    Build = Callable[..., CrackClassifier]

SIZES = [(151, 233), (64, 500), (37, 21), (333, 130)]


def photo(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(height).integers(256, size=(height, width, 3), dtype=np.uint8)


def resized(pixels: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    size = [max(1, round(side * scale)) for side in (pixels.shape[1], pixels.shape[0])]
    return np.asarray(Image.fromarray(pixels).resize((size[0], size[1]), Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.42, 1.41, 2.0])
def test_a_photo_gives_the_map_of_the_photo_resized_to_the_scale_of_training(
    local_model: Build, size: tuple[int, int], scale: float
) -> None:
    pixels, trained = photo(*size), local_model(train_scale=scale)
    found = CrackMapper(trained).map(pixels)
    expected = CrackMapper(local_model()).map(resized(pixels, scale))
    np.testing.assert_allclose(found.cells, expected.cells, atol=1e-6)
    np.testing.assert_allclose(
        [tile.probability for tile in found.tiles], [tile.probability for tile in expected.tiles], atol=1e-6
    )
    native = CrackMapper(trained, scale=1.0).map(pixels)
    np.testing.assert_array_equal(native.cells, CrackMapper(local_model()).map(pixels).cells)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scale", [0.42, 1.0, 1.41, 3.3])
def test_the_tiles_of_a_map_cover_every_pixel_of_the_photo_and_none_beyond(
    local_model: Build, size: tuple[int, int], scale: float
) -> None:
    found = CrackMapper(local_model(train_scale=scale)).map(photo(*size))
    seen = np.zeros(size, int)
    for tile in found.tiles:
        assert 0 <= tile.top_px < tile.top_px + tile.height_px <= size[0]
        assert 0 <= tile.left_px < tile.left_px + tile.width_px <= size[1]
        assert tile.height_px == pytest.approx(min(64 / scale, size[0]), abs=9 / scale)
        seen[tile.top_px : tile.top_px + tile.height_px, tile.left_px : tile.left_px + tile.width_px] += 1
    assert seen.min() >= 1
    assert photo_probability(found, size).shape == size


@pytest.mark.parametrize("scale", [0.5, 1.41])
def test_an_overlay_is_coloured_where_the_crack_is_in_the_photo(local_model: Build, scale: float) -> None:
    pixels = np.full((240, 320, 3), 100, np.uint8)
    found = CrackMapper(local_model(train_scale=scale)).map(pixels)
    found.cells[:] = 0
    row, column = round(90 * scale / 8 - 0.5), round(200 * scale / 8 - 0.5)
    found.cells[row, column] = 1
    likely = np.argwhere(photo_probability(found, pixels.shape[:2]) > 0.3)
    expected = (row + 0.5) * 8 / scale, (column + 0.5) * 8 / scale
    np.testing.assert_allclose(likely.mean(axis=0) + 0.5, expected, atol=0.7)


@pytest.mark.parametrize("scale", [0.42, 1.41, 3.3])
def test_a_photo_resized_window_by_window_is_the_photo_resized_at_once(scale: float) -> None:
    scaled = ScaledPhoto(pixels=photo(401, 277), scale=scale)
    whole = resized(scaled.pixels, scale).astype(int)
    assert scaled.shape == whole.shape[:2]
    for top in range(0, whole.shape[0], 48):
        for left in range(0, whole.shape[1], 64):
            part = scaled.window(slice(top, top + 48), slice(left, left + 64))
            difference = np.abs(part - whole[top : top + 48, left : left + 64])
            assert difference.max() <= 1
            assert difference.mean() < 0.01


def test_a_large_photo_is_never_resized_as_a_whole(
    local_model: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, resize = [], Image.Image.resize

    def watched(image: Image.Image, size: tuple[int, int], *args: object, **how: object) -> Image.Image:
        made.append(size)
        return resize(image, size, *args, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(Image.Image, "resize", watched)
    mapper = CrackMapper(local_model(train_scale=1.5))
    piece_px = -(-(4 * mapper.reach_px) // 16) * 16
    CrackMapper(local_model(train_scale=1.5), piece_px=piece_px).map(photo(piece_px, 2 * piece_px))
    assert len(made) > 2
    assert max(max(size) for size in made) <= piece_px


def test_a_scale_that_leaves_less_than_a_cell_is_refused_with_a_sentence(
    local_model: Build,
) -> None:
    with pytest.raises(TooSmallError, match=r"at scale 0\.01 the photo of 500 x 400 px is 5 x 4 px"):
        CrackMapper(local_model(train_scale=0.01)).map(photo(400, 500))
    small = CrackMapper(local_model()).map(photo(5, 300))
    assert small.cells.shape == (1, 38)


def test_a_checkpoint_without_a_scale_maps_a_photo_as_it_is(
    local_model: Build,
) -> None:
    older = local_model()
    del older.hparams["train_scale"]
    assert CrackMapper(older).scale == 1
    assert CrackMapper(local_model(train_scale=0.7)).scale == 0.7
    assert CrackMapper(local_model(train_scale=0.7), scale=2.5).scale == 2.5


@pytest.mark.parametrize("width", [64, 72])
def test_a_tile_of_a_map_is_scored_by_as_many_cells_as_the_classifier_takes(
    local_model: Build, width: int
) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(64, width, 3), dtype=np.uint8)
    crack_map = CrackMapper(local_model(top_k_fraction=0.25)).map(pixels)
    logits = np.log(crack_map.cells / (1 - crack_map.cells))
    assert [tile[:2] for tile in crack_map.tiles] == [(0, left) for left in sorted({0, width - 64})]
    for tile in crack_map.tiles:
        mean = np.sort(logits[:, tile.left_px // 8 : tile.left_px // 8 + 8].ravel())[-16:].mean()
        assert tile.probability == pytest.approx(1 / (1 + np.exp(-mean)), abs=1e-4)
