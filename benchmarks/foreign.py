"""Drawn pictures of anything but concrete, in many kinds, for choosing and testing how such are told.

Some kinds are for choosing (``foreign_chosen_on``), the others are kept back for the test
(``foreign_kept_back``, and ``foreign_kept_back_anew``, drawn after those had been seen). Every fourth picture
is grey, as concrete is, but for the kinds that are like concrete without their colour.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

    Rng = np.random.Generator
    Picture = NDArray[np.uint8]
    Painter = Callable[[Rng, int], Picture]

SEED = 31
_COLOUR_ALONE = ("gradient", "coloured noise", "flat colour")


def foreign_pictures(
    kinds: Mapping[str, Painter], *, each: int, size_px: int
) -> Iterator[tuple[str, Picture]]:
    """Yield the kind of each picture and the picture, RGB uint8 ``(S, S, 3)``; every fourth is grey."""
    for name, paint in kinds.items():
        for number in range(each):
            picture = paint(np.random.default_rng([SEED, *name.encode(), number]), size_px)
            if number % 4 == 3 and name not in _COLOUR_ALONE:
                grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
                picture = np.repeat(grey[..., None], 3, axis=2)
            yield name, picture
