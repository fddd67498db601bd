"""Train, validation and test splits: stratified, grouped, reproducible by seed."""

from __future__ import annotations

import logging
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crack_lightning.data.splits.stratified_groups import assign_splits, one_each, round_shares
from crack_lightning.data.table import SPLITS
from crack_lightning.runtime.errors import ConfigError, DataError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from crack_lightning.data.table import TileTable

_log = logging.getLogger(__name__)


def split_table(
    table: TileTable,
    *,
    seed: int,
    fractions: Sequence[float] = (0.70, 0.15, 0.15),
    strategy: str = "grouped",
    folds: int | None = None,
    fold: int = 0,
    tolerance: float = 0.02,
) -> TileTable:
    """Assign tiles to splits: groups stay whole, and every split has nearly the same class proportions.

    The method is that of :func:`crack_lightning.data.splits.stratified_groups.assign_splits`. Splits given by
    folders stay as they are; missing ones are taken from their ``train`` part.

    Args:
        table: N tiles; ``split`` is empty everywhere or nowhere.
        seed: Any integer.
        fractions: Fractions of ``train``, ``val`` and ``test``, each above 0, together 1.
        strategy: ``grouped``, or ``random`` to split tile by tile whatever their groups.
        folds: Number of folds of a cross-validation, of which one is the test split; ``None`` for none.
        fold: The test fold, in ``[0, folds)``.
        tolerance: Largest deviation of a class fraction from the requested one; one tile more is allowed.

    Returns:
        The same tiles in the same order, with ``split`` filled.

    Raises:
        ConfigError: If the fractions are not three shares above 0 with the sum 1.
        DataError: If a split would lack a class, the fractions are not possible within the tolerance, or
            folders give splits that folds would change.
    """
    shares = check_fractions(fractions)
    if strategy == "random":
        ungrouped = table.with_columns(group=np.full(len(table), ""))
        random = split_table(
            ungrouped, seed=seed, fractions=fractions, folds=folds, fold=fold, tolerance=tolerance
        )
        return replace(table, split=random.split)
    if folds is not None:
        return _split_folds(table, seed=seed, shares=shares, folds=folds, fold=fold, tolerance=tolerance)
    given_splits = [split for split in SPLITS if (table.split == split).any()]
    rows = table.rows("train") if given_splits else np.arange(len(table))
    open_splits = [split for split in SPLITS if split not in given_splits or split == "train"]
    split = table.split.astype("U5")
    if len(open_splits) > 1:
        split[rows] = assign_shares(
            table.select(rows), {name: shares[name] for name in open_splits}, seed=seed
        )
    result = replace(table, split=split)
    check_classes(result)
    if not given_splits:
        _check_shares(result, shares, tolerance=tolerance)
    _warn_of_shared_groups(result)
    return result


def _split_folds(
    table: TileTable, *, seed: int, shares: Mapping[str, float], folds: int, fold: int, tolerance: float
) -> TileTable:
    """Assign one fold to test, and the others to train and val in their proportion."""
    if (table.split != "").any():
        raise DataError(
            f"data.split.folds: the folders under '{table.root}' decide the splits, got folds={folds}; "
            "leave data.split.folds out, or give the tiles without split folders."
        )
    part = assign_splits(table.name, table.label, table.group, seed=seed, shares=np.full(folds, 1 / folds))
    split = np.full(len(table), "test", dtype="U5")
    rest = np.flatnonzero(part != fold)
    train_val = {name: shares[name] for name in ("train", "val")}
    split[rest] = assign_shares(table.select(rest), train_val, seed=seed)
    result = replace(table, split=split)
    check_classes(result)
    of_rest = {name: (1 - 1 / folds) * share / sum(train_val.values()) for name, share in train_val.items()}
    _check_shares(result, of_rest | {"test": 1 / folds}, tolerance=tolerance)
    return result


