"""Photos with pixel masks (uav75, DeepCrack, Crack500 and the like), cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from crack_lightning.data.sources.shared_settings import RootSettings
from crack_lightning.data.sources.source import LoadContext, Source
from crack_lightning.runtime.settings import check_settings, node, setting

if TYPE_CHECKING:
    from crack_lightning.data.table import TileTable

_CONTENT = "photos and masks"
_LARGEST_VALUE = 2**16 - 1


@dataclass
class MaskSettings:
    """How masks are read and tiles cut."""

    images: list[str] = setting(["images"], "Folders of photos, below `data.root`.")
    masks: list[str] = setting(
        ["masks"], "Folders of masks, one for each of `images`; the same where they lie beside the photos."
    )
    mask_suffix: str = setting(
        "", "What a mask's name has after the photo's: `_mask` for `a.jpg` and `a_mask.png`."
    )
    crack_values: list[int] = setting([255], "Grey values that are crack.", low=0, high=_LARGEST_VALUE)
    crack_from: int | None = setting(
        None, "The least grey value that is crack, instead of `crack_values`.", low=1, high=_LARGEST_VALUE
    )
    hard_negatives: list[int] = setting(
        [],
        "Grey values of what only looks like a crack; false alarms are counted for each.",
        low=0,
        high=_LARGEST_VALUE,
    )
    tile_px: int = setting(256, "Side of a tile in pixels.", low=16, high=4096)
    stride_px: int | None = setting(None, "Step from tile to tile in pixels; null is `tile_px`.", low=1)
    least_crack_px: int = setting(
        60, "Crack pixels from which a tile is cracked; one with fewer, but some, is left out.", low=1
    )
    mask_width: str = setting(
        "line",
        "`true` where a mask shows a crack as wide as it is, `line` where it is a thin line.",
        choices=("true", "line"),
    )
    exif: str = setting(
        "auto",
        "Of photos that EXIF turns: `applied` where their masks are drawn on the turned photo, `ignored` "
        "where on the pixels as stored; `auto` compares the sizes of both.",
        choices=("auto", "applied", "ignored"),
    )
    prefix: ClassVar[str] = "data.masked"

    def __post_init__(self) -> None:
        self.mask_width = self.mask_width.lower()  # YAML's true arrives as True
        check_settings(self, self.prefix)

    def rules(self) -> dict[str, Any]:
        """Return the arguments of ``data.io.masks.MaskRules``."""
        return {**vars(self), "stride_px": self.stride_px or self.tile_px}


@dataclass
class MaskedPhotosSettings(RootSettings):
    """The keys of ``data=masked_photos``."""

    source: str = "masked_photos"
    masked: MaskSettings = node(MaskSettings)

    def width_problem(self) -> str | None:
        """Return why no crack width is known where masks are lines."""
        if self.masked.mask_width == "true":
            return None
        return (
            "data.mm_per_px: no width is known where masks are lines; set data.masked.mask_width=true "
            "if they are as wide as the cracks, or leave it out."
        )


def _preflight(settings: MaskedPhotosSettings) -> None:
    settings.folder(_CONTENT)


def _load(settings: MaskedPhotosSettings, context: LoadContext) -> TileTable:
    from crack_lightning.data.cutting.masked_tiles import load
    from crack_lightning.data.io.masks import MaskRules

    return load(
        settings.folder(_CONTENT),
        rules=MaskRules(**settings.masked.rules()),
        group_pattern=settings.group_pattern,
        cache=context.cache,
        show_progress=context.show_progress,
        one_class=bool(context.known_classes),
    )


SOURCE = Source(
    settings=MaskedPhotosSettings,
    preflight=_preflight,
    load=_load,
    knows=frozenset({"photos", "masks", "widths"}),
)
