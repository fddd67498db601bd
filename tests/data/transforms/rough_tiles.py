"""Tiles for the tests of transforms."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional


def rough_tiles(number: int, height: int = 37, width: int = 37) -> torch.Tensor:
    """Smooth colour with grain on it, so that every transform has something to change."""
    rng = np.random.default_rng(0)
    coarse = torch.from_numpy(rng.uniform(40, 215, (number, 3, 5, 5)))
    smooth = functional.interpolate(coarse, (height, width), mode="bilinear")
    grain = torch.from_numpy(rng.normal(0, 8, (number, 3, height, width)))
    return (smooth + grain).clamp(0, 255).to(torch.uint8)