def assign_shares(table: TileTable, shares: Mapping[str, float], *, seed: int) -> NDArray[np.str_]:
    """Assign tiles to the splits of ``shares`` in their proportion, str ``(N,)``."""
    target = np.array([*shares.values()])
    chosen = assign_splits(table.name, table.label, table.group, seed=seed, shares=target / target.sum())
    return np.array([*shares])[chosen]


def check_fractions(fractions: Sequence[float]) -> dict[str, float]:
    """Return the fractions by split.

    Raises:
        ConfigError: If they are not three shares above 0 with the sum 1.
    """
    shares = list(fractions)
    if len(shares) != len(SPLITS) or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-6:
        raise ConfigError(
            "data.split.fractions: expected three shares above 0 that sum to 1 (train, val, test), "
            f"got {shares}; for example [0.7,0.15,0.15]."
        )
    return dict(zip(SPLITS, shares, strict=True))


def check_classes(table: TileTable) -> None:
    """Refuse splits that lack a class.

    Raises:
        DataError: If a split lacks a class.
    """
    for split in SPLITS:
        for index, name in enumerate(table.class_names):
            if not ((table.split == split) & (table.label == index)).any():
                of_class = table.label == index
                raise _lacks_class(table, split, name, of_class)


def _lacks_class(table: TileTable, split: str, name: str, of_class: NDArray[np.bool_]) -> DataError:
    """Return the error for a split without a class, with another seed as hint if it could help."""
    photos = len(np.unique(table.group[of_class & (table.group != "")]))
    num_separable = photos + int((of_class & (table.group == "")).sum())
    of_photos = f" from {photos} photo{'s' * (photos != 1)}" if photos else ""
    hint = "set another data.split.seed or other data.split.fractions, " * (num_separable >= len(SPLITS))
    return DataError(
        f"data.split: the {split} split has no tile of '{name}'; there are {int(of_class.sum())} such "
        f"tiles{of_photos}, and each of train, val and test needs one of its own; {hint}"
        "add images, or give whole splits as folders train, val and test."
    )


def _check_shares(table: TileTable, requested: Mapping[str, float], *, tolerance: float) -> None:
    """Refuse a split whose class fractions deviate too far from the requested ones."""
    counts = np.array(
        [np.bincount(table.label[table.split == split], minlength=len(table.class_names)) for split in SPLITS]
    )
    totals = counts.sum(axis=0)
    target = np.stack([_attainable(requested, int(total)) for total in totals], axis=1)
    off = np.abs(counts / totals - target)
    worst = int((off - 1 / totals).max(axis=0).argmax())
    if (off[:, worst] <= tolerance + 1 / totals[worst]).all():
        return
    reached = counts[:, worst] / totals[worst]
    enough = math.ceil(100 * off.max() - 1e-6) / 100
    in_percent = [
        " ".join(f"{100 * share:.1f}" for share in shares) for shares in (target[:, worst], reached)
    ]
    raise DataError(
        f"data.split.tolerance: whole photos give train, val and test {in_percent[1]} % of "
        f"'{table.class_names[worst]}', and {in_percent[0]} % were requested. Set "
        f"data.split.tolerance={enough:g}, other data.split.fractions, or another data.split.seed."
    )


def _attainable(requested: Mapping[str, float], total: int) -> NDArray[np.float64]:
    """Return the attainable shares of ``total`` tiles: as requested, or at least a tile per split."""
    shares = np.array([requested[split] for split in SPLITS])
    few = total >= len(SPLITS) and not (amounts := round_shares(shares * total, total)).all()
    return one_each(amounts, already=np.zeros(len(SPLITS))) / total if few else shares


def _warn_of_shared_groups(table: TileTable) -> None:
    pairs = np.unique(np.stack([table.group, table.split])[:, table.group != ""], axis=1)
    shared = pairs.shape[1] - len(np.unique(pairs[0]))
    if shared:
        _log.warning(
            "data.root: the ready-made splits have tiles of %d photos in more than one split", shared
        )
