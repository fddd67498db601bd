"""A CSV file that is appended to row by row and can be resumed after an interruption."""

from __future__ import annotations

import csv
import io
import os
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Self

from crack_lightning.runtime.errors import ConfigError
from crack_lightning.runtime.files.csv_files import CsvWriter, cell_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType


class AppendedCsv:
    """Appends rows to a CSV file; they are in the file once :meth:`write` returns.

    If the process is killed, an incomplete last row is removed when the file is opened again.

    Args:
        path: The file; rows are appended to an existing one.
        columns: Its header.
        keep: Whether an existing row is kept, by its first cell; the file is truncated at the first row that
            is not. All are kept by default.
        former: Current column names by the former ones that an existing file may have.

    Raises:
        ConfigError: If the existing file has other columns.
    """

    def __init__(
        self,
        path: Path,
        columns: Sequence[str],
        *,
        keep: Callable[[str], bool] = lambda _: True,
        former: Mapping[str, str] | None = None,
    ) -> None:
        self._path, self._columns, self._keep, self._former = path, list(columns), keep, former or {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._file = stack.enter_context(self._path.open("a+b"))
            end = self._checked_end()
            self._file.truncate(end)
            if not end:
                self.write([], header=True)
            stack.pop_all()
        return self

    def _checked_end(self) -> int:
        end = 0
        for record in whole_records(self._file):
            cells = _cells(record)
            if not end and self._named(cells) != self._columns:
                raise ConfigError(
                    f"resume: '{self._path}' is expected to have the columns {', '.join(self._columns)}, got "
                    f"{', '.join(cells)}; start a new run."
                )
            if end and not self._keep(cell_value(self._columns[0], cells[0])):
                break
            end += len(record)
        return end

    def _named(self, header: list[str]) -> list[str]:
        """Return the present names of a header's columns."""
        return [self._former.get(name, name) for name in header]

    def rows(self) -> Iterator[dict[str, str]]:
        """Yield the existing rows as dicts by column."""
        records = whole_records(self._file)
        columns = self._named(_cells(next(records)))
        for record in records:
            cells = zip(columns, _cells(record), strict=True)
            yield {column: cell_value(column, cell) for column, cell in cells}

    def write(self, rows: Iterable[Sequence[object]], *, header: bool = False) -> None:
        """Append rows, with a header before them if ``header`` is set."""
        text = io.StringIO()
        CsvWriter(text, self._columns, header=header).write(rows)
        self._file.write(text.getvalue().encode("utf-8", "backslashreplace"))
        self._file.flush()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.fsync(self._file.fileno())
        self._file.close()


def whole_records(file: IO[bytes]) -> Iterator[bytes]:
    """Yield the complete rows of a CSV file from its beginning, each with its line end.

    A line end between quotes belongs to its cell.
    """
    file.seek(0)
    record = b""
    for line in file:
        record += line
        if record.count(b'"') % 2 == 0 and record.endswith(b"\n"):
            yield record
            record = b""


def _cells(record: bytes) -> list[str]:
    return next(csv.reader(io.StringIO(record.decode("utf-8", "replace"), newline="")))
