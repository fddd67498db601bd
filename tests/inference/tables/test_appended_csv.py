"""A table that is cut off anywhere goes on with whole rows."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import pytest

from crack_lightning.inference.tables.appended_csv import AppendedCsv
from crack_lightning.runtime.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = ("path", "value")
ROWS = [["a.jpg", "1"], ['odd "name",\nof two lines.jpg', "2"], ["Br\udcfccke.jpg", "3"], ["", "4"]]


def written(path: Path) -> bytes:
    with AppendedCsv(path, COLUMNS) as table:
        table.write(ROWS)
    return path.read_bytes()


def test_rows_are_on_the_disk_once_they_are_written(tmp_path: Path) -> None:
    with AppendedCsv(tmp_path / "t.csv", COLUMNS) as table:
        table.write(ROWS[:2])
        with (tmp_path / "t.csv").open(newline="", encoding="utf-8") as file:
            assert list(csv.reader(file)) == [list(COLUMNS), *ROWS[:2]]


def test_a_table_cut_off_at_any_byte_goes_on_to_the_same_table(tmp_path: Path) -> None:
    whole, path = written(tmp_path / "whole.csv"), tmp_path / "cut.csv"
    for cut in range(len(whole) + 1):
        path.write_bytes(whole[:cut])
        with AppendedCsv(path, COLUMNS) as table:
            there = [row["path"] for row in table.rows()]
            assert there == [name for name, _ in ROWS[: len(there)]]
            table.write(ROWS[len(there) :])
        assert path.read_bytes() == whole


def test_rows_from_the_first_unknown_one_on_are_cut_off(tmp_path: Path) -> None:
    written(tmp_path / "t.csv")
    with AppendedCsv(tmp_path / "t.csv", COLUMNS, keep={"a.jpg", ""}.__contains__) as table:
        assert [row["path"] for row in table.rows()] == ["a.jpg"]


def test_a_table_of_other_columns_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    before = written(tmp_path / "t.csv")
    with pytest.raises(
        ConfigError, match=r"resume: '.*t\.csv' is expected to have the columns path, got path, v"
    ):
        AppendedCsv(tmp_path / "t.csv", ("path",)).__enter__()
    assert (tmp_path / "t.csv").read_bytes() == before


def test_a_table_with_former_column_names_goes_on(tmp_path: Path) -> None:
    before = written(tmp_path / "t.csv")
    with AppendedCsv(tmp_path / "t.csv", ("path", "score"), former={"value": "score"}) as table:
        assert [row["score"] for row in table.rows()] == [value for _, value in ROWS]
        table.write([["b.jpg", "5"]])
    assert (tmp_path / "t.csv").read_bytes() == before + b"b.jpg,5\n"
