"""Tables that every program reads, and those of other programs."""

from __future__ import annotations

import csv
import os
from typing import TYPE_CHECKING

import pytest

from crack_lightning.data.discovery.listed_paths import own_paths
from crack_lightning.runtime.files.csv_files import read_table, write_table

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [
    "=cmd|' /C calc'!A1.jpg",
    "@SUM(1).jpg",
    "+1.jpg",
    "-x.jpg",
    "a\rb.jpg",
    "a\nb\tc.jpg",
    'q"u,o;te.jpg',
    os.fsdecode(b"Br\xfccke.jpg"),
    "\u00fc\u6f22\U0001f600.jpg",
    " x .jpg",
    "'=x.jpg",
]


def test_names_of_any_kind_come_back_as_they_were(tmp_path: Path) -> None:
    rows = [(name, name, -0.5, "-1e-3") for name in NAMES]
    write_table(tmp_path / "a.csv", ["path", "group", "value", "text"], rows)
    columns, found = read_table(tmp_path / "a.csv")
    assert columns == ["path", "group", "value", "text"]
    assert [(row["path"], row["group"]) for row in found] == [(name, name) for name in NAMES]
    assert {(row["value"], row["text"]) for row in found} == {("-0.5", "-1e-3")}


def test_no_cell_begins_like_a_formula_and_paths_stay_paths(tmp_path: Path) -> None:
    write_table(tmp_path / "a.csv", ["path", "group"], [(name, name) for name in NAMES])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == len(NAMES) + 1
    assert not [cell for row in rows for cell in row if cell[0] in "=+-@\t\r"]
    assert rows[1][0] == f"./{NAMES[0]}"
    assert b"\r\n" not in (tmp_path / "a.csv").read_bytes()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("path,split\nRi\u00df/a.jpg,train\n", "utf-8"),
        ("path,split\r\nRi\u00df/a.jpg,train\r\n", "utf-8-sig"),
        ("path;split\r\nRi\u00df/a.jpg;train\r\n", "cp1252"),
        ("path\tsplit\r\nRi\u00df/a.jpg\ttrain\r\n", "utf-16"),
        ("sep=;\npath;split;\nRi\u00df/a.jpg;train;\n;;\n", "latin-1"),
        ('"path" ,"split"\r"Ri\u00df/a.jpg","train"\r', "utf-8"),
    ],
)
def test_tables_of_other_systems_are_read(text: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    rows = read_table(tmp_path / "a.csv")[1]
    assert [(row["path"], row["split"]) for row in rows] == [("Ri\u00df/a.jpg", "train")]


def test_a_file_that_is_no_table_is_named_as_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"path\n\x00" + b"x" * 200_000)
    with pytest.raises(ValueError, match=r"NUL|field"):
        read_table(tmp_path / "a.csv")


def test_paths_of_other_systems_are_matched_where_one_tile_alone_can_be_meant() -> None:
    paths = ["crack/a.jpg", "u\u0308.jpg", "x/y.jpg", "x\\y.jpg"]
    listed = ["crack\\a.jpg", "\u00fc.jpg", "./x/y.jpg", "x\\y.jpg"]
    assert list(own_paths(listed, paths).values()) == ["crack/a.jpg", "u\u0308.jpg", "./x/y.jpg", "x\\y.jpg"]
