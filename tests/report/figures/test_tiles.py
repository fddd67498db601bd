from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from crack_lightning.report.figures.tiles import tiles_figure

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Render = Callable[[Figure], NDArray[np.uint8]]


@pytest.mark.parametrize("count", [1, 5, 10, 12, 30])
def test_tiles_stand_unchanged_in_a_grid_of_24_at_most(count: int, render_figure: Render) -> None:
    tiles = np.random.default_rng(1).integers(256, size=(count, 3, 8, 8), dtype=np.uint8)
    captions = [f"${number}" for number in range(count)]
    figure = tiles_figure(tiles, captions, ["#000000"] * count, title="Tiles")
    [axes] = figure.axes
    assert len(axes.images) == len(axes.patches) == len(axes.texts) == min(count, 24)
    assert np.array_equal(
        np.asarray(axes.images[-1].get_array()), tiles[min(count, 24) - 1].transpose(1, 2, 0)
    )
    assert render_figure(figure).std() > 0
