"""Contents of a report besides predictions; they can be pickled, and need no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class ReportTiles:
    """Tiles for the pictures of a report.

    Attributes:
        example_image: Training tiles, uint8 ``(M, 3, H, W)``.
        example_label: Their classes, int64 ``(M,)``.
        augmented_image: One training tile and then augmentations of it, uint8 ``(A, 3, H, W)``.
    """

    example_image: NDArray[np.uint8]
    example_label: NDArray[np.int64]
    augmented_image: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Explanations:
    """Explanations of a model in a report.

    Attributes:
        method: Method of the maps.
        shown: Tiles by title, as ``named_tiles`` returns them.
        maps: Evidence maps by path of a shown tile, float32 ``(h, w)``.
        localisation: Localisation skill; ``None`` if no test tile has a mask.
    """

    method: str
    shown: dict[str, list[dict[str, Any]]]
    maps: dict[str, NDArray[np.float32]]
    localisation: dict[str, Any] | None
