"""Features of byte-identical tiles are computed once, whatever rows are asked for."""

from __future__ import annotations

import numpy as np
import pytest

from crack_lightning.training.distinct_tiles import DistinctTiles

SHA256 = np.array(["d", "a", "d", "b", "a", "c", "b"])


def test_each_row_has_the_place_of_the_first_tile_with_its_bytes() -> None:
    tiles = DistinctTiles.of(SHA256, np.array([0, 1, 2, 4, 6]))
    assert tiles.rows.tolist() == [0, 1, 6]
    assert SHA256[tiles.rows[tiles.places(np.array([6, 4, 2, 1, 0]))]].tolist() == ["b", "a", "d", "a", "d"]


def test_random_rows_have_the_digest_of_their_place() -> None:
    rng = np.random.default_rng(0)
    sha256 = rng.choice([f"{number:04x}" for number in range(300)], 1000)
    rows = np.sort(rng.permutation(1000)[:700])
    tiles = DistinctTiles.of(sha256, rows)
    assert len(tiles.rows) == len(set(sha256[rows].tolist()))
    assert (np.diff(tiles.rows) > 0).all()
    np.testing.assert_array_equal(sha256[tiles.rows[tiles.places(rows)]], sha256[rows])


def test_rows_without_features_and_tiles_without_a_digest_are_our_own_errors() -> None:
    tiles = DistinctTiles.of(SHA256, np.array([0, 1]))
    with pytest.raises(AssertionError, match="tiles without features"):
        tiles.places(np.array([5]))
    with pytest.raises(AssertionError, match="tiles without a digest"):
        DistinctTiles.of(np.array(["a", ""]), np.array([0, 1]))
