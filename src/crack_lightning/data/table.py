"""The tile table: one row a tile, columns of one length."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.columns import COLUMNS, typed
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files import csv_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.discovery.left_out import LeftOut

SPLITS = ("train", "val", "test")
EXCLUDED = "data.exclude"
"""The reason that stands beside a tile which the user left out."""


@dataclass(frozen=True, kw_only=True)
class TileTable:
    """Tiles by row; a prediction's ``index`` is a row number here.

    Attributes:
        root: The folder that ``path`` is relative to.
        class_names: Names by class index, K of them.
        positive_class: The class that means "crack"; ``None`` when there is no such class.
        path: Relative POSIX paths, str ``(N,)``.
        label: Class indices, int64 ``(N,)``.
        group: The photo or place that a tile was cut from, str ``(N,)``; empty where unknown.
        source: Name of the data source, str ``(N,)``.
        split: ``train``, ``val`` or ``test``, str ``(N,)``; empty where not decided.
        sha256: Hex digests of the files, str ``(N,)``; empty where not computed.
        extra: Columns that only some sources have, each ``(N,)`` and of the type in ``data.columns``:
            ``crack_width_px`` (NaN where unknown), ``crack_lines`` (how many lines, trunk or branch, a drawn
            crack has, likewise), ``distractors`` (kinds joined by ``+``), ``mask`` (a path relative to
            ``root``), ``painted_on`` (digest of the tile that one is painted on; empty where none is),
            ``name`` (a path that does not tell where the sources lie that were put together), ``twins`` and
            ``group_from`` (see ``data.groups``); and what reading them found: ``brightness`` and
            ``sharpness`` (see ``data.appearance``).
        left_out: What else lies under the root and is used for nothing.
    """

    root: Path
    class_names: tuple[str, ...]
    positive_class: str | None
    path: NDArray[np.str_]
    label: NDArray[np.int64]
    group: NDArray[np.str_]
    source: NDArray[np.str_]
    split: NDArray[np.str_]
    sha256: NDArray[np.str_]
    extra: dict[str, NDArray[np.generic]] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()

    def __post_init__(self) -> None:
        for name in (name for name, column in COLUMNS.items() if not column.optional):
            object.__setattr__(self, name, typed(name, getattr(self, name)))
        object.__setattr__(self, "extra", {name: typed(name, values) for name, values in self.extra.items()})
        for name, column in self._columns().items():
            assert column.shape == (len(self.path),), f"{name}: {column.shape} for {len(self.path)} tiles"

    def __len__(self) -> int:
        return len(self.path)

    def _columns(self) -> dict[str, NDArray[np.generic]]:
        named: dict[str, NDArray[np.generic]] = {
            "path": self.path,
            "label": self.label,
            "group": self.group,
            "source": self.source,
            "split": self.split,
            "sha256": self.sha256,
        }
        return named | self.extra

    @property
    def positive_index(self) -> int | None:
        """Index of the positive class, or ``None``."""
        return None if self.positive_class is None else self.class_names.index(self.positive_class)

    @property
    def name(self) -> NDArray[np.str_]:
        """What chance goes by, str ``(N,)``: the same wherever the sources lie, alone or put together."""
        return np.asarray(self.extra.get("name", self.path), np.str_)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the row numbers of one split, ascending, int64 ``(M,)``."""
        return np.flatnonzero(self.split == split).astype(np.int64)

    def select(self, rows: NDArray[np.generic]) -> TileTable:
        """Return the table of the given rows (a mask ``(N,)`` or row numbers ``(M,)``)."""
        columns = {name: column[rows] for name, column in self._columns().items()}
        extra = {name: columns.pop(name) for name in self.extra}
        return replace(self, **columns, extra=extra)

    def with_columns(self, **columns: NDArray[np.generic]) -> TileTable:
        """Return the table with some of its own columns replaced, each ``(N,)``."""
        return replace(self, **columns)  # type: ignore[arg-type]

    def write_csv(self, path: Path) -> None:
        """Write every column, labels by name, one row a tile."""
        columns = self._columns() | {"label": np.array(self.class_names)[self.label]}
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        csv_files.write_table(path, columns, rows)

    @classmethod
    def read_csv(cls, path: Path, *, class_names: tuple[str, ...], positive_class: str | None) -> TileTable:
        """Read what ``write_csv`` wrote; the file's folder becomes the root."""
        names, rows = csv_files.read_table(path)
        known = [name for name in names if name in COLUMNS]
        columns: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in known}
        own = ("path", "group", "source", "split", "sha256")
        return cls(
            root=path.parent,
            class_names=class_names,
            positive_class=positive_class,
            label=np.array([class_names.index(row["label"]) for row in rows], np.int64),
            **{name: columns[name] for name in own},
            extra={name: values for name, values in columns.items() if name not in (*own, "label")},
        )


def read_rows(path: Path, columns: tuple[str, ...], *, key: str, hint: str) -> list[dict[str, str]]:
    """Read a CSV file that the user named.

    Args:
        path: The file.
        columns: What its head must have at the least.
        key: The configuration's key, for the errors.
        hint: What to do about a file that cannot be read.

    Returns:
        Value by column, a mapping a row.

    Raises:
        DataError: If the file cannot be read or lacks a column.
    """
    try:
        found, rows = csv_files.read_table(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{key}: cannot read '{path}' ({error}); {hint}.") from None
    if not set(columns) <= set(found):
        needed, has = " and ".join(columns), f"the columns {', '.join(found)}" if found else "no columns"
        raise DataError(f"{key}: '{path}' has {has}; expected {needed} among them.")
    return rows
