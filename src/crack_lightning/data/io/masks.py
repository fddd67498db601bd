"""Settings of pixel masks, and the crack width in a mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from crack_lightning.runtime.settings import check_settings, setting

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_LARGEST_VALUE = 2**16 - 1
_LEAST_LENGTH_PX = 20


@dataclass
class MaskRules:
    """How masks are read and tiles cut."""

    images: list[str] = setting(["images"], "Folders of photos, below `data.root`.", text="plain")
    masks: list[str] = setting(
        ["masks"],
        "Folders of masks, one for each of `images`; the same folder if they lie beside the photos.",
        text="plain",
    )
    mask_suffix: str = setting(
        "", "Suffix of a mask's name after the photo's, as `_mask` for `a.jpg` and `a_mask.png`."
    )
    crack_values: list[int] = setting([255], "Grey values of cracks.", low=0, high=_LARGEST_VALUE)
    crack_from: int | None = setting(
        None, "Lowest grey value of cracks, instead of `crack_values`.", low=1, high=_LARGEST_VALUE
    )
    hard_negatives: list[int] = setting(
        [],
        "Grey values of distractors, which only look like cracks; false alarms are reported for each.",
        low=0,
        high=_LARGEST_VALUE,
    )
    tile_px: int = setting(256, "Side of a tile in pixels.", low=16, high=4096)
    stride_px: int | None = setting(None, "Step from tile to tile in pixels; null is `tile_px`.", low=1)
    least_crack_px: int = setting(
        60,
        "Smallest number of crack pixels of a cracked tile; tiles with fewer, but some, are left out.",
        low=1,
    )
    mask_width: str = setting(
        "line",
        "`true` if masks have the true width of cracks, `line` if they are thin centre lines.",
        choices=("true", "line"),
    )
    exif: str = setting(
        "auto",
        "Masks of photos with an EXIF orientation: `applied` if they are drawn on the rotated photo, "
        "`ignored` if on the stored pixels; `auto` compares the sizes of mask and photo.",
        choices=("auto", "applied", "ignored"),
    )
    prefix: ClassVar[str] = "data.masked"

    def __post_init__(self) -> None:
        self.mask_width = self.mask_width.lower()  # YAML's true arrives as True
        check_settings(self, self.prefix)

    @property
    def step_px(self) -> int:
        """The step from tile to tile, pixels."""
        return self.stride_px or self.tile_px

    @property
    def background(self) -> int:
        """Grey value of the background: 0, or 255 where 0 is declared as something else."""
        return 255 if 0 in (*self.crack_values, *self.hard_negatives) else 0

    def undeclared(self, value: int) -> bool:
        """Return whether a grey value is neither background nor declared."""
        below = self.crack_from is None or value < self.crack_from
        named = (self.background, *self.hard_negatives, *(() if self.crack_from else self.crack_values))
        return below and value not in named

    def is_crack(self, mask: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Return which pixels are crack, bool ``(H, W)``."""
        import numpy as np

        if self.crack_from is not None:
            return np.asarray(mask >= self.crack_from)
        return np.isin(mask, self.crack_values)


def crack_width(crack: NDArray[np.bool_]) -> float:
    """Return the 95th percentile of a crack's local width along its centre line, pixels.

    Args:
        crack: Which pixels are crack, bool ``(H, W)``.

    Returns:
        The width; NaN where the centre line is shorter than 20 px. Half a width is the distance from the
        centre line to the nearest background pixel, less half a pixel.
    """
    import cv2
    import numpy as np
    from skimage.morphology import skeletonize

    line = skeletonize(crack)  # type: ignore[no-untyped-call]
    if line.sum() < _LEAST_LENGTH_PX:
        return float("nan")
    distance = cv2.distanceTransform(np.pad(crack, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, 5)[
        1:-1, 1:-1
    ]
    return float(np.quantile(2 * distance[line] - 1, 0.95))
