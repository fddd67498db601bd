"""Loading and splitting of tiles for a run, an evaluation and an audit; imports no torch."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.discovery.left_out import describe_left_out
from crack_lightning.data.grouping.groups import MAX_RECOVERED
from crack_lightning.data.scan.prepare import prepare_tiles, with_splits, without_excluded
from crack_lightning.data.sources import LoadContext, find_source, load_source
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from crack_lightning.config.nodes.data import DataConfig
    from crack_lightning.data.model_classes import ModelClasses
    from crack_lightning.data.table import TileTable


_log = logging.getLogger(__name__)
_shared: dict[str, tuple[TileTable, list[dict[str, str]]] | None] = {}
"""The last tiles by their settings, once :func:`share_tiles` was called; empty before."""


def load_tiles(
    data: DataConfig, *, threads: int, progress: bool, model: ModelClasses | None = None
) -> tuple[TileTable, list[dict[str, str]]]:
    """Return the tiles of the configured source, and those that ``data.exclude`` leaves out.

    Painted tiles are returned before painting. With a ``model`` the tiles get its classes, and may all be of
    one class.

    Raises:
        DataError: If the tiles have a class that the model has not.
    """
    context = LoadContext(
        cache=cache_folder(),
        num_workers=data.drawing_processes(threads),
        show_progress=progress,
        model=model,
    )
    table = load_source(data, context)
    if table.left_out:
        _log.warning("%s", describe_left_out(table.left_out))
    return (table, []) if data.exclude is None else without_excluded(table, Path(data.exclude))


def share_tiles() -> None:
    """Let jobs of a sweep with the same data, run in this process, read and prepare tiles once."""
    _shared.setdefault("", None)


def recovers_photos(data: DataConfig, table: TileTable) -> bool:
    """Return whether to recover photos: if the source does not name them and ``recover_photos`` is on.

    More than ``MAX_RECOVERED`` tiles log a warning and return false.
    """
    wanted = data.split.recover_photos and bool((table.group == "").any())
    if wanted and len(table) > MAX_RECOVERED:
        _log.warning(
            "data.split.recover_photos: expected at most %s tiles, got %s; photos that the source does not "
            "name are not recovered. Name them by data.group_pattern.",
            f"{MAX_RECOVERED:,}",
            f"{len(table):,}",
        )
    return wanted and len(table) <= MAX_RECOVERED


def read_tiles(
    data: DataConfig,
    *,
    threads: int,
    progress: bool,
    near_duplicates: bool = False,
    model: ModelClasses | None = None,
) -> tuple[TileTable, list[dict[str, str]]]:
    """Return the readable tiles of the configured source, and those that were skipped.

    With ``near_duplicates`` near-duplicates are found and grouped. Cracks are painted last, on readable
    tiles. For ``model`` see :func:`load_tiles`.
    """
    key = repr((data, near_duplicates))
    if model is None and (shared := _shared.get(key)) is not None:
        _log.info("data: the tiles that the job before has read")
        return shared[0], list(shared[1])
    table, excluded = load_tiles(data, threads=threads, progress=progress, model=model)
    unreadable: list[dict[str, str]] = []
    if data.rescan or not find_source(data.kind).is_prepared:
        table, unreadable = prepare_tiles(
            table,
            on_unreadable=data.on_unreadable,
            num_workers=threads,
            show_progress=progress,
            cache=cache_folder(),
            near_duplicates=near_duplicates
            and not find_source(data.kind).is_drawn,  # the photos of drawn tiles are known
            recover_photos=near_duplicates and recovers_photos(data, table),
            rescan=data.rescan,
        )
    if (finish := find_source(data.source).finish) is not None:
        context = LoadContext(cache=cache_folder(), num_workers=threads, show_progress=progress)
        table = finish(data, table, context)
    if _shared and model is None and not data.rescan:
        _shared.clear()
        _shared[key] = table, excluded + unreadable
    return table, excluded + unreadable


def split_tiles(table: TileTable, data: DataConfig, *, splits_path: Path) -> TileTable:
    """Assign the splits; ``splits_path`` is the run's ``splits.csv``."""
    settings = asdict(data.split)
    file = settings.pop("file")
    del settings["recover_photos"]  # read_tiles reads it
    return with_splits(
        table,
        file=Path(file) if file else None,
        splits_path=splits_path,
        **data.split_sources(),
        **settings,
    )


def unseen_tiles(table: TileTable, *, known: NDArray[np.bool_]) -> tuple[TileTable, int]:
    """Return the unknown tiles, as split ``test``, and the number of known ones.

    Where folders decided the splits, their test split alone counts.

    Args:
        table: Any tiles, N of them.
        known: Whether the model was trained or validated on a tile's bytes, bool ``(N,)``.

    Raises:
        DataError: If nothing is left.
    """
    if (in_test := table.split == "test").any():
        table, known = table.select(in_test), known[in_test]
    if known.all():
        raise DataError(
            f"data: all {len(table)} tiles were in this model's training or validation; "
            "give a set that is new to it."
        )
    unseen = table.select(~known)
    return replace(unseen, split=np.full(len(unseen), "test")), int(known.sum())
