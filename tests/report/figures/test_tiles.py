from __future__ import annotations

import numpy as np
import pytest

from crack_lightning.report.figures.style import figure_to_array
from crack_lightning.report.figures.tiles import tiles_figure


@pytest.mark.parametrize("count", [1, 5, 10, 12, 30])
def test_tiles_stand_unchanged_in_a_grid_of_24_at_most(count: int) -> None:
    tiles = np.random.default_rng(1).integers(256, size=(count, 3, 8, 8), dtype=np.uint8)
    captions = [f"${number}" for number in range(count)]
    figure = tiles_figure(tiles, captions, ["#000000"] * count, title="Tiles")
    [axes] = figure.axes
    assert len(axes.images) == len(axes.patches) == len(axes.texts) == min(count, 24)
    assert np.array_equal(
        np.asarray(axes.images[-1].get_array()), tiles[min(count, 24) - 1].transpose(1, 2, 0)
    )
    assert figure_to_array(figure).std() > 0
