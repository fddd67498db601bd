"""Source ``painted``: intact tiles of another source with painted cracks and distractors."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

from crack_lightning.data.sources.source import LoadContext, Source, SourceSettings
from crack_lightning.runtime.settings import check_settings, node, seed_setting, setting

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable


@dataclass
class PaintingSettings:
    """Settings of the painted tiles."""

    num_tiles: int = setting(12000, "Number of tiles; half of them cracked.", low=40)
    prefix: ClassVar[str] = "data.painted"

    def __post_init__(self) -> None:
        check_settings(self, self.prefix)


@dataclass
class PaintedSettings(SourceSettings):
    """The keys of ``data=painted``; as the only source it also has the keys of its base."""

    source: str = "painted"
    seed: int = seed_setting("Seed of drawing and painting.")
    base: str | None = setting(
        None, "Source that is painted on, whose keys are read too; with `data=mixed` a name in `sources`."
    )
    painted: PaintingSettings = node(PaintingSettings)

    @property
    def kind(self) -> str:
        """The source that is painted on."""
        return self.base or ""

    def problems(self) -> list[str]:
        """List an invalid base; within ``data=mixed`` the mixture checks it."""
        from crack_lightning.data.sources import SOURCES

        bases = [name for name, source in SOURCES.items() if not source.is_derived]
        if self.base in bases:
            return []
        return [f"data.base: expected one of {', '.join(bases)} to paint on, got {self.base!r}."]


def _base(settings: PaintedSettings) -> SourceSettings:
    from crack_lightning.data.sources import find_source

    base: SourceSettings = find_source(settings.kind).pick(settings)
    return base


def _preflight(settings: PaintedSettings) -> None:
    from crack_lightning.data.sources import find_source

    find_source(settings.kind).preflight(_base(settings))


def _load(settings: PaintedSettings, context: LoadContext) -> TileTable:
    """Load the tiles of the base; :func:`_finish` paints on those that are readable."""
    from crack_lightning.data.sources import find_source

    return find_source(settings.kind).load(_base(settings), context)


def _finish(settings: PaintedSettings, table: TileTable, context: LoadContext) -> TileTable:
    [tiles] = paint_on(table, {settings.source: (settings, table.source != "")}, context)[1]
    return tiles


def paint_on(
    table: TileTable,
    layers: Mapping[str, tuple[PaintedSettings, NDArray[np.bool_]]],
    context: LoadContext,
) -> tuple[TileTable, list[TileTable]]:
    """Paint on selected tiles of a table, once per layer.

    Args:
        table: N readable tiles.
        layers: Settings and selected tiles, bool ``(N,)``, by name of the painted source.
        context: Cache folder, number of processes and progress bar.

    Returns:
        The table, every selected tile with a group, and the painted tiles of each layer.
    """
    import numpy as np

    from crack_lightning.data.synthesis.painted_tiles import ensure_groups, load

    table = ensure_groups(table, np.logical_or.reduce([selected for _, selected in layers.values()]))
    painted = []
    for name, (settings, selected) in layers.items():
        tiles = load(
            table.select(selected),
            seed=settings.seed,
            num_tiles=settings.painted.num_tiles,
            num_workers=context.num_workers,
            cache=context.cache,
            show_progress=context.show_progress,
        )
        painted.append(replace(tiles, source=np.full(len(tiles), name)))
    return table, painted


SOURCE = Source(
    settings=PaintedSettings,
    preflight=_preflight,
    load=_load,
    finish=_finish,
    provides=frozenset({"masks", "widths"}),
    is_derived=True,
)
