"""Source ``masked_photos``: photos with pixel masks (uav75, DeepCrack, Crack500, …), cut into tiles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crack_lightning.data.io.masks import MaskRules
from crack_lightning.data.sources.shared_settings import GroupSettings, RootSettings
from crack_lightning.data.sources.source import LoadContext, Source
from crack_lightning.runtime.settings import node

if TYPE_CHECKING:
    from crack_lightning.data.table import TileTable

_CONTENT = "photos and masks"


@dataclass
class MaskedPhotosSettings(RootSettings, GroupSettings):
    """The keys of ``data=masked_photos``."""

    source: str = "masked_photos"
    masked: MaskRules = node(MaskRules)

    def width_problem(self) -> str | None:
        """Return why crack widths are unknown where masks are thin lines."""
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

    return load(
        settings.folder(_CONTENT),
        rules=settings.masked,
        group_pattern=settings.group_pattern,
        cache=context.cache,
        show_progress=context.show_progress,
        one_class=bool(context.known_classes),
    )


SOURCE = Source(
    settings=MaskedPhotosSettings,
    preflight=_preflight,
    load=_load,
    provides=frozenset({"photos", "masks", "widths"}),
)
