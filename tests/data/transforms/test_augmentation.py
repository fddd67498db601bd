from __future__ import annotations

import math
import multiprocessing
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from crack_lightning.data.transforms.augmentation import Augmentation
from crack_lightning.data.transforms.counter_rng import hash_key, pixel_noise, uniform
from tests.data.transforms.rough_tiles import rough_tiles as tiles

if TYPE_CHECKING:
    from collections.abc import Iterator

EVERYTHING: dict[str, Any] = {
    "flip": True,
    "quarter_turns": True,
    "rotation_deg": 30,
    "scale": (0.7, 1.5),
    "translate": 0.1,
    "brightness": 0.4,
    "contrast": 0.4,
    "saturation": 0.5,
    "hue": 0.1,
    "blur_probability": 0.6,
    "noise_std": 0.05,
    "jpeg_probability": 0.5,
    "shadow_probability": 0.6,
    "erasing_probability": 0.6,
}
# Each option alone, at a strength that changes every tile or nearly.
OPTIONS: list[dict[str, Any]] = [
    {name: 1.0 if name.endswith("_probability") else value} for name, value in EVERYTHING.items()
]


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("shape", [(37, 37), (24, 40)])
def test_everything_off_changes_no_pixel(shape: tuple[int, int]) -> None:
    images = tiles(5, *shape)
    out = Augmentation()(images, torch.arange(5), seed=1, epoch=2)
    assert out.dtype == torch.float32
    assert torch.equal(out, images.float() / 255)


@pytest.mark.parametrize("options", [EVERYTHING, *OPTIONS], ids=lambda options: "+".join(options)[:24])
def test_a_tile_is_the_same_alone_and_in_every_batch(options: dict[str, Any], two_threads: None) -> None:
    # No multiple of the vector length, and enough pixels for torch to split even one tile over threads.
    images, index = tiles(32, 111, 111), torch.arange(32) * 1009
    augment = Augmentation(**options)
    whole = augment(images, index, seed=3, epoch=4)
    for size in (1, 2, 7):
        spans = [slice(start, start + size) for start in range(0, 32, size)]
        parts = [augment(images[span], index[span], seed=3, epoch=4) for span in spans]
        assert torch.equal(torch.cat(parts), whole)
    order = torch.from_numpy(np.random.default_rng(0).permutation(32))
    assert torch.equal(augment(images[order], index[order], seed=3, epoch=4), whole[order])
    torch.set_num_threads(1)
    assert torch.equal(augment(images, index, seed=3, epoch=4), whole)


def augmented_in_another_process(start: int) -> Any:
    torch.set_num_threads(1)
    chosen = slice(start, start + 3)
    out = Augmentation(**EVERYTHING)(tiles(6)[chosen], torch.arange(6)[chosen], seed=3, epoch=4)
    return out.numpy()


@pytest.mark.slow
def test_a_tile_is_the_same_in_every_worker() -> None:
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        parts = pool.map(augmented_in_another_process, [0, 3])
    here = Augmentation(**EVERYTHING)(tiles(6), torch.arange(6), seed=3, epoch=4)
    assert torch.equal(torch.from_numpy(np.concatenate(parts)), here)


@pytest.mark.parametrize("options", OPTIONS, ids=lambda options: next(iter(options)))
def test_every_option_differs_between_tiles_epochs_and_seeds(options: dict[str, Any]) -> None:
    images, index = tiles(1).expand(12, -1, -1, -1), torch.arange(12)
    augment = Augmentation(**options)
    first = augment(images, index, seed=0, epoch=0)
    assert not torch.equal(first, images.float() / 255)
    assert not torch.equal(first[1:], first[:-1])
    assert not torch.equal(augment(images, index, seed=0, epoch=1), first)
    assert not torch.equal(augment(images, index, seed=1, epoch=0), first)


def test_results_stay_in_range_and_the_input_stays_whole() -> None:
    images = tiles(16)
    before = images.clone()
    out = Augmentation(**EVERYTHING)(images, torch.arange(16), seed=0, epoch=0)
    assert out.shape == images.shape
    assert out.dtype == torch.float32
    assert out.min() >= 0
    assert out.max() <= 1
    assert torch.equal(images, before)


def test_no_global_generator_is_touched() -> None:
    states = torch.get_rng_state(), random.getstate(), repr(np.random.get_state())  # noqa: NPY002
    Augmentation(**EVERYTHING)(tiles(8), torch.arange(8), seed=0, epoch=0)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    assert repr(np.random.get_state()) == states[2]  # noqa: NPY002


