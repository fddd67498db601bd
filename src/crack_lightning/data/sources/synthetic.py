"""Source ``synthetic``: rendered photos of concrete walls, cut into tiles; needs no files."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

from crack_lightning.data.sources.source import LoadContext, Source, SourceSettings
from crack_lightning.runtime.settings import check_settings, node, seed_setting, setting

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from crack_lightning.data.table import TileTable


@dataclass
class DrawingSettings:
    """Settings of the rendered photos."""

    num_tiles: int = setting(4000, "Number of tiles; half of them cracked.", low=40)
    tile_px: int = setting(96, "Side of a tile in pixels.", low=64, high=1024)
    photo_tiles: int = setting(2, "Tiles along each side of a photo.", low=1, high=32)
    prefix: ClassVar[str] = "data.synthetic"

    def __post_init__(self) -> None:
        check_settings(self, self.prefix)


@dataclass
class SyntheticSettings(SourceSettings):
    """The keys of ``data=synthetic``."""

    source: str = "synthetic"
    seed: int = seed_setting("Seed of drawing and painting.")
    synthetic: DrawingSettings = node(DrawingSettings)


def _load(settings: SyntheticSettings, context: LoadContext) -> TileTable:
    from crack_lightning.data.synthesis.drawn_tiles import load

    return load(
        seed=settings.seed,
        num_workers=context.num_workers,
        cache=context.cache,
        show_progress=context.show_progress,
        **asdict(settings.synthetic),
    )


def _in_background(settings: SyntheticSettings, context: LoadContext) -> AbstractContextManager[None]:
    from crack_lightning.data.synthesis.drawn_tiles import draw_in_background

    return draw_in_background(
        cache=context.cache,
        num_workers=context.num_workers,
        show_progress=context.show_progress,
        seed=settings.seed,
        **asdict(settings.synthetic),
    )


SOURCE = Source(
    settings=SyntheticSettings,
    preflight=lambda _: None,  # no files are needed
    load=_load,
    in_background=_in_background,
    provides=frozenset({"photos", "masks", "widths"}),
    is_drawn=True,
)
