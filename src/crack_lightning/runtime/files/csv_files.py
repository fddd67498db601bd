"""Writing of CSV files that are safe in spreadsheets, and reading of those of other programs."""

from __future__ import annotations

import csv
import io
import re
from typing import TYPE_CHECKING, Any, TextIO

from crack_lightning.runtime.files.atomic_write import atomic_write, open_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

PATH_COLUMNS = frozenset({"path", "mask"})
_FORMULA = re.compile(r"('|\./)*[=+\-@\t\r]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?|[+-]?(inf|nan)", re.IGNORECASE)
_ESCAPED = re.compile(r"\\u(d[89a-f][0-9a-f]{2})")
_SEPARATORS = ",;\t"


class CsvWriter:
    r"""Writes rows that end with ``\n``, and cells that no spreadsheet evaluates as a formula.

    A path that begins like a formula gets the prefix ``./``, other text an apostrophe; :func:`read_table`
    removes both. Numbers are unchanged.

    Args:
        file: From :func:`crack_lightning.runtime.files.atomic_write.open_text`.
        columns: Names of the columns.
        header: Whether to write them now.
    """

    def __init__(self, file: TextIO, columns: Iterable[str], *, header: bool = True) -> None:
        self._columns = list(columns)
        # this line end makes csv quote lone carriage returns too
        self._writer = csv.writer(_Lines(file), lineterminator="\r\n")
        if header:
            self._writer.writerow(self._columns)

    def write(self, rows: Iterable[Sequence[Any]]) -> None:
        """Write rows with one value per column."""
        for row in rows:
            cells = zip(self._columns, row, strict=True)
            self._writer.writerow([_cell(name, value) for name, value in cells])


class _Lines:
    """Replaces the line end of each row by a line feed."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, row: str) -> None:
        self._file.write(row.removesuffix("\r\n") + "\n")


def _cell(column: str, value: Any) -> Any:
    if not isinstance(value, str) or not _FORMULA.match(value) or _NUMBER.fullmatch(value):
        return value
    return f"./{value}" if column in PATH_COLUMNS else f"'{value}"


def cell_value(column: str, cell: str) -> str:
    """Return the value of a cell without its prefix and escapes."""
    mark = "./" if column in PATH_COLUMNS else "'"
    plain = cell.removeprefix(mark)
    cell = plain if plain != cell and _FORMULA.match(plain) else cell
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), cell) if "\\u" in cell else cell


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write a table atomically; see :class:`CsvWriter`."""
    with atomic_write(path) as temporary, open_text(temporary) as file:
        CsvWriter(file, columns).write(rows)


def read_table(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """Read a table of this package or of a spreadsheet.

    Encoding UTF-8, UTF-16 or Windows-1252; separator comma, semicolon or tab; any line end.

    Returns:
        The columns, and a mapping per row; missing cells are empty.

    Raises:
        OSError: If the file cannot be read.
        ValueError: If it is no table.
    """
    text = _decoded(path.read_bytes())
    first = text.partition("\n")[0].strip()
    if declared := re.fullmatch(r"sep=(.)", first, re.IGNORECASE):
        text = text.partition("\n")[2]
    separator = declared[1] if declared else max(_SEPARATORS, key=first.count)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        columns = [name.strip() for name in next(filter(None, reader), [])]
        missing = [""] * len(columns)
        rows = [
            {name: cell_value(name, cell) for name, cell in zip(columns, row + missing, strict=False)}
            for row in reader
            if any(row)
        ]
    except csv.Error as error:
        raise ValueError(str(error)) from None
    return columns, rows


def _decoded(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "surrogateescape")
