"""The schema of the tile table: dtype and missing value of every column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Column(NamedTuple):
    """Dtype and missing value of a column.

    Attributes:
        dtype: NumPy type of the values.
        missing: The value where a source does not have it.
        optional: Whether a table may lack the column.
    """

    dtype: type[np.generic]
    missing: float | str
    optional: bool = True


NEAR_DUPLICATES = "near_duplicates"
"""Name of the column with each tile's set of near-duplicates."""
_TEXT, _NUMBER = Column(np.str_, ""), Column(np.float64, float("nan"))
COLUMNS = {
    "path": Column(np.str_, "", optional=False),
    "label": Column(np.int64, -1, optional=False),
    "group": Column(np.str_, "", optional=False),
    "source": Column(np.str_, "", optional=False),
    "split": Column(np.str_, "", optional=False),
    "sha256": Column(np.str_, "", optional=False),
    "crack_width_px": _NUMBER,
    "crack_lines": _NUMBER,
    "brightness": _NUMBER,
    "sharpness": _NUMBER,
    "distractors": _TEXT,
    "mask": _TEXT,
    "painted_on": _TEXT,
    "name": _TEXT,
    NEAR_DUPLICATES: _TEXT,
    "group_from": _TEXT,
}
"""Columns by name; see ``crack_lightning.data.table.TileTable`` for their meaning."""
REQUIRED = tuple(name for name, column in COLUMNS.items() if not column.optional)
"""Columns of every table, also the names of its attributes."""


def typed(name: str, values: Any) -> NDArray[Any]:
    """Convert values ``(N,)`` to the dtype of their column; text is parsed as numbers, empty text as NaN.

    Raises:
        KeyError: If the schema has no such column.
    """
    column, array = COLUMNS[name], np.asarray(values)
    if column.dtype is not np.str_ and array.dtype.kind in "UO":
        array = np.where(array == "", str(column.missing), array)
    return array.astype(column.dtype, copy=False)


def missing_values(name: str, number: int) -> NDArray[Any]:
    """Return a column ``(number,)`` of missing values."""
    column = COLUMNS[name]
    return np.full(number, column.missing, column.dtype if column.dtype is not np.str_ else None)
