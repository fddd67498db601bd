from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from crack_lightning.data.transforms import photometry
from crack_lightning.data.transforms.counter_rng import hash_key
from tests.data.transforms.rough_tiles import rough_tiles as tiles


def recoloured(images: Tensor, **factors: Tensor) -> Tensor:
    one = torch.ones(len(images))
    same = {"brightness": one, "contrast": one, "saturation": one, "hue": 0 * one}
    return photometry.recolour(images, images.mean((2, 3)), **(same | factors))


def luma(images: Tensor) -> Tensor:
    return 0.213 * images[:, 0] + 0.715 * images[:, 1] + 0.072 * images[:, 2]


def test_channel_means_are_exact() -> None:
    images = tiles(3)
    expected = images.numpy().mean((2, 3), dtype=np.float64) / 255
    assert photometry.channel_means(images).numpy() == pytest.approx(expected, rel=1e-6)


def test_factors_of_one_leave_the_colours() -> None:
    images = tiles(3).float() / 255
    assert torch.allclose(recoloured(images), images, atol=1e-3)


def test_brightness_multiplies() -> None:
    images = tiles(2).float() / 255 / 2
    out = recoloured(images, brightness=torch.tensor([0.5, 1.5]))
    assert torch.allclose(out, images * torch.tensor([0.5, 1.5]).view(2, 1, 1, 1), atol=1e-3)


def test_contrast_spreads_about_the_mean_luma() -> None:
    images = tiles(2).float() / 255 / 2 + 0.25
    out = recoloured(images, contrast=torch.tensor([0.5, 1.4]))
    assert torch.allclose(luma(out).mean((1, 2)), luma(images).mean((1, 2)), atol=1e-3)
    assert torch.allclose(
        luma(out).std((1, 2)) / luma(images).std((1, 2)), torch.tensor([0.5, 1.4]), atol=1e-2
    )


def test_saturation_of_zero_is_grey_with_the_same_luma() -> None:
    images = tiles(1).float() / 255
    out = recoloured(images, saturation=torch.zeros(1))
    for channel in range(3):
        assert torch.allclose(out[:, channel], luma(images), atol=1e-3)


def test_hue_turns_around_and_leaves_grey_and_luma() -> None:
    images = tiles(1).float() / 255 / 4 + 0.4
    turned = recoloured(images, hue=torch.tensor([0.25]))
    assert torch.allclose(luma(turned), luma(images), atol=1e-3)
    assert not torch.allclose(turned, images, atol=0.02)
    back = recoloured(turned, hue=torch.tensor([-0.25]))
    assert torch.allclose(back, images, atol=5e-3)
    grey = images[:, :1].expand(-1, 3, -1, -1)
    assert torch.allclose(recoloured(grey, hue=torch.tensor([0.3])), grey, atol=1e-3)


def test_blur_is_a_gaussian_of_each_tile() -> None:
    images, sigmas = tiles(3).float() / 255, (0.4, 0.9, 1.3)
    out = photometry.blur(images, torch.tensor(sigmas), radius=4)
    for tile, got, sigma in zip(images, out, sigmas, strict=True):
        weights = torch.exp(-0.5 * (torch.arange(-4.0, 5.0) / sigma) ** 2)
        kernel = torch.outer(weights, weights) / weights.sum() ** 2
        padded = functional.pad(tile.unsqueeze(1), (4, 4, 4, 4), mode="reflect")
        assert torch.allclose(functional.conv2d(padded, kernel[None, None]).squeeze(1), got, atol=1e-5)


def test_blur_takes_tiles_smaller_than_its_kernel() -> None:
    images = torch.full((1, 3, 3, 3), 0.5)
    assert torch.allclose(photometry.blur(images, torch.tensor([2.0]), radius=6), images)


def test_noise_has_the_asked_deviation() -> None:
    images = torch.full((2, 3, 64, 64), 0.5)
    out = photometry.add_noise(images, hash_key(0, 0, torch.arange(2), 0), torch.tensor([0.02, 0.1]))
    assert (out - 0.5).std((1, 2, 3)) == pytest.approx(torch.tensor([0.02, 0.1]), rel=0.03)


def test_jpeg_costs_more_detail_at_lower_quality() -> None:
    images = tiles(1).float().expand(2, -1, -1, -1) / 255
    out = photometry.compress(images, torch.tensor([30, 95]))
    errors = (out - images).abs().mean((1, 2, 3))
    assert 0 < errors[1] < errors[0] < 0.1


def test_a_shadow_darkens_one_side_by_its_depth() -> None:
    images = torch.full((1, 3, 40, 40), 0.8)
    out = photometry.cast_shadow(
        images,
        angle_deg=torch.zeros(1),
        offset=torch.zeros(1),
        softness=torch.tensor([0.1]),
        depth=torch.tensor([0.25]),
    )
    assert torch.allclose(out[..., :17], torch.tensor(0.8))
    assert torch.allclose(out[..., 23:], torch.tensor(0.6))
    assert (out.diff(dim=3) <= 1e-6).all()


def test_erasing_covers_the_asked_area_with_the_fill() -> None:
    images = tiles(1, 64, 64).float() / 255
    fill = torch.tensor([[2.0, 3.0, 4.0]])
    for x, y in ((0.0, 0.0), (1.0, 1.0), (0.3, 0.8)):
        out = photometry.erase(
            images,
            fill,
            area=torch.tensor([0.1]),
            aspect=torch.tensor([1.6]),
            x=torch.tensor([x]),
            y=torch.tensor([y]),
        )
        covered = out[0, 0] == 2
        assert covered.float().mean().item() == pytest.approx(0.1, abs=0.02)
        assert torch.equal(out[:, :, ~covered], images[:, :, ~covered])
        assert (out[0, 2, covered] == 4).all()
