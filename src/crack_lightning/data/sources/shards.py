"""Source ``shards``: tars that ``crack-lightning shards`` wrote from another source."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from crack_lightning.data.sources.shared_settings import RootSettings
from crack_lightning.data.sources.source import LoadContext, Source

if TYPE_CHECKING:
    from crack_lightning.data.table import TileTable

_CONTENT = "shards"


@dataclass
class ShardsSettings(RootSettings):
    """The keys of ``data=shards``."""

    source: str = "shards"


def _preflight(settings: ShardsSettings) -> None:
    from crack_lightning.data.shards.manifest import Manifest

    Manifest.read(settings.folder(_CONTENT))


def _load(settings: ShardsSettings, _: LoadContext) -> TileTable:
    from crack_lightning.data.shards.reading import read_shards

    return read_shards(settings.folder(_CONTENT))


SOURCE = Source(
    settings=ShardsSettings,
    preflight=_preflight,
    load=_load,
    provides=frozenset({"photos", "masks", "widths"}),
    is_prepared=True,
)
