"""What single sources read: how tiles are drawn, and how masks are read and cut."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from crack_lightning.runtime.settings import require_choice, require_range


@dataclass
class SyntheticConfig:
    """What ``data=synthetic`` draws.

    Attributes:
        num_tiles: How many tiles; half of them cracked.
        tile_px: Side of a tile in pixels.
        photo_tiles: Tiles along each side of a photo.
    """

    num_tiles: int = 4000
    tile_px: int = 96
    photo_tiles: int = 2

    def __post_init__(self) -> None:
        require_range("data.drawn.num_tiles", self.num_tiles, low=40)
        require_range("data.drawn.tile_px", self.tile_px, low=64, high=1024)
        require_range("data.drawn.photo_tiles", self.photo_tiles, low=1, high=32)


@dataclass
class MaskedConfig:
    """How ``data=masked_photos`` reads masks and cuts tiles.

    Attributes:
        images: Folders of photos, below ``data.root``.
        masks: Folders of masks, one for each of ``images``; the same where they lie beside the photos.
        mask_suffix: What a mask's name has after the photo's: ``_mask`` for ``a.jpg`` and ``a_mask.png``.
        crack_values: Grey values that are crack.
        crack_from: The least grey value that is crack, instead of ``crack_values``.
        hard_negatives: Grey values of what only looks like a crack; false alarms are counted for each.
        tile_px: Side of a tile in pixels.
        stride_px: Step from tile to tile in pixels; ``None`` is ``tile_px``.
        least_crack_px: Crack pixels from which a tile is cracked; a tile with fewer, but some, is left out.
        mask_width: ``true`` where a mask shows a crack as wide as it is, ``line`` where it is a thin line.
        exif: Of photos that EXIF turns: ``applied`` where their masks are drawn on the turned photo,
            ``ignored`` where on the pixels as stored; ``auto`` goes by the sizes of both.
    """

    images: list[str] = field(default_factory=lambda: ["images"])
    masks: list[str] = field(default_factory=lambda: ["masks"])
    mask_suffix: str = ""
    crack_values: list[int] = field(default_factory=lambda: [255])
    crack_from: int | None = None
    hard_negatives: list[int] = field(default_factory=list)
    tile_px: int = 256
    stride_px: int | None = None
    least_crack_px: int = 60
    mask_width: str = "line"
    exif: str = "auto"

    def __post_init__(self) -> None:
        self.mask_width = self.mask_width.lower()  # YAML's true arrives as True
        require_choice("data.masked.mask_width", self.mask_width, ("true", "line"))
        require_choice("data.masked.exif", self.exif, ("auto", "applied", "ignored"))
        require_range("data.masked.tile_px", self.tile_px, low=16, high=4096)
        require_range("data.masked.least_crack_px", self.least_crack_px, low=1)
        if self.stride_px is not None:
            require_range("data.masked.stride_px", self.stride_px, low=1)
        if self.crack_from is not None:
            require_range("data.masked.crack_from", self.crack_from, low=1, high=2**16 - 1)
        for key in ("crack_values", "hard_negatives"):
            for value in getattr(self, key):
                require_range(f"data.masked.{key}", value, low=0, high=2**16 - 1)

    def rules(self) -> dict[str, Any]:
        """Return the arguments of ``data.sources.masked_photos.MaskRules``."""
        return {**vars(self), "stride_px": self.stride_px or self.tile_px}


@dataclass
class PaintedConfig:
    """What ``data=painted`` paints.

    Attributes:
        num_tiles: How many tiles; half of them cracked.
    """

    num_tiles: int = 12000

    def __post_init__(self) -> None:
        require_range("data.painted.num_tiles", self.num_tiles, low=40)
