"""Configuration to tiles: what a run, an evaluation and an audit begin with; needs no torch."""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crack_lightning.config.nodes.data import prefix_source_keys
from crack_lightning.data.discovery.left_out import describe_left_out
from crack_lightning.data.scan.prepare import prepare_tiles, with_splits, without_excluded
from crack_lightning.data.sources import load_source, painted
from crack_lightning.data.sources.mixed import concat, merge
from crack_lightning.runtime.cache import cache_folder
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crack_lightning.config.nodes.data import DataConfig
    from crack_lightning.data.table import TileTable


_log = logging.getLogger(__name__)


class ModelClasses(NamedTuple):
    """The classes of a model that is to be tested, and which of them means "crack"."""

    class_names: Sequence[str]
    positive_class: str | None


def load_tiles(
    data: DataConfig, *, threads: int, progress: bool, model: ModelClasses | None = None
) -> tuple[TileTable, list[dict[str, str]]]:
    """Return the tiles of the configured source as they lie there, and those that the user left out.

    Of painted tiles these are the tiles below. With the classes of a ``model`` the tiles have these, and
    tiles of one class are enough.

    Raises:
        DataError: If the tiles have a class that the model has not.
    """
    if data.source == "mixed":
        tables = {}
        for name, part in data.parts().items():
            if part.source != "painted":
                with prefix_source_keys(name):
                    tables[name] = _load(part, threads, progress, model)
        table = merge(tables)
    else:
        table = _load(data, threads, progress, model)
    if table.left_out:
        _log.warning("%s", describe_left_out(table.left_out))
    return (table, []) if data.exclude is None else without_excluded(table, Path(data.exclude))


def _load(data: DataConfig, threads: int, progress: bool, model: ModelClasses | None) -> TileTable:  # noqa: FBT001
    table = load_source(
        data.kind,
        seed=data.seed,
        root=Path(data.root) if data.root else None,
        archive=Path(data.archive) if data.archive else None,
        download=data.download,
        class_names=data.class_names,
        positive_class=data.positive_class,
        group_pattern=data.group_pattern,
        drawn=asdict(data.drawn),
        masked=data.masked.rules(),
        num_workers=data.drawing_processes(threads),
        cache=cache_folder(),
        show_progress=progress,
        known_classes=() if model is None else model.class_names,
    )
    return table if model is None else with_classes(table, model)


def with_classes(table: TileTable, model: ModelClasses) -> TileTable:
    """Return the tiles with a model's classes, in the model's order.

    Raises:
        DataError: If the tiles have a class that the model has not.
    """
    names = list(model.class_names)
    if others := [name for name in table.class_names if name not in names]:
        raise DataError(
            f"data.class_names: the model's classes are {', '.join(names)}, and the set has "
            f"{', '.join(others)}; map its folders with data.class_names={{folder: class}}."
        )
    order = np.array([names.index(name) for name in table.class_names], dtype=np.int64)
    return replace(
        table, class_names=tuple(names), positive_class=model.positive_class, label=order[table.label]
    )


def recovers_photos(data: DataConfig, table: TileTable) -> bool:
    """Say whether photos are to be sought: where the source does not know them, unless the user objects."""
    return data.split.recover_photos and bool((table.group == "").any())


def read_tiles(
    data: DataConfig, *, threads: int, progress: bool, twins: bool = False, model: ModelClasses | None = None
) -> tuple[TileTable, list[dict[str, str]]]:
    """Return the tiles of the configured source and those that were skipped; look for twins if asked.

    What is to be painted is painted then, when it is known which tiles below can be read and belong together.
    With the classes of a ``model`` the tiles have these; see :func:`load_tiles`.
    """
    table, excluded = load_tiles(data, threads=threads, progress=progress, model=model)
    table, unreadable = prepare_tiles(
        table,
        on_unreadable=data.on_unreadable,
        num_workers=threads,
        show_progress=progress,
        cache=cache_folder(),
        twins=twins and data.kind != "synthetic",  # of drawn tiles the photos are known
        recover_photos=twins and recovers_photos(data, table),
    )
    return _painted(data, table, threads=threads, progress=progress), excluded + unreadable


def _painted(data: DataConfig, table: TileTable, *, threads: int, progress: bool) -> TileTable:
    """Return a table with what is painted on its tiles beside them (``data=mixed``), or instead of them."""
    mixed = data.source == "mixed"
    parts = data.parts() if mixed else {data.source: data}
    parts = {name: part for name, part in parts.items() if part.source == "painted"}
    if not parts:
        return table
    below = {name: table.source == part.base if mixed else table.source != "" for name, part in parts.items()}
    table = painted.ensure_groups(table, np.logical_or.reduce(list(below.values())))
    made = []
    for name, part in parts.items():
        tiles = painted.load(
            table.select(below[name]),
            seed=part.seed,
            num_tiles=part.painted.num_tiles,
            num_workers=threads,
            cache=cache_folder(),
            show_progress=progress,
        )
        own = {"name": np.char.add(f"{name}:", tiles.path)} if mixed else {}
        made.append(replace(tiles, source=np.full(len(tiles), name), extra=tiles.extra | own))
    return concat([table, *made]) if mixed else made[0]


def split_tiles(table: TileTable, data: DataConfig, *, kept: Path) -> TileTable:
    """Decide who is in which split; ``kept`` is the run's ``splits.csv``."""
    settings = asdict(data.split)
    file = settings.pop("file")
    del settings["recover_photos"]  # read_tiles' business
    return with_splits(
        table,
        file=Path(file) if file else None,
        kept=kept,
        train_sources=data.train_sources,
        test_sources=data.test_sources,
        **settings,
    )


def unseen_tiles(table: TileTable, *, known: NDArray[np.bool_]) -> tuple[TileTable, int]:
    """Return what a model may be tested on, as split ``test``, and how many known tiles were left out.

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
    fresh = table.select(~known)
    return replace(fresh, split=np.full(len(fresh), "test")), int(known.sum())
