"""Colours, axes and files of figures, drawn without pyplot and its global state.

The colours are Okabe and Ito's, which colour-blind readers can distinguish; lines also differ in style.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import PercentFormatter

from crack_lightning.runtime.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

BLUE, ORANGE, GREEN, PURPLE, SKY, GOLD = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
GREY = "#767676"
DPI = 110


def panel(title: str, x: str, y: str, *, size: tuple[float, float] = (6.4, 4.8)) -> tuple[Figure, Axes]:
    """Return a figure with one pair of labelled axes; the size is in inches."""
    figure = Figure(figsize=size, dpi=DPI, layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1))
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=13)
    axes.set_xlabel(x, fontsize=11)
    axes.set_ylabel(y, fontsize=11)
    axes.grid(visible=True, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def as_percent(axes: Axes) -> None:
    """Label the ticks of both axes in per cent."""
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=" %"))


def short(text: str, limit: int = 18) -> str:
    """Shorten a text, and escape dollar signs, which start a formula in matplotlib."""
    text = text.replace("$", r"\$")
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as PNG, atomically."""
    with atomic_write(path) as temporary:
        figure.savefig(temporary, format="png")
