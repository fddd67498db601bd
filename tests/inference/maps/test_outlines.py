"""Outlines mark predicted cracks, in colours that contrast with every concrete."""

from __future__ import annotations

import numpy as np
import pytest

from crack_lightning.inference.maps.crack_map import CrackMap, MapTile, crack_pixels
from crack_lightning.inference.maps.outlines import outlined


def crack_map(*, called: float) -> CrackMap:
    """Two tiles of 32 px side by side, each with one likely cell; the left one's own probability is given."""
    cells = np.zeros((4, 8), np.float32)
    cells[1, 1] = cells[2, 6] = 0.9
    tiles = [MapTile(0, 0, 32, 32, called), MapTile(0, 32, 32, 32, 0.2)]
    return CrackMap(cells=cells, tiles=tiles, covered=(4, 8))


def test_only_likely_cells_of_tiles_that_are_called_are_marked() -> None:
    marked = crack_pixels(crack_map(called=0.6), (32, 64), threshold=0.5)
    assert marked[12, 12]
    assert not marked[:, 32:].any()
    assert not marked[24:].any()


@pytest.mark.parametrize("threshold", [0.59, 0.6, 0.61])
def test_a_photo_is_marked_from_the_threshold_on_that_calls_it(threshold: float) -> None:
    assert crack_pixels(crack_map(called=0.6), (32, 64), threshold=threshold).any() == (threshold <= 0.6)


def luminance(colour: np.ndarray) -> float:
    """Relative luminance (WCAG 2.1)."""
    share = colour.astype(float) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(
    "ground", [(20, 20, 18), (120, 118, 112), (235, 233, 228), (200, 30, 30), (230, 120, 30)]
)
@pytest.mark.parametrize("side", [64, 3000])
def test_a_line_stands_out_on_dark_bright_and_painted_concrete(ground: tuple[int, ...], side: int) -> None:
    photo = np.full((side, side, 3), ground, np.uint8)
    marked = np.zeros((side, side), bool)
    marked[side // 4 : side // 2, side // 4 : side // 2] = True
    shown = outlined(photo, marked)
    drawn = shown[(shown != photo).any(axis=2)].reshape(-1, 3)
    contrasts = []
    for colour in np.unique(drawn, axis=0):
        low, high = sorted([luminance(colour), luminance(np.array(ground))])
        contrasts.append((high + 0.05) / (low + 0.05))
    assert max(contrasts) >= 3  # WCAG 2.1, 1.4.11: what graphics need
    inside = slice(side // 4 + side // 16, side // 2 - side // 16)
    assert (shown[inside, inside] == ground).all()
    assert outlined(photo, np.zeros_like(marked)).tobytes() == photo.tobytes()
