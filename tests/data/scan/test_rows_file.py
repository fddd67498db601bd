"""Rows in a file against the same rows in memory."""

from __future__ import annotations

import resource
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from crack_lightning.data.scan.rows_file import RowsFile

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    "selected", [3, slice(2, 9), slice(None, 0), np.array([5, 1, 5]), np.arange(10) % 3 == 0, [7]]
)
def test_rows_are_selected_as_those_of_an_array(selected: Any, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).integers(0, 256, (10, 4 + 6), np.uint8)
    chunks = [rows[:7].tobytes(), rows[7:].tobytes()]
    with RowsFile.written(chunks, row_bytes=10, folder=tmp_path) as file:
        for first, shape in ((0, (2, 2)), (4, (3, 2))):
            columns = file.columns(first, shape)
            expected = rows[:, first : first + shape[0] * shape[1]].reshape(10, *shape)
            assert (len(columns), columns.shape) == (10, expected.shape)
            np.testing.assert_array_equal(columns[selected], expected[selected])
    assert list(tmp_path.iterdir()) == []


def test_what_was_read_of_a_large_file_does_not_stay_in_memory(tmp_path: Path) -> None:
    row = bytes(2**20)
    with RowsFile.written((row for _ in range(400)), row_bytes=len(row), folder=tmp_path) as file:
        columns = file.columns(0, (2**10, 2**10))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with ThreadPoolExecutor(2) as pool:
            sums = list(pool.map(lambda start: int(columns[start : start + 20].sum()), range(0, 400, 20)))
    assert sums == [0] * 20
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024 < 150
