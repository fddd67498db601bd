"""Splits by source: some sources only train, others only test."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from crack_lightning.data.splits.assign import assign_shares, check_classes, check_fractions, split_table
from crack_lightning.runtime.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from crack_lightning.data.table import TileTable

_log = logging.getLogger(__name__)


def split_by_source(
    table: TileTable,
    *,
    train_sources: Sequence[str] = (),
    test_sources: Sequence[str] = (),
    strategy: str = "grouped",
    **how: Any,
) -> TileTable:
    """Assign splits where some sources only train or only test.

    A source in both lists is split as usual. One that only trains is split into train and val, one that only
    tests is test, and one in neither list is left out. Unless the strategy is ``random``, so are test-only
    tiles whose group is also in another split (by a near-duplicate, for example).

    Args:
        table: N tiles; ``split`` is empty where the two lists decide.
        train_sources: Sources that train and validate; empty for all.
        test_sources: Sources that test; empty for all.
        strategy: ``grouped`` or ``random``, as for :func:`split_table`.
        how: The other arguments of :func:`split_table`.

    Returns:
        The same tiles; ``split`` is empty for those that are left out.

    Raises:
        ConfigError: If the fractions are wrong.
        DataError: If a split would lack a class, or folders decided splits that the lists would change.
    """
    sources = set(table.source.tolist())
    trains, tests = set(train_sources) or sources, set(test_sources) or sources
    if trains == tests == sources:
        return split_table(table, strategy=strategy, **how)
    if (table.split != "").any():
        raise DataError(
            f"data.train_sources, data.test_sources: the folders under '{table.root}' decide the splits of "
            "some tiles; leave the lists out, or give the tiles without split folders."
        )
    if strategy == "random":
        ungrouped = table.with_columns(group=np.full(len(table), ""))
        random = split_by_source(ungrouped, train_sources=train_sources, test_sources=test_sources, **how)
        return replace(table, split=random.split)
    split = np.full(len(table), "", dtype="U5")
    of_both = np.isin(table.source, sorted(trains & tests))
    if of_both.any():
        split[of_both] = split_table(table.select(of_both), **how).split
    only_train = np.flatnonzero(np.isin(table.source, sorted(trains - tests)))
    if len(only_train):
        shares = check_fractions(how.get("fractions", (0.70, 0.15, 0.15)))
        train_val = {name: shares[name] for name in ("train", "val")}
        split[only_train] = assign_shares(table.select(only_train), train_val, seed=how["seed"])
    split[np.isin(table.source, sorted(tests - trains))] = "test"
    result = _exclude_split_groups(replace(table, split=split), last=tests - trains)
    check_classes(result)
    return result


def _exclude_split_groups(table: TileTable, *, last: set[str]) -> TileTable:
    """Exclude tiles whose group is in another split too, preferably of the sources ``last``."""
    split = table.split.copy()
    sides: dict[str, str] = {}
    for row in np.argsort(np.isin(table.source, sorted(last)), kind="stable"):
        group = str(table.group[row])
        if group and split[row] and sides.setdefault(group, str(split[row])) != split[row]:
            split[row] = ""
    left_out = int(((split == "") & (table.split != "")).sum())
    if left_out:
        _log.info(
            "data.test_sources: %d tiles are left out, as they have a near-duplicate in another split",
            left_out,
        )
    return replace(table, split=split)
