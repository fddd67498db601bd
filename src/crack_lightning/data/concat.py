"""Concatenation of several tile tables: classes by name, groups and paths by source."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.columns import REQUIRED, missing_values
from crack_lightning.data.table import TileTable
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def merge(tables: Mapping[str, TileTable]) -> TileTable:
    """Concatenate the tables of several sources, groups prefixed with the source's name.

    Args:
        tables: Tables by name of the source, at least one.

    Returns:
        All tiles, ``source`` being the given name. Paths are relative to the common parent folder. Extra
        columns that a source lacks are NaN or empty.

    Raises:
        DataError: If the sources have different classes, only some have predefined splits, or they have no
            common parent folder.
    """
    first = next(iter(tables.values()))
    for name, table in tables.items():
        if set(table.class_names) != set(first.class_names) or table.positive_class != first.positive_class:
            raise DataError(
                f"data.sources.{name}: its classes are {', '.join(table.class_names)}, and those of "
                f"{next(iter(tables))} are {', '.join(first.class_names)}; map its folders with "
                f"data.sources.{name}.class_names={{folder: class}}."
            )
    decided = [name for name, table in tables.items() if (table.split != "").any()]
    if 0 < len(decided) < len(tables):
        raise DataError(
            f"data.sources: the folders of {', '.join(decided)} decide their splits, and those of "
            f"{', '.join(sorted(tables.keys() - set(decided)))} do not; give all of them train, val and test "
            "folders, or none."
        )
    return concat([_named(name, table, first.class_names) for name, table in tables.items()])


def concat(tables: Sequence[TileTable]) -> TileTable:
    """Concatenate tables of the same classes, with paths relative to the common parent folder.

    Args:
        tables: At least one; all with the same classes in the same order.

    Returns:
        All tiles. Extra columns that a table lacks are NaN or empty.

    Raises:
        DataError: If the tables have no common parent folder.
    """
    try:
        root = Path(os.path.commonpath([table.root.resolve() for table in tables]))
    except ValueError:
        raise DataError("data.sources: the sources must lie on one drive; move them together.") from None
    moved = [_moved(table, root) for table in tables]
    extra = dict.fromkeys(name for table in moved for name in table.extra)
    return TileTable(
        root=root,
        class_names=moved[0].class_names,
        positive_class=moved[0].positive_class,
        **{name: np.concatenate([getattr(table, name) for table in moved]) for name in REQUIRED},
        extra={
            name: np.concatenate(
                [
                    table.extra[name] if name in table.extra else missing_values(name, len(table))
                    for table in moved
                ]
            )
            for name in extra
        },
        left_out=tuple(item for table in tables for item in table.left_out),
    )


def _named(name: str, table: TileTable, class_names: tuple[str, ...]) -> TileTable:
    """Return a table with the name of its source and reordered classes."""
    order = np.array([class_names.index(own) for own in table.class_names], np.int64)
    return replace(
        table,
        class_names=class_names,
        label=order[table.label],
        group=np.where(table.group == "", "", np.char.add(f"{name}:", table.group)),
        source=np.full(len(table), name),
        extra=table.extra | {"name": np.char.add(f"{name}:", table.path)},
        left_out=tuple(item._replace(folder=f"{name}:{item.folder}") for item in table.left_out),
    )


def _moved(table: TileTable, root: Path) -> TileTable:
    prefix = table.root.resolve().relative_to(root).as_posix()
    extra = table.extra | {"name": table.name}
    if "mask" in extra:
        extra["mask"] = _below(prefix, extra["mask"].astype(np.str_))
    return replace(table, root=root, path=_below(prefix, table.path), extra=extra)


def _below(prefix: str, paths: NDArray[np.str_]) -> NDArray[np.str_]:
    if prefix == ".":
        return paths
    return np.where(paths == "", "", np.char.add(f"{prefix}/", paths)).astype(np.str_)
