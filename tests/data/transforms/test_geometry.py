from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional

from crack_lightning.data.transforms import geometry


@pytest.mark.parametrize("shape", [(33, 33), (24, 40)])
def test_the_warp_is_the_one_of_affine_grid(shape: tuple[int, int]) -> None:
    height, width = shape
    images = torch.from_numpy(np.random.default_rng(0).random((3, 3, *shape), dtype=np.float32))
    angle, zoom = torch.tensor([20.0, -45.0, 0.0]), torch.tensor([1.3, 0.8, 1.0])
    shift_x, shift_y = torch.tensor([0.1, 0.0, -0.2]), torch.tensor([0.0, 0.05, 0.1])
    cosine, sine = torch.cos(torch.deg2rad(angle)) / zoom, torch.sin(torch.deg2rad(angle)) / zoom
    theta = torch.stack(
        [
            torch.stack([cosine, -sine * height / width, 2 * shift_x], 1),
            torch.stack([sine * width / height, cosine, 2 * shift_y], 1),
        ],
        1,
    )
    grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
    expected = functional.grid_sample(images, grid, "bilinear", "reflection", align_corners=False)
    got = geometry.warp(images, angle_deg=angle, zoom=zoom, shift_x=shift_x, shift_y=shift_y)
    assert torch.allclose(got, expected, atol=1e-4)
