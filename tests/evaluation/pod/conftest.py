"""Simulated cracks: widths in pixels, and whether each is detected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from scipy.special import expit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Hits = NDArray[np.bool_]
    Draw = Callable[..., tuple[Floats, Hits]]
    RandomSets = Callable[[str, int], Iterator[tuple[Floats, Hits]]]


@pytest.fixture
def draw_cracks() -> Draw:
    """Return a function that simulates cracks of a known curve: a50 of 2 px and a slope of 4."""

    def draw(number: int = 300) -> tuple[Floats, Hits]:
        rng = np.random.default_rng(0)
        width = np.exp(rng.uniform(np.log(0.7), np.log(12), number))
        return width, rng.random(number) < expit(4 * np.log(width / 2))

    return draw


@pytest.fixture
def random_sets() -> RandomSets:
    """Return a function that yields log widths and hits: few and many, steep and flat, rounded widths."""

    def draw(distribution: str, number: int) -> Iterator[tuple[Floats, Hits]]:
        rng = np.random.default_rng(len(distribution))
        for place in range(number):
            width = widths(rng, int(rng.integers(60, 400)))[distribution]
            x = np.log(np.round(width) + 0.5 if place % 5 == 0 else width)
            hit = rng.random(len(x)) < expit(rng.uniform(1, 8) * (x - np.log(rng.uniform(0.7, 5))))
            yield x, hit

    return draw


def widths(rng: np.random.Generator, number: int) -> dict[str, Floats]:
    """Return widths by distribution; "default" is that of ``data=synthetic``: few hairlines, most wide."""
    typical = np.where(rng.random(number) < 0.03, rng.uniform(0.7, 1.1, number), rng.uniform(5, 12, number))
    return {
        "log-uniform": np.exp(rng.uniform(np.log(0.7), np.log(12), number)),
        "uniform": rng.uniform(0.8, 30, number),
        "default": np.minimum(typical * np.exp(0.2 * rng.standard_normal(number)), 12.0),
    }
