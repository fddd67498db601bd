"""Grids of tiles: training examples and augmentations."""

from __future__ import annotations

from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from crack_lightning.report.figures.style import BLUE, DPI, GOLD, GREEN, GREY, ORANGE, PURPLE, SKY, short

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


def augmentations_figure(augmented_image: NDArray[np.uint8]) -> Figure:
    """Draw one tile and augmentations of it, uint8 ``(A, 3, H, W)``, the original first."""
    captions = ["original", *(str(number) for number in range(1, len(augmented_image)))]
    colours = [GREEN] + [GREY] * (len(augmented_image) - 1)
    return tiles_figure(augmented_image, captions, colours, title="One tile and its augmentations")


def class_colours(num_classes: int, positive: int | None) -> list[str]:
    """Return a colour for each class, orange for the positive one."""
    others = cycle([BLUE, GREEN, PURPLE, SKY, GOLD])
    return [ORANGE if k == positive else next(others) for k in range(num_classes)]


def tiles_figure(
    tiles: NDArray[np.uint8], captions: Sequence[str], colours: Sequence[str], *, title: str
) -> Figure:
    """Draw tiles in a grid, the caption above each in the colour of its frame.

    Args:
        tiles: Images, uint8 ``(M, 3, H, W)``; the first 24 are drawn.
        captions: M short texts.
        colours: M colours of the frames.
        title: Heading of the figure.
    """
    shown = min(len(tiles), 24)
    columns = min((6, 5, 4), key=lambda wanted: -shown % wanted) if shown > 6 else max(shown, 1)
    rows = -(-shown // columns)
    width, height = max(1.7 * columns, 3.4), 1.88 * rows + 0.42
    figure = Figure(figsize=(width, height), dpi=DPI)
    figure.suptitle(title, fontsize=12, y=1 - 0.12 / height)
    axes = figure.add_axes((0, 0, 1, 1))  # one for all tiles, in inches: creating axes is slow
    left = (width - 1.7 * columns) / 2
    for cell in range(shown):
        x, y = left + 0.06 + 1.7 * (cell % columns), 0.62 + 1.88 * (cell // columns)
        axes.imshow(np.moveaxis(tiles[cell], 0, -1), extent=(x, x + 1.58, y + 1.58, y))
        axes.add_patch(Rectangle((x, y), 1.58, 1.58, fill=False, edgecolor=colours[cell], linewidth=2))
        caption = short(captions[cell])
        axes.text(x + 0.79, y - 0.06, caption, fontsize=10, color=colours[cell], ha="center", va="bottom")
    axes.set(xlim=(0, width), ylim=(height, 0), aspect="auto")
    axes.set_axis_off()
    return figure
