"""Tables of a prediction on a cluster: one Parquet file per shard, one row per tile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from crack_lightning.runtime.errors import ConfigError, DataError
from crack_lightning.runtime.files.atomic_write import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

PREDICTION_PARTS, TILE_PARTS = "predictions", "tiles"
_FLAGS = {"yes": True, "no": False, "1": True, "0": False}
_BOOLEAN, _TEXT, _DOUBLE = ("is_ood", "called_crack"), ("path", "predicted", "problem"), ("threshold",)


def storable(name: str) -> str:
    """Return a path as UTF-8 text, other bytes escaped as in CSV files."""
    return name.encode("utf-8", "backslashreplace").decode()


class ParquetParts:
    """A folder of numbered Parquet files with the same columns, each written atomically.

    Args:
        folder: The folder; it is created with the first part.
        columns: Names of the columns, with the meaning of those of ``predictions.csv`` and ``tiles.csv``.
    """

    def __init__(self, folder: Path, columns: Sequence[str]) -> None:
        self._folder, self._columns = folder, list(columns)

    def path(self, number: int) -> Path:
        """Return the path of a part."""
        return self._folder / f"part-{number:08d}.parquet"

    def numbers(self) -> list[int]:
        """Return the numbers of the parts, ascending."""
        return sorted(int(path.stem[5:]) for path in self._folder.glob("part-????????.parquet"))

    def write(self, number: int, rows: Sequence[Sequence[object]]) -> None:
        """Write a part; cells, as in the CSV file, are converted to their column's type."""
        import pyarrow as pa
        from pyarrow import parquet

        columns = list(zip(*rows, strict=True)) if rows else [()] * len(self._columns)
        arrays = [
            pa.array([_typed(name, cell) for cell in column], type=_arrow_type(pa, name))
            for name, column in zip(self._columns, columns, strict=True)
        ]
        self._folder.mkdir(exist_ok=True)
        with atomic_write(self.path(number)) as temporary:
            parquet.write_table(pa.table(arrays, names=self._columns), temporary, compression="zstd")

    def read(self) -> Iterator[list[dict[str, str]]]:
        """Yield the rows of each part as strings, as in a CSV file.

        Raises:
            ConfigError: If a part has other columns.
            DataError: If a part is damaged.
        """
        import pyarrow as pa
        from pyarrow import parquet

        for path in map(self.path, self.numbers()):
            try:
                table = parquet.read_table(path, partitioning=None)
            except (OSError, pa.ArrowException) as error:
                reason = next(iter(str(error).splitlines()), "")
                raise DataError(
                    f"resume: '{path}' is damaged ({reason}); remove it, and its tiles are predicted again."
                ) from None
            if table.column_names != self._columns:
                raise ConfigError(
                    f"resume: '{path}' is expected to have the columns {', '.join(self._columns)}, got "
                    f"{', '.join(table.column_names)}; start a new run."
                )
            yield [{name: _text(name, value) for name, value in row.items()} for row in table.to_pylist()]


def _arrow_type(pa: Any, column: str) -> Any:
    if column in _TEXT:
        return pa.string()
    if column in _BOOLEAN:
        return pa.bool_()
    if column.endswith("_px"):
        return pa.int32()
    return pa.float64() if column in _DOUBLE else pa.float32()


def _typed(column: str, cell: object) -> object:
    text = str(cell)
    if column in _TEXT:
        return storable(text)
    if not text:
        return None
    if column in _BOOLEAN:
        return _FLAGS[text]
    return int(text) if column.endswith("_px") else float(text)


def _text(column: str, value: Any) -> str:
    if value is None:
        return ""
    return ("yes" if value else "no") if column in _BOOLEAN else str(value)
