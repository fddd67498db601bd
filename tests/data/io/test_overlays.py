"""Overlays tint a picture where there is evidence."""

from __future__ import annotations

import numpy as np
import pytest

from crack_lightning.data.io.overlays import overlay


@pytest.mark.parametrize("level", [-3.0, 0.0])
def test_a_picture_without_evidence_is_grey(level: float) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(20, 30, 3), dtype=np.uint8)
    shown = overlay(pixels, np.full((4, 4), level))
    assert shown.shape == pixels.shape
    assert (shown == shown[..., :1]).all()
    assert shown[..., 0] == pytest.approx(pixels @ [0.299, 0.587, 0.114], abs=1)


def test_the_tint_lies_where_the_evidence_is() -> None:
    evidence = np.zeros((4, 4))
    evidence[0, 3] = 5
    shown = overlay(np.full((40, 80, 3), 128, np.uint8), evidence).astype(int)
    reddish = shown[..., 0] - shown[..., 2]
    row, column = np.unravel_index(reddish.argmax(), reddish.shape)
    assert row < 10
    assert column >= 60
    assert reddish[:, :40].max() == 0
    assert reddish[20:].max() == 0
    assert reddish.max() > 80
