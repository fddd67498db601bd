"""Configuration to tiles: what a run, an evaluation and an audit begin with; needs no torch."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.cache_entries import cache_folder
from crack_lightning.config.data import naming_part
from crack_lightning.data.reading import readable, with_splits, without_excluded
from crack_lightning.data.sources import load_source, painted
from crack_lightning.data.sources.mixed import merge, stacked
from crack_lightning.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crack_lightning.config.data import DataConfig
    from crack_lightning.data.table import TileTable


def load_tiles(data: DataConfig, *, threads: int, progress: bool) -> tuple[TileTable, list[dict[str, str]]]:
    """Return the tiles of the configured source as they lie there, and those that the user left out.

    Of painted tiles these are the tiles below.
    """
    if data.source == "mixed":
        tables = {}
        for name, part in data.parts().items():
            if part.source != "painted":
                with naming_part(name):
                    tables[name] = _load(part, threads, progress)
        table = merge(tables)
    else:
        table = _load(data, threads, progress)
    return (table, []) if data.exclude is None else without_excluded(table, Path(data.exclude))


def _load(data: DataConfig, threads: int, progress: bool) -> TileTable:  # noqa: FBT001
    return load_source(
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
        num_workers=threads,
        cache=cache_folder(),
        show_progress=progress,
    )


def recovers_photos(data: DataConfig, table: TileTable) -> bool:
    """Say whether photos are to be sought: where the source does not know them, unless the user objects."""
    return data.split.recover_photos and bool((table.group == "").any())


def read_tiles(
    data: DataConfig, *, threads: int, progress: bool, twins: bool = False
) -> tuple[TileTable, list[dict[str, str]]]:
    """Return the tiles of the configured source and those that were skipped; look for twins if asked.

    What is to be painted is painted then, when it is known which tiles below can be read and belong together.
    """
    table, excluded = load_tiles(data, threads=threads, progress=progress)
    table, unreadable = readable(
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
    table = painted.placed(table, np.logical_or.reduce(list(below.values())))
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
        made.append(replace(tiles, source=np.full(len(tiles), name)))
    return stacked([table, *made]) if mixed else made[0]


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


def unseen_tiles(
    table: TileTable, *, known: NDArray[np.bool_], class_names: Sequence[str], positive_class: str | None
) -> tuple[TileTable, int]:
    """Return what a model may be tested on, as split ``test``, and how many known tiles were left out.

    Where folders decided the splits, their test split alone counts.

    Args:
        table: Any tiles, N of them.
        known: Whether the model was trained or validated on a tile's bytes, bool ``(N,)``.
        class_names: The model's classes, in its order, which the result has too.
        positive_class: Which of them means "crack", or ``None``.

    Raises:
        DataError: If the set has a class that the model has not, or nothing is left.
    """
    if (in_test := table.split == "test").any():
        table, known = table.select(in_test), known[in_test]
    if known.all():
        raise DataError(
            f"data: all {len(table)} tiles were in this model's training or validation; "
            "give a set that is new to it."
        )
    if foreign := [name for name in table.class_names if name not in class_names]:
        raise DataError(
            f"data.class_names: the model knows {', '.join(class_names)}, and the set has "
            f"{', '.join(foreign)}; map its folders with data.class_names={{folder: class}}."
        )
    fresh = table.select(~known)
    order = np.array([class_names.index(name) for name in table.class_names], dtype=np.int64)
    unseen = replace(
        fresh,
        class_names=tuple(class_names),
        positive_class=positive_class,
        label=order[fresh.label],
        split=np.full(len(fresh), "test"),
    )
    return unseen, int(known.sum())
