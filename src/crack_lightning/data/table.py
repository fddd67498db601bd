"""The tile table: one row a tile, columns of one length."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.columns import COLUMNS, REQUIRED, typed
from crack_lightning.runtime.errors import DataError
from crack_lightning.runtime.files import csv_files

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from crack_lightning.data.discovery.left_out import LeftOut

SPLITS = ("train", "val", "test")
EXCLUDED = "data.exclude"
"""Reason of a tile that the user excluded."""


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
            ``crack_width_px`` (NaN where unknown), ``crack_lines`` (number of lines, trunk or branch, of a
            drawn crack; NaN where unknown), ``distractors`` (kinds joined by ``+``), ``mask`` (a path
            relative to ``root``), ``painted_on`` (digest of the tile that one is painted on; empty for
            others), ``name`` (a path independent of the roots of concatenated sources), ``near_duplicates``
            and ``group_from`` (see ``data.grouping.groups``), and the image statistics ``brightness`` and
            ``sharpness`` (see ``data.scan.image_stats``).
        left_out: Unused files under the root.
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
        for name in REQUIRED:
            object.__setattr__(self, name, typed(name, getattr(self, name)))
        object.__setattr__(self, "extra", {name: typed(name, values) for name, values in self.extra.items()})
        for name, column in self.columns().items():
            assert column.shape == (len(self.path),), f"{name}: {column.shape} for {len(self.path)} tiles"

    def __len__(self) -> int:
        return len(self.path)

    def columns(self) -> dict[str, NDArray[np.generic]]:
        """Return all columns by name, each ``(N,)``."""
        return {name: getattr(self, name) for name in REQUIRED} | self.extra

    @property
    def positive_index(self) -> int | None:
        """Index of the positive class, or ``None``."""
        return None if self.positive_class is None else self.class_names.index(self.positive_class)

    @property
    def name(self) -> NDArray[np.str_]:
        """Names that key random draws, str ``(N,)``: independent of the roots of concatenated sources."""
        return np.asarray(self.extra.get("name", self.path), np.str_)

    def rows(self, split: str) -> NDArray[np.int64]:
        """Return the row numbers of one split, ascending, int64 ``(M,)``."""
        return np.flatnonzero(self.split == split).astype(np.int64)

    def select(self, rows: NDArray[np.generic]) -> TileTable:
        """Return the table of the given rows (a mask ``(N,)`` or row numbers ``(M,)``)."""
        columns = {name: column[rows] for name, column in self.columns().items()}
        extra = {name: columns.pop(name) for name in self.extra}
        return replace(self, **columns, extra=extra)

    def with_columns(self, **columns: NDArray[np.generic]) -> TileTable:
        """Return the table with some of its own columns replaced, each ``(N,)``."""
        return replace(self, **columns)  # type: ignore[arg-type]

    def write_csv(self, path: Path) -> None:
        """Write every column, labels by name, one row a tile."""
        columns = self.columns() | {"label": np.array(self.class_names)[self.label]}
        rows = zip(*(column.tolist() for column in columns.values()), strict=True)
        csv_files.write_table(path, columns, rows)

    @classmethod
    def read_csv(cls, path: Path, *, class_names: tuple[str, ...], positive_class: str | None) -> TileTable:
        """Read a file of ``write_csv``; its folder becomes the root."""
        names, rows = csv_files.read_table(path)
        known = [name for name in names if name in COLUMNS]
        columns: dict[str, Any] = {name: np.array([row[name] for row in rows]) for name in known}
        columns["label"] = np.array([class_names.index(row["label"]) for row in rows], np.int64)
        return cls(
            root=path.parent,
            class_names=class_names,
            positive_class=positive_class,
            **{name: columns.pop(name) for name in REQUIRED},
            extra=columns,
        )


def read_rows(path: Path, columns: tuple[str, ...], *, key: str, hint: str) -> list[dict[str, str]]:
    """Read a CSV file that the user named.

    Args:
        path: The file.
        columns: Columns that it must have.
        key: The configuration's key, for the errors.
        hint: Next step for a file that cannot be read.

    Returns:
        One mapping per row, values by column.

    Raises:
        DataError: If the file cannot be read or lacks a column.
    """
    try:
        names, rows = csv_files.read_table(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{key}: cannot read '{path}' ({error}); {hint}.") from None
    if not set(columns) <= set(names):
        needed, has = " and ".join(columns), f"the columns {', '.join(names)}" if names else "no columns"
        raise DataError(f"{key}: '{path}' has {has}; expected {needed} among them.")
    return rows
