"""Tiles that runs in one process share: jobs of a sweep that differ in the head or the split alone."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from crack_lightning.experiment.load_data import read_tiles

if TYPE_CHECKING:
    from crack_lightning.config.nodes.data import DataConfig
    from crack_lightning.data.table import TileTable


class SharedTiles:
    """The tiles that the last run of this process read.

    Runs with the same ``data``, apart from the splits, reuse them; a file that changes meanwhile is not
    noticed. Features are shared through the cache, where each run maps the same file.
    """

    def __init__(self) -> None:
        self._settings: dict[str, Any] | None = None
        self._tiles: tuple[TileTable, list[dict[str, str]]] | None = None

    def read(
        self, data: DataConfig, *, threads: int, progress: bool
    ) -> tuple[TileTable, list[dict[str, str]]]:
        """Return the tiles as :func:`~crack_lightning.experiment.load_data.read_tiles` does, grouped."""
        settings = asdict(data)
        settings["split"] = {"recover_photos": data.split.recover_photos}  # assigned after reading
        if self._tiles is None or settings != self._settings:
            self._tiles = None  # first, for its memory
            self._tiles = read_tiles(data, threads=threads, progress=progress, near_duplicates=True)
            self._settings = settings
        return self._tiles