def test_one_option_does_not_change_the_draws_of_another() -> None:
    images, index = tiles(8), torch.arange(8)
    flipped = Augmentation(flip=True)(images, index, seed=0, epoch=0)
    darker = Augmentation(flip=True, shadow_probability=1.0)(images, index, seed=0, epoch=0)
    assert (darker <= flipped).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_the_gpu_draws_as_the_cpu_does() -> None:
    index = torch.arange(64)
    assert torch.equal(uniform(1, 2, index.cuda(), 3).cpu(), uniform(1, 2, index, 3))
    key = hash_key(1, 2, index, 3)
    assert torch.equal(pixel_noise(key.cuda(), 999).cpu(), pixel_noise(key, 999))
    augment = Augmentation(**EVERYTHING | {"jpeg_probability": 0.0})
    images = tiles(64)
    there = augment(images.cuda(), index.cuda(), seed=1, epoch=2).cpu()
    assert (there - augment(images, index, seed=1, epoch=2)).abs().mean() < 1e-4


@pytest.mark.parametrize(
    ("flip", "width", "quarters"), [(True, 37, (0, 1, 2, 3)), (False, 37, (0, 1, 2, 3)), (False, 45, (0, 2))]
)
def test_flips_and_quarter_turns_only_move_pixels(
    width: int, quarters: tuple[int, ...], *, flip: bool
) -> None:
    image = tiles(1, 37, width)[0]
    out = Augmentation(flip=flip, quarter_turns=True)(
        image.expand(200, -1, -1, -1), torch.arange(200), seed=0, epoch=0
    )
    turned = [image.rot90(turns, (1, 2)).float() / 255 for turns in quarters]
    symmetries = [*turned, *(tile.flip(2) for tile in turned if flip)]
    counts = [sum(torch.equal(tile, symmetry) for tile in out) for symmetry in symmetries]
    assert sum(counts) == 200
    assert min(counts) > 8  # at least 25 expected, standard deviation 4.7


def test_no_black_corner_appears() -> None:
    images = torch.full((16, 3, 32, 32), 200, dtype=torch.uint8)
    augment = Augmentation(rotation_deg=45, scale=(0.5, 1.0), translate=0.3)
    out = augment(images, torch.arange(16), seed=0, epoch=0)
    assert torch.allclose(out, torch.tensor(200 / 255), atol=1e-5)


@pytest.mark.parametrize(
    "options", [{f"{name}_probability": 0.25} for name in ("blur", "jpeg", "shadow", "erasing")], ids="".join
)
def test_a_probability_is_the_share_of_tiles_changed(options: dict[str, Any]) -> None:
    images = tiles(1, 16, 16).expand(400, -1, -1, -1)
    out = Augmentation(**options)(images, torch.arange(400), seed=0, epoch=0)
    changed = (out - images.float() / 255).abs().amax((1, 2, 3)) > 1e-4
    assert changed.float().mean().item() == pytest.approx(0.25, abs=4 * math.sqrt(0.25 * 0.75 / 400))


def test_light_colour_and_grain_leave_a_dark_line_dark_and_where_it_is() -> None:
    images = tiles(64, 48, 48) // 4 + 110  # a wall of little contrast
    images[..., 22:26] -= 60
    moves = ("flip", "quarter_turns", "rotation_deg", "scale", "translate", "erasing_probability")
    options = {key: value for key, value in EVERYTHING.items() if key not in moves}
    columns = Augmentation(**options)(images, torch.arange(64), seed=0, epoch=0).mean((1, 2))
    line, left, right = (columns[:, part].mean(1) for part in (slice(22, 26), slice(14, 18), slice(30, 34)))
    assert (line < torch.minimum(left, right) - 0.02).all()


def test_masks_move_as_the_images_do_and_the_images_as_without_them() -> None:
    images, index = tiles(6), torch.arange(6)
    masks = (images.float().mean(1, keepdim=True) > 128).to(torch.uint8) * 255
    augment = Augmentation(**EVERYTHING)
    both, moved = augment.with_masks(images, masks, index, seed=1, epoch=2)
    torch.testing.assert_close(both, augment(images, index, seed=1, epoch=2))
    assert moved.shape == (6, 1, 37, 37)
    shape = {key: EVERYTHING[key] for key in ("flip", "quarter_turns", "rotation_deg", "scale", "translate")}
    as_image = Augmentation(**shape)(masks.expand(-1, 3, -1, -1), index, seed=1, epoch=2)
    torch.testing.assert_close(
        Augmentation(**shape).with_masks(images, masks, index, seed=1, epoch=2)[1][:, 0], as_image[:, 0]
    )


def test_what_is_erased_from_a_tile_is_erased_from_its_mask() -> None:
    images, masks = tiles(8), torch.full((8, 1, 37, 37), 255, dtype=torch.uint8)
    erase = Augmentation(erasing_probability=1.0)
    shown, moved = erase.with_masks(images, masks, torch.arange(8), seed=0, epoch=0)
    gone = moved == 0
    kept = (shown == images.float() / 255).all(dim=1, keepdim=True)
    assert gone.flatten(1).any(dim=1).all()
    assert kept[~gone].all()
