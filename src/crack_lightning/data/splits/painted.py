"""Splits of tables with painted tiles, each in the split of its base tile."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.splits.assign import check_classes
from crack_lightning.data.splits.by_source import split_by_source

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable


def split_painted(
    table: TileTable, *, train_sources: Sequence[str] = (), test_sources: Sequence[str] = (), **how: Any
) -> TileTable:
    """Assign splits such that a painted tile is in the split of its base tile.

    A source is split if it or one painted on it is selected; tiles whose own source is not selected for
    their split are left out. ``train_sources=[painted] test_sources=[metu]`` thus trains on tiles
    painted on METU's training tiles and tests on METU's test tiles.

    Args:
        table: N tiles; ``extra["painted_on"]`` has the digest of the base tile, if the table has it.
        train_sources: Sources that train and validate; empty for all.
        test_sources: Sources that test; empty for all.
        how: The other arguments of :func:`crack_lightning.data.splits.by_source.split_by_source`.

    Returns:
        The same tiles; ``split`` is empty for those that are left out.

    Raises:
        ConfigError: As ``split_by_source``.
        DataError: As ``split_by_source``.
    """
    below = _rows_below(table)
    painted = below >= 0
    if not painted.any():
        return split_by_source(table, train_sources=train_sources, test_sources=test_sources, **how)
    sources = set(table.source.tolist())
    trains, tests = set(train_sources) or sources, set(test_sources) or sources
    painted_from: dict[str, set[str]] = {}
    for above, source in zip(table.source[painted], table.source[below[painted]], strict=True):
        painted_from.setdefault(str(source), set()).add(str(above))
    real = table.select(~painted)
    allowed = [
        sorted(own for own in set(real.source.tolist()) if ({own} | painted_from.get(own, set())) & side)
        for side in (trains, tests)
    ]
    result = split_by_source(real, train_sources=allowed[0], test_sources=allowed[1], **how)
    split = np.full(len(table), "", dtype="U5")
    split[~painted] = result.split
    split[painted] = split[below[painted]]
    selected = np.where(
        split == "test", np.isin(table.source, list(tests)), np.isin(table.source, list(trains))
    )
    result = replace(table, split=np.where(selected, split, ""))
    check_classes(result)
    return result


def _rows_below(table: TileTable) -> NDArray[np.int64]:
    """Return the row of each painted tile's base tile, int64 ``(N,)``, -1 where it is not in the table."""
    digest = table.extra.get("painted_on", np.full(len(table), ""))
    place = {str(own): row for row, own in enumerate(table.sha256) if own}
    return np.array([place.get(str(own), -1) if own else -1 for own in digest], np.int64)
